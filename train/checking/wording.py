"""What a template writes around turns, told from renders of it, so that tokens can be held against it."""

from dataclasses import dataclass

from store.chat_format import ChatFormat, Turn
from store.errors import BadInput

WHOLE = 40
"""Of a longer opening only its end is compared: some templates write the day's date into it."""
QUESTION, SYSTEM, ANSWER = "Quaestio", "Praefatio", "Responsum"
"""Words that no template writes itself."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Stretches of a template's text without white space, which tokenizers write back in ways of their own."""

    beginning: str
    """The tokenizer's beginning token, empty where it has none."""
    opening: str
    """From the beginning token to the first question."""
    after_system: str | None
    """Between a system turn and the first question; None where the template takes none."""
    between: str | None
    """From the end of an answer to the next question."""
    before_answer: str
    """From the end of a question to its answer."""

    def begins(self, text: str) -> bool:
        """Whether the text before a conversation's first answer is as the template writes it."""
        bare = squeezed(text)
        while self.beginning and bare.startswith(
            self.beginning
        ):  # how often it stands there is checked elsewhere
            bare = bare.removeprefix(self.beginning)
        is_short = len(self.opening) <= WHOLE
        opens = bare.startswith(self.opening) if is_short else self.opening[-WHOLE:] in bare
        return opens or bool(self.after_system and self.after_system in bare)

    def goes_on(self, text: str) -> bool:
        """Whether the text between two answers is."""
        return self.between is None or squeezed(text).startswith(self.between)

    def heads(self) -> tuple[str, ...]:
        """What stands before questions and answers: content that begins so was put through the template before."""
        heads = (self.between, self.before_answer)
        return tuple(head for head in heads if head and any(sign.isalnum() for sign in head))


def squeezed(text: str) -> str:
    """TEXT without white space."""
    return "".join(text.split())


def wording_of(chat: ChatFormat, condition: str | None) -> Wording | None:
    """What CHAT's template writes under a condition, None for a template that these renders do not tell of."""
    asked: list[Turn] = [("user", QUESTION)]
    opening = _text(chat, asked, condition)
    if opening is None or QUESTION not in opening:
        return None
    before_answer = chat.render(asked, condition, is_prompt=True).text.rpartition(QUESTION)[2]
    end_of_turn = chat.template.end_of_turn
    more = _text(chat, [*asked, ("assistant", ANSWER), *asked], condition)
    between = None
    if more is not None and ANSWER in more:
        between = more.rpartition(ANSWER)[2].partition(QUESTION)[0].removeprefix(end_of_turn)
    led = _text(chat, [("system", SYSTEM), *asked], condition)
    after_system = None
    if led is not None and SYSTEM in led:
        after_system = led.partition(SYSTEM)[2].partition(QUESTION)[0]
    beginning = chat.tokenizer.bos_token or ""
    return Wording(
        beginning,
        squeezed(opening.partition(QUESTION)[0]).removeprefix(beginning),
        None if after_system is None else squeezed(after_system),
        None if between is None else squeezed(between),
        squeezed(before_answer.removeprefix(end_of_turn)),
    )


def _text(chat: ChatFormat, turns: list[Turn], condition: str | None) -> str | None:
    try:
        return chat.text(turns, condition)
    except BadInput:
        return None
