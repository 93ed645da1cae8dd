"""The mixtures of the papers: which sets each takes, by what names of sources, and how a missing one is taken in.

Camels, section 3.2 (arXiv 2306.04751); RLHF Workflow, section 2 (arXiv 2405.07863), whose sets are preferences.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from store.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Member:
    """One set of a mixture."""

    title: str
    """As the paper calls it."""
    pattern: str
    """Of source names, `-` and `_` alike."""
    ingest: str
    """Format and name that `curate ingest` gives it."""

    def takes(self, source: str) -> bool:
        """Whether a source of that name is this set."""
        return fnmatchcase(_plain(source), _plain(self.pattern))

    @property
    def command(self) -> str:
        """How it is taken in."""
        reader, name = self.ingest.split()
        return f"curate ingest {reader} PATH --name {name}"


@dataclass(frozen=True, slots=True)
class Preset:
    """A mixture with its sets; of two that fit a source the first one has it."""

    members: tuple[Member, ...]
    is_of_prompts: bool = False
    """Whether its sets prefer, so that it is a choice of prompts with labels and not of conversations."""


FLAN = Member("FLAN V2", "*flan*", "flan flan-v2")
COT = Member("CoT", "*cot*", "flan-cot cot")
DOLLY = Member("Dolly", "*dolly*", "dolly dolly")
OASST = Member("Open Assistant 1", "*oasst*", "oasst oasst1")
GPT4_ALPACA = Member("GPT4-Alpaca", "*gpt4*alpaca*", "alpaca gpt4-alpaca")
CODE_ALPACA = Member("Code-Alpaca", "*code*alpaca*", "alpaca code-alpaca")
SHAREGPT = Member("ShareGPT", "*sharegpt*", "sharegpt sharegpt")

HH_RLHF = Member("HH-RLHF", "*hh*rlhf*", "hh-rlhf hh-rlhf")
SHP = Member("SHP", "*shp*", "shp shp")
HELPSTEER = Member("HelpSteer", "*helpsteer*", "helpsteer helpsteer")
PKU = Member("PKU-SafeRLHF", "*pku*safe*", "pku-saferlhf pku-saferlhf")
CODE_ULTRAFEEDBACK = Member("CodeUltraFeedback", "*code*ultrafeedback*", "pairs code-ultrafeedback")
ULTRAFEEDBACK = Member("UltraFeedback", "*ultrafeedback*", "ultrafeedback ultrafeedback")
ULTRAINTERACT = Member("UltraInteract", "*ultrainteract*", "ultrainteract ultrainteract")
ARGILLA_MATH = Member("Argilla-Math", "*math*", "pairs math-preferences")
ORCA = Member("OpenOrca", "*orca*", "pairs orca-pairs")
CAPYBARA = Member("Capybara", "*capybara*", "pairs capybara")
SUMMARIZE = Member("Summarization", "*summar*", "summarize summarize")

PRESETS: Mapping[str, Preset] = {
    "human": Preset((FLAN, COT, DOLLY, OASST)),
    "human-gpt": Preset((FLAN, COT, DOLLY, OASST, GPT4_ALPACA, CODE_ALPACA, SHAREGPT)),
    "mix1": Preset((HH_RLHF, SHP, ULTRAFEEDBACK, SUMMARIZE), is_of_prompts=True),
    "mix2": Preset(
        (
            *(HH_RLHF, SHP, HELPSTEER, PKU, CODE_ULTRAFEEDBACK, ULTRAFEEDBACK),
            *(ULTRAINTERACT, ARGILLA_MATH, ORCA, CAPYBARA),
        ),
        is_of_prompts=True,
    ),
}


def preset_named(name: str) -> Preset:
    """The mixture NAME.

    Raises UnknownName if there is none of that name.
    """
    if name not in PRESETS:
        raise UnknownName.of("mixture", name, PRESETS)
    return PRESETS[name]


def members_among(name: str, sources: Iterable[str], *, skips_missing: bool = False) -> dict[str, str]:
    """Source → the set of the mixture NAME that it is.

    Raises UnknownName if a set has no source, or with SKIPS_MISSING if none has.
    """
    preset, known = preset_named(name), sorted(sources)
    found = {
        source: member.title
        for source in known
        if (member := next((one for one in preset.members if one.takes(source)), None)) is not None
    }
    found = {source: title for source, title in found.items() if not _is_of_another(name, source)}
    missing = [one for one in preset.members if one.title not in found.values()]
    if missing and not (skips_missing and found):
        raise UnknownName(_words(name, missing, known, may_skip=bool(found)))
    return found


def _is_of_another(name: str, source: str) -> bool:
    """Whether SOURCE is a set that the mixture NAME does not take, though one of its patterns fits it."""
    return CODE_ULTRAFEEDBACK not in PRESETS[name].members and CODE_ULTRAFEEDBACK.takes(source)


def _words(name: str, missing: list[Member], known: list[str], *, may_skip: bool) -> str:
    looked = ", ".join(f"{one.title} ({one.pattern})" for one in missing)
    ways = "; ".join(one.command for one in missing)
    skip = "; or take the others alone with: --skip-missing" if may_skip else ""
    kind = "sources with labels" if PRESETS[name].is_of_prompts else "sources"
    return (
        f"mixture {name} finds no source for {looked}; the store's {kind} are: {', '.join(known) or 'none yet'};"
        f" take in what is missing with: {ways}{skip}"
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
