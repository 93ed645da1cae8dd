"""Judge prompts about two responses: a versioned template around turns that cannot break out of their place.

Turns are shown as `label.judging.render` shows them. The code of a response's tag comes from the conversation and
that response, so it is the same text whether it is shown as A or as B.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

from label.chat import Json
from label.comparing.scales import Scale
from label.comparing.verdict import VERDICT
from label.judging.render import REPLY_SHOWN_CHARACTERS, SECTION, Turn, shown_turns
from store.errors import UnknownName

FOLDER = files("label") / "templates"
PREFIX = "pair-"
PAIR_PLAIN = "pair-plain/1"
PAIR_REFERENCE = "pair-reference/1"
"""Explicit rules, metrics and a reference of the judge's own making: the best of those measured on LLMBar."""
PAIR_LABEL = "pair-label/1"
"""Asks for one letter: what the scale logprob needs."""


@dataclass(frozen=True, slots=True)
class PairPrompt:
    """One version of a judge's prompt about two responses."""

    name: str
    """Stored with every comparison, such as `pair-plain/1`."""
    reply: tuple[str, ...]
    """The members of the reply before its verdict, in order."""
    system: Template
    user: Template
    repair: Template

    @property
    def is_label_only(self) -> bool:
        """Whether the reply is to be the label and nothing else, so that its first token tells everything."""
        return not self.reply


def pair_prompt_names() -> list[str]:
    """The prompts there are."""
    stems = (file.name.removesuffix(".txt") for file in FOLDER.iterdir() if file.name.startswith(PREFIX))
    return sorted("/".join(stem.rsplit(".", 1)) for stem in stems)


@cache
def pair_prompt(name: str) -> PairPrompt:
    """The prompt called NAME, from `templates/`.

    Raises UnknownName, with the nearest name, if there is none.
    """
    if name not in pair_prompt_names():
        raise UnknownName.of("template", name, pair_prompt_names())
    text = (FOLDER / f"{name.replace('/', '.')}.txt").read_text(encoding="utf-8")
    _, *pieces = SECTION.split(text)
    sections = {title: body.strip() for title, body in zip(pieces[::2], pieces[1::2], strict=True)}
    return PairPrompt(
        name=name,
        reply=tuple(sections["reply"].split()),
        system=Template(sections["system"]),
        user=Template(sections["user"]),
        repair=Template(sections["repair"]),
    )


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A conversation and two responses as a judge sees them."""

    conversation: str
    first: str
    second: str

    def swapped(self) -> "ShownPair":
        """The same two responses in the other order."""
        return ShownPair(self.conversation, self.second, self.first)


def show_pair(prompt_name: str, turns: Sequence[Turn], first: str, second: str) -> ShownPair:
    """TURNS and the two responses to them, each in its tags."""
    *conversation, shown_first = shown_turns(prompt_name, [*turns, ("assistant", first)])
    shown_second = shown_turns(prompt_name, [*turns, ("assistant", second)])[-1]
    return ShownPair("\n".join(conversation), shown_first, shown_second)


def render_pair(prompt: PairPrompt, scale: Scale, shown: ShownPair) -> tuple[Turn, ...]:
    """The messages that ask for a verdict: rules first, then the conversation, the responses last."""
    user = prompt.user.substitute(
        conversation=shown.conversation, response_a=shown.first, response_b=shown.second
    )
    return (("system", prompt.system.substitute(verdicts=scale.in_words())), ("user", user))


def render_pair_repair(
    prompt: PairPrompt, scale: Scale, messages: tuple[Turn, ...], reply: str
) -> tuple[Turn, ...]:
    """The messages that ask once more after a reply that could not be read."""
    said = reply[-REPLY_SHOWN_CHARACTERS:].strip() or "(no text)"
    return (*messages, ("assistant", said), ("user", prompt.repair.substitute(verdicts=scale.in_words())))


def reply_schema(prompt: PairPrompt, scale: Scale) -> Json:
    """The strict JSON schema of a reply: the analysis comes before the verdict."""
    members: dict[str, Json] = {name: {"type": "string"} for name in prompt.reply}
    members[VERDICT] = {"type": "string", "enum": list[Json](scale.names)}
    return {
        "type": "object",
        "properties": members,
        "required": list[Json](members),
        "additionalProperties": False,
    }
