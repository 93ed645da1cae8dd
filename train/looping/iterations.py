"""The plan of the online loop: every command of every iteration, known before any of them runs.

RLHF Workflow (arXiv 2405.07863), Algorithm 1: iteration t samples from iterate t - 1, pairs the draws by a
reward, adds the pairs to all earlier ones, and trains iterate t by DPO from iterate t - 1 against iterate 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from store.errors import BadSettings

Explore = Literal["best-worst", "temperature-pair", "checkpoint-pair"]
EXPLORE: tuple[Explore, ...] = get_args(Explore)

ITERATIONS = 3  # RLHF Workflow, section 3
DRAWS = 8
TEMPERATURES = (1.0, 0.7)
MAX_NEW_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What decides the outcome of a loop."""

    name: str
    """What its policies and selections are called after."""
    model: str
    """The folder of iterate 0, which is also DPO's reference throughout."""
    reward_model: str
    """As `label reward --model` takes it."""
    reward_name: str
    """NAME@REVISION, the rewards that pair and validate."""
    prompts: str
    """A selection of prompts."""
    out: Path
    store: Path
    parts: tuple[str, ...] = ()
    """Parts of it, one an iteration, round and round; empty takes all prompts in each."""
    validation: str | None = None
    """A selection of prompts for validation; None takes that of the training."""
    validation_part: str | None = None
    explore: Explore = "best-worst"
    n: int = DRAWS
    temperatures: tuple[float, ...] = TEMPERATURES
    max_new_tokens: int = MAX_NEW_TOKENS
    length_penalty: float = 0.0
    seed_pairs: str | None = None
    """A selection of offline pairs that the history begins with."""
    validation_n: int = 1
    validation_temperature: float = 0.7
    sampler: str = "hf"
    """What reads a model's folder: hf or vllm."""
    seed: int = 0
    """Of the draws that validate; those that are paired take it plus the number of their iterate, since two near
    policies would draw the same words from the same chances, and find no pairs."""
    training: tuple[str, ...] = ()
    """Options of `train run` as they are written."""

    def __post_init__(self) -> None:
        if self.n < 2:
            raise BadSettings("--n is 2 or more: a pair takes two draws")
        if self.explore == "temperature-pair" and len(self.temperatures) < 2:
            raise BadSettings("--explore temperature-pair takes two or more --temperature")
        if (self.validation or self.prompts) == self.prompts and self.validation_part is None:
            raise BadSettings(
                "validation prompts are not those trained on: name a selection of their own with --validation,"
                " or a part with --validation-part"
            )
        if self.validation is None and self.validation_part in self.parts:
            raise BadSettings(f"--validation-part {self.validation_part} is trained on; name another part")
        if self.validation is None and not self.parts:
            raise BadSettings("name the parts to train on with --part; --validation-part is another of them")

    def policy(self, iterate: int) -> str:
        """The name under which ITERATE's draws are stored."""
        return f"{self.name}-{iterate}"

    def validated(self, iterate: int) -> str:
        """The same for its draws on validation prompts, which are never paired."""
        return f"{self.name}-{iterate}-validation"

    def pairs(self, iteration: int) -> str:
        """The selection of the pairs that ITERATION makes."""
        return f"{self.name}-pairs-{iteration}"

    def folder(self, iteration: int) -> Path:
        """Where ITERATION keeps its files."""
        return self.out / f"iteration-{iteration}"

    def model_of(self, iterate: int) -> str:
        """The folder of ITERATE."""
        return str(self.folder(iterate) / "run" / "model") if iterate else self.model


@dataclass(frozen=True, slots=True)
class LoopStep:
    """One command of the loop."""

    iteration: int
    name: str
    words: tuple[str, ...]
    """The command line."""

    @property
    def place(self) -> int:
        """Where in the loop it stands."""
        return self.iteration


