"""A conversation as the tokens a policy is to continue: one render, tokenised whole, as for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from label.chat import CallError
from label.engine.failures import UNFIT_PROMPT
from store.chat_format import ChatFormat, Turn, add_end_of_turn, load_tokenizer
from store.chat_template import OWN, template_for
from store.errors import BadInput

PROBE = "X"


@dataclass(frozen=True)
class PromptTokens:
    """A tokenizer with one of our chat templates, or with its own; loaded when first needed."""

    tokenizer_path: str
    template: str | None
    """None: the one saved with the tokenizer."""
    condition: str | None

    @cached_property
    def format(self) -> ChatFormat:
        """Tokenizer and template.

        Raises BadInput if the tokenizer brings no template and none is named, or lacks its end of turn.
        """
        tokenizer = load_tokenizer(self.tokenizer_path)
        template = template_for(tokenizer, self.template or OWN)
        if add_end_of_turn(tokenizer, template):
            raise BadInput(
                f"the tokenizer in {self.tokenizer_path} has no token {template.end_of_turn}, so this policy"
                f" was not trained with the template {template.name!r}"
            )
        return ChatFormat(tokenizer, template)

    def check(self) -> None:
        """Load tokenizer and template."""
        _ = self.format

    @cached_property
    def end_id(self) -> int:
        """The token that closes a response."""
        return self.format.end_of_turn_id

    @cached_property
    def makes_space(self) -> bool:
        """Whether exactly one space stands between what the policy is shown and its response."""
        prompt: list[Turn] = [("user", PROBE)]
        shown = self.format.render(prompt, self.condition, is_prompt=True).text
        whole = self.format.render([*prompt, ("assistant", PROBE)], self.condition).text
        return whole.startswith(f"{shown} {PROBE}")

    def encode(self, turns: Sequence[Turn]) -> list[int]:
        """The tokens that end where the response begins.

        Raises CallError if the template has no place for one of the roles.
        """
        try:
            return self.format.encode_prompts([turns], self.condition)[0]
        except BadInput as error:
            raise CallError(str(error), status=400, code=UNFIT_PROMPT) from error
