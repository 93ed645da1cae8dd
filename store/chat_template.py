"""The chat templates: those of the papers, by name, and the one a tokenizer brings itself.

Each closes an assistant's turn with a token that is trained on: OpenChat's and ChatML's bring their own,
Tülu's and Vicuna's close with the tokenizer's end of sequence.
"""

import hashlib
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from store.errors import BadInput, BadSettings, UnknownName

END_OF_TURN = "<|end_of_turn|>"  # OpenChat, section 4: one special token after every turn
DEFAULT_CONDITION = "GPT4"
"""The condition a template falls back to, OpenChat's expert class."""

OWN = "own"
"""Names the template that comes with the tokenizer."""

END_OF_SEQUENCE = "</s>"
"""What `eos_token` is in the papers' tokenizers (Llama)."""

CLOSED_BY: dict[str, str] = {"chatml": "<|im_end|>", "tulu": END_OF_SEQUENCE, "vicuna": END_OF_SEQUENCE}
"""Template → the token that closes a turn, where it is not END_OF_TURN."""

GENERATION = "{% generation %}"
"""What marks the assistant's part in a template."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A Jinja chat template."""

    name: str
    text: str
    end_of_turn: str
    """The token that closes the assistant's turn and is trained on with it."""

    @property
    def sha256(self) -> str:
        """The hash of the template's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def takes_condition(self) -> bool:
        """Whether a condition changes what it writes."""
        return "condition" in self.text

    @property
    def marks_answers(self) -> bool:
        """Whether it says itself which part is the assistant's."""
        return GENERATION in self.text.replace("{%-", "{%").replace("-%}", "%}")

    def with_default(self, condition: str) -> "ChatTemplate":
        """This template, falling back to CONDITION where a caller names none."""
        if "'" in condition or "\\" in condition:
            raise BadSettings(f"a condition cannot hold a quote or a backslash: {condition!r}")
        fallback = f"default('{condition}', true)"
        return replace(self, text=self.text.replace(f"default('{DEFAULT_CONDITION}', true)", fallback))


def template_names() -> list[str]:
    """The names of the templates that come with the package."""
    folder = resources.files("store") / "chat_templates"
    return sorted(
        file.name.removesuffix(".jinja") for file in folder.iterdir() if file.name.endswith(".jinja")
    )


def load_template(name: str) -> ChatTemplate:
    """The template called NAME.

    Raises UnknownName if there is none.
    """
    if name not in template_names():
        raise UnknownName.of("chat template", name, [*template_names(), OWN])
    file = resources.files("store") / "chat_templates" / f"{name}.jinja"
    text = file.read_text(encoding="utf-8").rstrip("\n")
    return ChatTemplate(name, text, CLOSED_BY.get(name, END_OF_TURN))


def template_for(tokenizer: Any, name: str) -> ChatTemplate:
    """The template called NAME as TOKENIZER closes it; OWN is the one it brings itself.

    Raises UnknownName if there is none, BadInput if the tokenizer lacks what the template needs.
    """
    if name == OWN:
        return own_template(tokenizer)
    template = load_template(name)
    if template.end_of_turn != END_OF_SEQUENCE:
        return template
    if tokenizer.eos_token is None:
        raise BadInput(
            f"the template {name} closes turns with the tokenizer's end of sequence, and it has none"
        )
    return replace(template, end_of_turn=tokenizer.eos_token)


def own_template(tokenizer: Any) -> ChatTemplate:
    """The template TOKENIZER brings, closed by the token it writes after an answer.

    Raises BadInput if there is none, or if no token closes an answer.
    """
    text = tokenizer.chat_template
    if not isinstance(text, str) or not text:
        raise BadInput(f"the tokenizer brings no chat template; choose one of {', '.join(template_names())}")
    answer = "An answer."
    written = tokenizer.apply_chat_template(
        [{"role": "user", "content": "A question."}, {"role": "assistant", "content": answer}], tokenize=False
    )
    closing = written.rpartition(answer)[2].strip()
    known = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    end = max((token for token in known if token and closing.startswith(token)), key=len, default=None)
    if end is None:
        raise BadInput(
            "the tokenizer's chat template closes an answer with no token of its own, so a model trained on it"
            f" would not learn to stop; choose one of {', '.join(template_names())}"
        )
    return ChatTemplate(OWN, text, end)
