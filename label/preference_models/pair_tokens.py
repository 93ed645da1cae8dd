"""How a contest becomes tokens that end right before the answer `A` or `B`, and which tokens those answers are.

The answers' ids come from the rendered template, never from tokenising a bare letter: after a space the letter
is another token (`ĠA`) than after a line break (`A`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label.exchange import Turn
from label.local.exchange_tokens import framed, put_by_itself
from label.preference_model import PAIR_FORMAT, Contest
from store.chat_format import load_tokenizer, tokenizer_sha256
from store.errors import BadInput

LABELS = ("A", "B")


def written(contest: Contest) -> str:
    """The contest as RLHFlow writes it: index letters, turns one under the other."""
    context = "".join(f"\n<turn> {role}\n {content}" for role, content in _joined(contest.prompt))
    return f"[CONTEXT] \n{context}\n [RESPONSE A] {contest.first} [RESPONSE B] {contest.second} \n"


def _joined(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The format knows no system turn: it becomes part of the user's."""
    if len(turns) > 1 and turns[0][0] == "system":
        return [(turns[1][0], f"{turns[0][1]}\n\n{turns[1][1]}"), *turns[2:]]
    return turns


@dataclass(frozen=True, slots=True)
class PairTokens:
    """A tokenizer with its chat template, and what the two answers are in it."""

    tokenizer: Any
    max_length: int
    label_ids: tuple[int, int]
    """The tokens of A and B where the template puts them."""
    n_after: int
    """Tokens the template writes from the answer on."""

    @property
    def described(self) -> Mapping[str, object]:
        """Everything that decides the tokens."""
        return {
            "format": PAIR_FORMAT,
            "template_sha256": hashlib.sha256(self.tokenizer.chat_template.encode()).hexdigest(),
            "tokenizer_sha256": tokenizer_sha256(self.tokenizer),
            "label_ids": list(self.label_ids),
            "max_length": self.max_length,
        }

    def encode(self, contests: Sequence[Contest]) -> list[list[int] | str]:
        """The tokens before the answer; of a contest that is too long, why it is not weighed."""
        found: list[list[int] | str] = []
        for ids in _answered(self.tokenizer, [(written(contest), LABELS[0]) for contest in contests]):
            prompt = ids[: -self.n_after]
            if ids[-self.n_after] != self.label_ids[0]:
                found.append("the responses' end and the template run into one token with the answer")
            elif len(prompt) > self.max_length:
                found.append(f"longer than the {self.max_length:,} tokens the model reads")
            else:
                found.append(prompt)
        return found


def _answered(tokenizer: Any, exchanges: Sequence[tuple[str, str]]) -> list[list[int]]:
    """The tokens of each (question, answer)."""
    if not exchanges:
        return []
    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], tokenize=False
        )
        for question, answer in exchanges
    ]
    batch = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
    bos, _ = put_by_itself(tokenizer)
    return [framed(list(ids), bos, None) for ids in batch["input_ids"]]


def load_pair_tokens(folder: Path, *, max_length: int | None, positions: int | None) -> PairTokens:
    """The tokenizer in FOLDER and where its template puts an answer.

    Raises BadInput for a tokenizer without a template, or one in which A and B are no single tokens.
    """
    tokenizer = load_tokenizer(folder)
    if not isinstance(tokenizer.chat_template, str):
        raise BadInput(f"the tokenizer in {folder} has no chat template; save one with it")
    probe = written(Contest((("user", "Which?"),), "This.", "That."))
    with_a, with_b = _answered(tokenizer, [(probe, label) for label in LABELS])
    differing = [place for place, (a, b) in enumerate(zip(with_a, with_b, strict=False)) if a != b]
    if len(with_a) != len(with_b) or len(differing) != 1:
        raise BadInput(f"in the chat template of {folder} the answers A and B are not one token each")
    place = differing[0]
    bounds = [bound for bound in (max_length, positions) if bound is not None]
    return PairTokens(
        tokenizer,
        min(bounds, default=tokenizer.model_max_length),
        (with_a[place], with_b[place]),
        len(with_a) - place,
    )