def validation_steps(loop: LoopSettings, iterate: int) -> Iterator[LoopStep]:
    """Draw from ITERATE under the validation prompts, and score the draws."""
    policy = loop.validated(iterate)
    part = ("--part", loop.validation_part) if loop.validation_part else ()
    yield _step(
        loop,
        iterate,
        "validation draws",
        *("label", "sample", "--model", f"{loop.sampler}:{loop.model_of(iterate)}", "--policy", policy),
        *("--prompts", loop.validation or loop.prompts, *part, "--n", loop.validation_n),
        *("--temperature", loop.validation_temperature, "--max-new-tokens", loop.max_new_tokens),
        *("--seed", loop.seed),
    )
    yield _step(loop, iterate, "validation rewards", *_reward_words(loop, policy))


def iteration_steps(loop: LoopSettings, iteration: int) -> Iterator[LoopStep]:
    """The commands of one iteration, from the last iterate's draws to the next iterate."""
    last = iteration - 1
    policies = _explored(loop, last)
    part = ("--part", loop.parts[last % len(loop.parts)]) if loop.parts else ()
    for iterate in policies:
        yield _step(
            loop,
            iteration,
            "draws" if iterate == last else "draws of the iterate before",
            *("label", "sample", "--model", f"{loop.sampler}:{loop.model_of(iterate)}"),
            *("--policy", loop.policy(iterate), "--prompts", loop.prompts, *part, "--n", _draws(loop)),
            *(word for value in loop.temperatures for word in ("--temperature", value)),
            *("--max-new-tokens", loop.max_new_tokens, "--seed", loop.seed + iterate),
        )
    names = [loop.policy(iterate) for iterate in policies]
    yield _step(loop, iteration, "rewards", *_reward_words(loop, *names))
    yield _step(loop, iteration, "pairs", *_pair_words(loop, iteration, names))
    yield from _training_steps(loop, iteration)


def _training_steps(loop: LoopSettings, iteration: int) -> Iterator[LoopStep]:
    folder, history = loop.folder(iteration), f"{loop.name}-history-{iteration}"
    seeds = [loop.seed_pairs] if loop.seed_pairs else []
    parts = [*seeds, *(loop.pairs(earlier) for earlier in range(1, iteration + 1))]
    yield _step(loop, iteration, "history", "label", "gather", history, *parts)
    yield _step(
        loop,
        iteration,
        "export",
        *("train", "export", "dpo", "--pairs", history, "--tokenizer", loop.model),
        *("--out", folder / "pairs", "--overwrite"),
    )
    yield _step(
        loop,
        iteration,
        "training",
        *("train", "run", "dpo", "--data", folder / "pairs", "--model", loop.model_of(iteration - 1)),
        *("--reference", loop.model, "--out", folder / "run", *loop.training),
    )


def _explored(loop: LoopSettings, last: int) -> list[int]:
    """The iterates that are drawn from; there is none before the first."""
    return [last, last - 1] if loop.explore == "checkpoint-pair" and last else [last]


def _draws(loop: LoopSettings) -> int:
    return loop.n if loop.explore == "best-worst" else max(2, len(loop.temperatures))


def _pair_words(loop: LoopSettings, iteration: int, policies: list[str]) -> list[object]:
    """Best against worst of what was drawn; of two checkpoints the first draw of each."""
    penalty = ["--length-penalty", loop.length_penalty] if loop.length_penalty else []
    first = ["--candidates", 1] if len(policies) > 1 else []
    named = [word for policy in policies for word in ("--policy", policy)]
    return [
        "label",
        "pairs",
        loop.pairs(iteration),
        "--reward-model",
        loop.reward_name,
        *named,
        *penalty,
        *first,
    ]


def _reward_words(loop: LoopSettings, *policies: str) -> list[object]:
    named = [word for policy in policies for word in ("--policy", policy)]
    return ["label", "reward", "--model", loop.reward_model, "--from", "samples", *named]


def _step(loop: LoopSettings, iteration: int, name: str, *words: object) -> LoopStep:
    common = ("--store", loop.store, "--json")
    return LoopStep(iteration, name, tuple(str(word) for word in (*words, *common)))
