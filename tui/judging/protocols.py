"""The ways people judge two answers: what they may say, and the guidelines they are given."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from label.comparing.scales import CAMELS5, XWIN4, Scale


@dataclass(frozen=True, slots=True)
class Choice:
    """One step of a preference."""

    native_label: str
    """As the scale stores it."""
    signed_margin: float
    """1 for A clearly better … -1 for B clearly better."""
    words: str

    @property
    def state(self) -> str:
        """`win`, or `tie`."""
        return "win" if self.signed_margin else "tie"


@dataclass(frozen=True, slots=True)
class JudgingProtocol:
    """What an annotator is asked, and told."""

    scale: str
    choices: Mapping[int, Choice]
    """By the number key that gives it."""
    key_lines: tuple[str, ...]
    """The choices in words, for the bottom of the screen."""
    guidelines: str
    guideline_version: str

    @property
    def template(self) -> str:
        """What a person saw: two unnamed answers side by side."""
        return f"{self.scale}-blind"

    @property
    def template_after_reveal(self) -> str:
        """A second vote on a pair whose authors had already been shown: never to be counted as blind."""
        return f"{self.scale}-seen"

    def with_guidelines(self, text: str) -> "JudgingProtocol":
        """The same with other guidelines; their version is their hash."""
        version = f"{self.scale}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        return replace(self, guidelines=text, guideline_version=version)


def _choices(scale: Scale) -> dict[int, Choice]:
    return {
        key: Choice(label.name, label.margin, label.meaning.replace("response ", "").replace(" is ", " "))
        for key, label in enumerate(scale.labels, start=1)
    }


ACCEPTABLE = (
    "Is each answer acceptable? An answer is acceptable if it does what was asked, has no significant error and no"
    " meaningless text. Say so for A and for B on its own, before comparing them.\n\n"
)

CAMELS = JudgingProtocol(  # arXiv 2306.04751, appendix G
    CAMELS5.name,
    {**_choices(CAMELS5), 3: Choice("tie", 0.0, "tie")},
    ("1 A clearly · 2 A slightly · 3 tie · 4 B slightly · 5 B clearly better",),
    ACCEPTABLE
    + "Then say which answer is better: clearly, slightly, or neither. A tie means that both are as good, or as bad;"
    " a longer answer is not better for its length.\n",
    "camels-1",
)

XWIN = JudgingProtocol(  # Xwin-LM, section 4.1
    XWIN4.name,
    _choices(XWIN4),
    (
        "A better: 1 significantly · 2 clearly · 3 slightly · 4 negligibly",
        "B better: 8 significantly · 7 clearly · 6 slightly · 5 negligibly",
    ),
    ACCEPTABLE
    + "Then say which answer is better and by how much: significantly, clearly, slightly or negligibly. There is no"
    " tie: where the two are as good as equal, take the one you would rather have, negligibly better.\n",
    "xwin-1",
)

PROTOCOLS = {protocol.scale: protocol for protocol in (CAMELS, XWIN)}
