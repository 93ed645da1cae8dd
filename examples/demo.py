"""The main job from end to end, offline: chats of two qualities in, a model that knows the difference out.

    python -P examples/demo.py [--fresh] [--folder demo]

Every step is one of the project's own commands, printed before it runs. The same command again continues
where it stopped; --fresh starts from nothing. Exits with 1 if the trained model does not answer clearly
better under the expert condition than under the other.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from label.offline_world import is_right, rate
from store.console import table
from store.db import Store
from train.evaluating.answer import Decoding, answer

EXAMPLES = Path(__file__).resolve().parent
MARKER = ".made-by-the-demo"
"""A file that says that a folder is the demo's own and may be deleted."""

SNAPSHOT = "demo"
EXPERT, SUB_OPTIMAL = "GPT4", "GPT3"
TRAINING = {"batch-size": 32, "accumulation": 1, "epochs": 6, "lr": 0.005, "max-length": 512, "log-every": 40}
"""A fresh 0.4 M parameter model learns the world in these epochs; it needs a higher rate than a large one."""

LONGEST_ANSWER = 64
"""Tokens."""

SHOWN = (0, 5, 10, 15)
"""Held-out questions, one for each attribute, whose answers are printed."""

SHARE_RIGHT_NEEDED = 0.8
RATING_LEAD_NEEDED = 3.0
"""What `clearly better` means: the expert condition's mean rating over the other's, on a scale of 1 to 10."""


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demo keeps what it makes."""

    folder: Path

    @property
    def store(self) -> Path:
        """The store."""
        return self.folder / "preferably.duckdb"

    @property
    def policy(self) -> Path:
        """Tokenizer and model shape."""
        return self.folder / "policy"

    @property
    def export(self) -> Path:
        """The training rows."""
        return self.folder / "export"

    @property
    def run(self) -> Path:
        """The training run."""
        return self.folder / "run"

    @property
    def answers(self) -> Path:
        """What the model answered, one JSON object a line."""
        return self.folder / "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Answer:
    """A held-out question answered under a condition, and its grade by the world's rule."""

    condition: str
    prompt: str
    right_answer: str
    response: str
    is_right: bool
    rating: int
    explanation: str


class StepFailed(Exception):
    """A command of the demo exited with an error, which it has printed itself."""


def main() -> int:
    """Run the demo; 0 if the model learnt what it should."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--folder", type=Path, default=Path("demo"), help="where everything goes (default: demo)"
    )
    parser.add_argument("--fresh", action="store_true", help="delete what an earlier demo left there")
    options = parser.parse_args()
    files = DemoFiles(options.folder)
    started = time.monotonic()
    try:
        make_own(files.folder, fresh=options.fresh)
        set_environment(files)
        run_commands(files)
    except StepFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command again continues", file=sys.stderr)
        return 130
    answers = graded_answers(files)
    report(files, answers)
    print(
        f"\nLook around with `curate log --store {files.store}`, or `review` where the extra tui is installed."
    )
    print(f"The whole took {time.monotonic() - started:.0f} s.")
    return verdict(answers)


def make_own(folder: Path, *, fresh: bool) -> None:
    """Make FOLDER ours, emptied if fresh; StepFailed if somebody else's files lie there."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise StepFailed(f"{folder} is not a folder of the demo; name another with --folder")
    if fresh and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def set_environment(files: DemoFiles) -> None:
    """Name the store, and see that nothing asks the network."""
    os.environ |= {
        "PREFERABLY_STORE": str(files.store),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    print(f"$ export PREFERABLY_STORE={files.store}")


def run_commands(files: DemoFiles) -> None:
    """From the chats to the trained model."""
    world = shown(EXAMPLES / "world.json")
    run("python", "-P", shown(EXAMPLES / "tiny_policy.py"), files.policy)
    run("curate", "ingest", "sharegpt", world, "--pieces", "join", "--license", "Apache-2.0")
    run("curate", "classes")
    run("curate", "stats", "--tokenizer", files.policy)
    run("label", "judge", "--model", "offline")
    if not has_snapshot():
        run("curate", "snapshot", SNAPSHOT, "--note", "what the demo trains on")
    layout = ("--layout", "tokenized", "--tokenizer", files.policy, "--max-length", TRAINING["max-length"])
    run("train", "export", "crlft", *layout, "--at", SNAPSHOT, "--out", files.export, "--overwrite")
    run("train", "check", files.export, "--batch-size", TRAINING["batch-size"])
    settings = [part for name, value in TRAINING.items() for part in (f"--{name}", value)]
    model = ("--model", files.policy, "--from-scratch")
    run("train", "run", "crlft", "--data", files.export, *model, "--out", files.run, *settings)


def run(name: str, *arguments: object) -> None:
    """Print a command, run it, and say how long it took; StepFailed if it failed."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ {shlex.join([name, *words])}", flush=True)
    started = time.monotonic()
    exit_code = subprocess.run([*program(name), *words], check=False).returncode
    if exit_code == 130:
        raise KeyboardInterrupt
    if exit_code:
        raise StepFailed(f"{name} {words[0]} exited with {exit_code}; --fresh starts the demo from nothing")
    print(f"({time.monotonic() - started:.1f} s)", flush=True)


def program(name: str) -> list[str]:
    """How to start a command: its console script beside this Python, else its entry point."""
    if name == "python":
        return [sys.executable]
    script = Path(sys.executable).with_name(name)
    if script.exists():
        return [str(script)]
    return [
        sys.executable,
        "-P",
        "-c",
        f"import sys; sys.argv[0] = {name!r}; from {name}.cli import main; main()",
    ]


def shown(path: Path) -> str:
    """The path relative to where we are, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def has_snapshot() -> bool:
    """Whether an earlier demo has named its snapshot already."""
    log = subprocess.run(
        [*program("curate"), "log", "--limit", "1000", "--json"], check=True, capture_output=True, text=True
    )
    return any(SNAPSHOT in version["snapshots"] for version in json.loads(log.stdout)["versions"])


def graded_answers(files: DemoFiles) -> list[Answer]:
    """The model's answers to the held-out questions under both conditions, graded and written down."""
    held_out = json.loads((EXAMPLES / "held_out.json").read_text(encoding="utf-8"))
    print(f"\nAsking the trained model {len(held_out)} held-out questions under each condition …", flush=True)
    prompts = [[("user", record["prompt"])] for record in held_out]
    decoding = Decoding(max_new_tokens=LONGEST_ANSWER, batch_size=len(prompts))
    answers = [
        graded(condition, record, response)
        for condition in (EXPERT, SUB_OPTIMAL)
        for record, response in zip(
            held_out, answer(files.run / "model", prompts, condition, decoding), strict=True
        )
    ]
    lines = [json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in answers]
    files.answers.write_text("".join(lines), encoding="utf-8")
    return answers


def graded(condition: str, record: dict[str, str], response: str) -> Answer:
    """One answer with its grade."""
    prompt = [("user", record["prompt"])]
    rating, explanation = rate(prompt, response)
    return Answer(
        condition,
        record["prompt"],
        record["answer"],
        response,
        is_right(prompt, response),
        rating,
        explanation,
    )


def report(files: DemoFiles, answers: Sequence[Answer]) -> None:
    """What went in, what was trained on, and what the model makes of it."""
    print("\n=== What the demo did ===")
    print("\nHow the offline judge rated the conversations, by class:")
    print(table(("class", "conversations", "mean rating"), ratings_by_class(files.store)))
    print("\nWhat was exported for training, by class:")
    columns = ("class", "condition", "weight", "rows", "trained tokens", "sum of weights")
    print(table(columns, exported_by_class(files.export)))
    print("\nHow the trained model answers one held-out question of each kind:")
    for index in SHOWN:
        expert, other = answers[index], answers[len(answers) // 2 + index]
        print(f"  {expert.prompt}")
        for one in (expert, other):
            print(f"    as {one.condition}: {one.response}  [rated {one.rating}]")
    print("\nHow it answers all held-out questions:")
    rows = [summary(answers, condition) for condition in (EXPERT, SUB_OPTIMAL)]
    print(table(("condition", "questions", "mean rating", "share right"), rows))


def ratings_by_class(store: Path) -> list[tuple[object, ...]]:
    """Per class: name, conversations with every turn rated, mean of their ratings."""
    with Store(store).read() as reading:
        rows = reading.rows(
            """
            SELECT all_conversations.class, count(*), avg(conversation_ratings.mean)
            FROM all_conversations
            JOIN conversation_ratings USING (conversation_id)
            WHERE conversation_ratings.labeler = 'offline' AND conversation_ratings.is_complete
            GROUP BY ALL
            ORDER BY avg(conversation_ratings.mean) DESC
            """
        )
    return [(name, count, f"{mean:.2f}") for name, count, mean in rows]


def exported_by_class(export: Path) -> list[tuple[object, ...]]:
    """Per class: name, condition, weight, rows, trained tokens, sum of their weights."""
    manifest = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    names = ("condition", "weight", "rows", "trained_tokens", "weight_sum")
    return [(name, *(total[key] for key in names)) for name, total in manifest["classes"].items()]


def summary(answers: Sequence[Answer], condition: str) -> tuple[str, int, str, str]:
    """One line of the last table."""
    n_answers = sum(one.condition == condition for one in answers)
    rating, right = mean_rating(answers, condition), share_right(answers, condition)
    return condition, n_answers, f"{rating:.2f}", f"{right:.0%}"


def mean_rating(answers: Sequence[Answer], condition: str) -> float:
    """The mean rating under CONDITION."""
    return fmean(one.rating for one in answers if one.condition == condition)


def share_right(answers: Sequence[Answer], condition: str) -> float:
    """The share of answers under CONDITION that state the right fact."""
    return fmean(one.is_right for one in answers if one.condition == condition)


def verdict(answers: Sequence[Answer]) -> int:
    """0 if the expert condition's answers are right and clearly better than the other's."""
    right = share_right(answers, EXPERT)
    lead = mean_rating(answers, EXPERT) - mean_rating(answers, SUB_OPTIMAL)
    if right >= SHARE_RIGHT_NEEDED and lead >= RATING_LEAD_NEEDED:
        print(f"The model answers better by {lead:.1f} points when told to answer as the expert class does.")
        return 0
    print(
        f"error: under {EXPERT} {right:.0%} of the answers are right (at least {SHARE_RIGHT_NEEDED:.0%} expected)"
        f" and rated {lead:.1f} points better than under {SUB_OPTIMAL} (at least {RATING_LEAD_NEEDED} expected)",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
