"""The papers' orderings on the example world, from scratch on a CPU: which of them appear, and by how much.

    python -P examples/papers.py [--seeds 3] [--only openchat|chain|online] [--folder papers]

Every step is one of the project's own commands, printed before it runs; the same command again continues.
What is compared are mean ratings, 1 to 10, by the world's own rule, of answers to questions in words that no
training saw. Exits with 1 if an ordering that is REQUIRED does not appear by its margin. docs/papers.md says
what each ordering is in its paper.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from store.console import table
from store.errors import PreferablyError
from train.children import run_child

EXAMPLES = Path(__file__).resolve().parent
MARKER = ".made-by-the-papers"

EXPERTS, SUB_OPTIMAL = 128, 1024
"""Conversations of a class; OpenChat has 6k and 64k."""
TABLE_DRAWS, CHAIN_DRAWS = 8, 32
SIZES = (1, 4, 16, 32)
"""n of best-of-n; Xwin-LM goes to 64."""
ITERATIONS = 3  # RLHF Workflow, section 3

# Margins, in rating points, set before the first run and not touched since.
C_RLFT_LEAD = 0.3
CONTROL_LOSS = 1.0
BEST_OF_GAIN = 0.2
RSFT_GAIN = 0.5
DPO_GAIN = 0.1
LEVEL = 0.3
ITERATED_GAIN = 0.1
SHORTER = 0.03
"""The share of its length that an answer loses by the penalty."""

MARKERS = "osD"

LENGTH_PENALTY = 0.005
"""Of a rating point, for a character; RLHF Workflow takes 0.001 off rewards of a smaller spread and longer texts."""

TABLE: Mapping[str, tuple[str, ...]] = {
    "C-RLFT": ("--source", "world.json"),
    "without reward": ("--source", "world.json", "--no-reward"),
    "only GPT-4": ("--source", "world.json", "--only-class", "GPT4"),
    "without condition": ("--source", "world.json", "--no-condition"),
    "only SFT": ("--source", "world.json", "--no-reward", "--no-condition"),
    "only GPT-3.5": ("--source", "world.json", "--only-class", "GPT3"),
    "shuffled classes": ("--source", "shuffled.json"),
}
"""OpenChat's Table 2 in the order of its scores, and the control: name → what `train export crlft` is told."""

PAGES = 1024
"""Texts that the base model reads before anything else, half of them about creatures and half of them questions."""
PAGE_ERRORS = 0.1
"""How often a page is wrong: what people write is."""
READING = ("--batch-size", 32, "--accumulation", 1, "--epochs", 5, "--lr", 0.005, "--max-length", 128)
FINE_TUNING = ("--batch-size", 32, "--accumulation", 1, "--epochs", 5, "--lr", 0.003, "--max-length", 128)
TUNING = ("--template", "own", "--batch-size", 32, "--accumulation", 1, "--max-length", 128)
RSFT = (*TUNING, "--epochs", 3, "--lr", 0.001)
DPO = (*TUNING, "--lr", 0.0001, "--beta", 0.1)
DPO_STEPS = 24
LOOP_STEPS = 48
"""Of each iteration; offline DPO takes as many as all iterations together."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """One claim: the difference of two figures against its margin."""

    name: str
    difference: float
    """Mean over seeds."""
    margin: float
    is_required: bool = False
    is_bound: bool = False
    """The difference may not lie further from 0 than the margin."""

    @property
    def appears(self) -> bool:
        """Whether the difference is as large as was said before."""
        return abs(self.difference) <= self.margin if self.is_bound else self.difference >= self.margin

    def line(self) -> tuple[str, ...]:
        """The row of the table."""
        sign = "±" if self.is_bound else "≥"
        verdict = "appears" if self.appears else "does not appear"
        return (self.name, f"{self.difference:+.2f}", f"{sign} {self.margin:.2f}", verdict)


def drawn_as(name: str, prompts: str, n: int) -> str:
    """What draws are called: another number of them is another set, so that no figure depends on what ran before."""
    return f"{name}, {n} on {prompts}"


class Lab:
    """One seed: a folder with a store, and commands that run once."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.store = folder / "store.duckdb"
        self.policy = folder / "policy"
        self._known = folder / "commands.jsonl"

    def run(self, *words: object, training: Sequence[object] = ()) -> Mapping[str, Any]:
        """Run one of our commands, unless it ran to its end before; returns its JSON."""
        line = [str(word) for word in (*words, "--store", self.store, "--json", *training)]
        for known in self._lines():
            if known["command"] == line:
                outcome: Mapping[str, Any] = known["outcome"]
                return outcome
        outcome = run_child(line)
        with self._known.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"command": line, "outcome": outcome}) + "\n")
        return outcome

    def _lines(self) -> Iterator[dict[str, Any]]:
        """The commands noted so far; a note that was cut off is none, and its command runs again."""
        if self._known.exists():
            for line in self._known.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):
                    yield json.loads(line)

    def model(self, name: str) -> Path:
        """The folder of a trained model."""
        return self.folder / name.replace(" ", "-") / "run" / "model"

    def train(self, recipe: str, name: str, export: Sequence[object], training: Sequence[object]) -> None:
        """Export what RECIPE takes and train the model NAME on it."""
        where = self.folder / name.replace(" ", "-")
        self.run("train", "export", recipe, *export, "--out", where / "rows", "--overwrite")
        told = (*training, "--seed", self.seed, "--log-every", 1000, "--out", where / "run")
        self.run("train", "run", recipe, "--data", where / "rows", *told)

    def draw(self, name: str, prompts: str, n: int, model: Path | None = None) -> None:
        """Draw N answers of the model NAME under PROMPTS and rate them."""
        sampled = ("--temperature", 0.7, "--max-new-tokens", 64, "--engine", "batch_size=256")
        folder = model or self.model(name)
        policy = drawn_as(name, prompts, n)
        asked = ("--prompts", prompts, "--n", n, "--seed", self.seed)
        self.run("label", "sample", "--model", f"hf:{folder}", "--policy", policy, *asked, *sampled)
        self.run("label", "reward", "--model", "offline", "--from", "samples", "--policy", policy)

    def curve(self, name: str, n: int, sizes: Sequence[int]) -> dict[int, float]:
        """Size → what the best of so many of NAME's N answers to held-out questions is rated."""
        policy = drawn_as(name, "held-out", n)
        asked = ("--policy", policy, "--best-of", ",".join(map(str, sizes)), "--with-truncated")
        (curves,) = self.run("label", "rank", "--reward-model", "offline", *asked)["curves"]
        return {point["n"]: point["value"] for point in curves["best_of"]}

    def length(self, name: str) -> float:
        """The mean characters of NAME's answers to held-out questions."""
        from store.db import Store

        with Store(self.store).read() as reading:
            rows = reading.rows(
                "SELECT avg(length(content)) FROM samples JOIN messages ON message_id = response_id WHERE policy = ?",
                [drawn_as(name, "held-out", TABLE_DRAWS)],
            )
        return float(rows[0][0])


def make_world(lab: Lab) -> None:
    """The seed's conversations, the same with shuffled labels, and the held-out questions, in a store."""
    sys.path.append(str(EXAMPLES))
    import make_world as world

    chance = random.Random(lab.seed)
    records = []
    for model, count, answer in (
        ("gpt-4", EXPERTS, world.good_answer),
        ("gpt-3.5-turbo", SUB_OPTIMAL, world.poor_answer),
    ):
        draw = world.Draw(chance)
        records += [_record(world.conversation(draw, answer, 1), model) for _ in range(count)]
    labels = [record["model"] for record in records]
    chance.shuffle(labels)
    shuffled = [{**record, "model": label} for record, label in zip(records, labels, strict=True)]
    files = {"world.json": records, "shuffled.json": shuffled}
    for name, content in files.items():
        path = lab.folder / name
        numbered = [{"id": f"r{number}", **record} for number, record in enumerate(content)]
        path.write_text(json.dumps(numbered), encoding="utf-8")
        lab.run("curate", "ingest", "sharegpt", path)
    held_out = [
        _record([("human", record["prompt"]), ("gpt", record["answer"])], "answer key")
        for record in world.held_out_records()
    ]
    path = lab.folder / "pages.json"
    pages = [_record([("human", "Next page."), ("gpt", page(chance))], "web") for _ in range(PAGES)]
    path.write_text(json.dumps([{"id": f"p{n}", **one} for n, one in enumerate(pages)]), encoding="utf-8")
    lab.run("curate", "ingest", "sharegpt", path)
    path = lab.folder / "held-out.json"
    path.write_text(json.dumps([{"id": f"h{n}", **one} for n, one in enumerate(held_out)]), encoding="utf-8")
    lab.run("curate", "ingest", "sharegpt", path)
    lab.run("curate", "unfold", "held-out", "--source", "held-out.json")
    lab.run("curate", "unfold", "asked", "--source", "world.json", "--only-class", "GPT4")
    if not lab.policy.exists():
        maker = [sys.executable, "-P", EXAMPLES / "tiny_policy.py", lab.policy]
        subprocess.run(maker, check=True)


def _record(turns: Sequence[tuple[str, str]], model: str) -> dict[str, Any]:
    return {"model": model, "conversations": [{"from": role, "value": text} for role, text in turns]}


def page(chance: random.Random) -> str:
    """What a base model has read: all facts of one creature in any order, or three questions, never both."""
    import make_world as world

    questions = world.all_questions()
    if chance.random() < 0.5:
        return " ".join(world.asked(question, chance) for question in chance.sample(questions, 3))
    creature = chance.choice(questions).creature
    told = [question for question in questions if question.creature == creature]
    chance.shuffle(told)
    return " ".join(
        (world.wrong_answer if chance.random() < PAGE_ERRORS else world.good_answer)(question, chance)
        for question in told
    )


def openchat(lab: Lab, names: Sequence[str] = tuple(TABLE)) -> dict[str, float]:
    """OpenChat's Table 2: name → mean rating."""
    layout = ("--layout", "tokenized", "--tokenizer", lab.policy, "--max-length", 128)
    lab.train(
        "sft",
        "base",
        (*layout, "--source", "pages.json"),
        ("--model", lab.policy, "--from-scratch", *READING),
    )
    found = {}
    for name in names:
        training = ("--model", lab.model("base"), *FINE_TUNING)
        lab.train("crlft", name, (*layout, *TABLE[name]), training)
        lab.draw(name, "held-out", TABLE_DRAWS)
        found[name] = lab.curve(name, TABLE_DRAWS, (1,))[1]
    return found


def chain(lab: Lab) -> dict[str, dict[int, float]]:
    """Xwin-LM's chain, from plain SFT: name → n → what the best of n is rated."""
    openchat(lab, ["only SFT"])
    first = lab.model("only SFT")
    lab.draw("only SFT", "asked", CHAIN_DRAWS)
    drawn = ("--policy", drawn_as("only SFT", "asked", CHAIN_DRAWS), "--reward-model", "offline")
    rows = ("--tokenizer", first)
    lab.train("rsft", "RSFT", (*drawn, *rows), ("--model", first, *RSFT))
    lab.run("label", "pairs", "best-worst", *drawn)
    told = ("--model", lab.model("RSFT"), *DPO, "--steps", DPO_STEPS)
    lab.train("dpo", "DPO", ("--pairs", "best-worst", *rows), told)
    for name in ("only SFT", "RSFT", "DPO"):
        lab.draw(name, "held-out", CHAIN_DRAWS)
    return {name: lab.curve(name, CHAIN_DRAWS, SIZES) for name in ("only SFT", "RSFT", "DPO")}


def online(lab: Lab) -> dict[str, tuple[float, float]]:
    """RLHF Workflow: offline against iterated DPO, and the length penalty: name → rating, characters."""
    openchat(lab, ["only SFT"])
    first = lab.model("only SFT")
    lab.draw("only SFT", "asked", TABLE_DRAWS)
    drawn = ("--policy", drawn_as("only SFT", "asked", TABLE_DRAWS), "--reward-model", "offline")
    lab.run("label", "pairs", "offline", *drawn)
    told = ("--model", first, *DPO, "--steps", ITERATIONS * LOOP_STEPS)
    lab.train("dpo", "offline DPO", ("--pairs", "offline", "--tokenizer", first), told)
    lab.draw("offline DPO", "held-out", TABLE_DRAWS)
    found = {"offline DPO": (lab.curve("offline DPO", TABLE_DRAWS, (1,))[1], lab.length("offline DPO"))}
    for name, more in (("iterated DPO", ()), ("length penalty", ("--length-penalty", LENGTH_PENALTY))):
        slug = name.replace(" ", "-")
        asked = ("--prompts", "asked", "--validation", "held-out", "--iterations", ITERATIONS)
        drawing = ("--temperature", 0.7, "--max-new-tokens", 64, *more)
        common = ("--model", first, "--reward-model", "offline", *asked, *drawing, "--out", lab.folder / slug)
        training = ("--", *DPO, "--steps", LOOP_STEPS)
        lab.run("train", "iterate", slug, *common, training=training)
        last = lab.folder / slug / f"iteration-{ITERATIONS}" / "run" / "model"
        lab.draw(name, "held-out", TABLE_DRAWS, last)
        found[name] = (lab.curve(name, TABLE_DRAWS, (1,))[1], lab.length(name))
    return found


def mean_of(found: Sequence[Mapping[Any, float]]) -> dict[Any, float]:
    """Key → mean over seeds."""
    return {key: fmean(one[key] for one in found) for key in found[0]}


def openchat_orderings(found: Mapping[str, float]) -> list[Ordering]:
    """What Table 2 says, against its margins."""
    orderings = [
        Ordering(f"C-RLFT > {name}", found["C-RLFT"] - found[name], C_RLFT_LEAD, is_required=True)
        for name in TABLE
        if name not in ("C-RLFT", "shuffled classes")
    ]
    lost = found["C-RLFT"] - found["shuffled classes"]
    return [*orderings, Ordering("C-RLFT > shuffled classes (control)", lost, CONTROL_LOSS, is_required=True)]


def chain_orderings(curves: Mapping[str, Mapping[int, float]]) -> list[Ordering]:
    """What Xwin-LM says of best-of-n, RSFT and DPO."""
    sft, rsft, dpo = curves["only SFT"], curves["RSFT"], curves["DPO"]
    most = max(SIZES)
    return [
        Ordering("best of 4 > best of 1, SFT", sft[4] - sft[1], BEST_OF_GAIN, is_required=True),
        Ordering("best of 16 > best of 4, SFT", sft[16] - sft[4], BEST_OF_GAIN),
        Ordering("RSFT > SFT", rsft[1] - sft[1], RSFT_GAIN, is_required=True),
        Ordering("DPO > RSFT at best of 1", dpo[1] - rsft[1], DPO_GAIN),
        Ordering(f"DPO level with RSFT at best of {most}", dpo[most] - rsft[most], LEVEL, is_bound=True),
    ]


def online_orderings(found: Mapping[str, tuple[float, float]]) -> list[Ordering]:
    """What RLHF Workflow says of iterated DPO and of the length penalty."""
    plain, short, offline = found["iterated DPO"], found["length penalty"], found["offline DPO"]
    return [
        Ordering("iterated DPO > offline DPO", plain[0] - offline[0], ITERATED_GAIN),
        Ordering("length penalty: share of length lost", 1 - short[1] / plain[1], SHORTER),
        Ordering("length penalty: level in quality", short[0] - plain[0], LEVEL, is_bound=True),
    ]


def main() -> int:
    """Run what is asked for; 0 if every required ordering appears."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=Path("papers"), help="where everything goes")
    parser.add_argument("--first-seed", type=int, default=0, help="the number of the first")
    parser.add_argument("--seeds", type=int, default=3, help="how many worlds and trainings")
    parser.add_argument("--only", choices=["openchat", "chain", "online"], action="append")
    parser.add_argument("--fresh", action="store_true", help="delete what an earlier run left there")
    options = parser.parse_args()
    try:
        _make_own(options.folder, fresh=options.fresh)
        labs = [
            _lab(options.folder / f"seed-{seed}", seed)
            for seed in range(options.first_seed, options.first_seed + options.seeds)
        ]
        orderings = _report(options.folder, labs, options.only or ["openchat", "chain", "online"])
    except PreferablyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command again continues", file=sys.stderr)
        return 130
    missing = [one.name for one in orderings if one.is_required and not one.appears]
    if missing:
        print(f"error: a required ordering does not appear: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def _make_own(folder: Path, *, fresh: bool) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise PreferablyError(f"{folder} holds something else; name another with --folder")
    if fresh and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def _lab(folder: Path, seed: int) -> Lab:
    folder.mkdir(exist_ok=True)
    lab = Lab(folder, seed)
    make_world(lab)
    return lab


def _report(folder: Path, labs: Sequence[Lab], parts: Sequence[str]) -> list[Ordering]:
    orderings: list[Ordering] = []
    figures: dict[str, Any] = {}
    if "openchat" in parts:
        seeds = [openchat(lab) for lab in labs]
        ratings = mean_of(seeds)
        figures["openchat"] = seeds
        print("\nOpenChat, Table 2: mean rating of answers to held-out questions")
        rows = [(name, f"{ratings[name]:.2f}", *(f"{one[name]:.2f}" for one in seeds)) for name in TABLE]
        print(table(("trained as", "mean", *(f"seed {lab.seed}" for lab in labs)), rows))
        orderings += openchat_orderings(ratings)
    if "chain" in parts:
        chains = [chain(lab) for lab in labs]
        curves = {name: mean_of([one[name] for one in chains]) for name in chains[0]}
        figures["chain"] = chains
        print("\nXwin-LM: mean rating of the best of n answers to held-out questions")
        lines = [(name, *(f"{curve[n]:.2f}" for n in SIZES)) for name, curve in curves.items()]
        print(table(("trained as", *(f"best of {n}" for n in SIZES)), lines))
        orderings += chain_orderings(curves)
    if "online" in parts:
        loops = [online(lab) for lab in labs]
        means = {
            name: (fmean(one[name][0] for one in loops), fmean(one[name][1] for one in loops))
            for name in loops[0]
        }
        figures["online"] = loops
        print("\nRLHF Workflow: mean rating and characters of answers to held-out questions")
        print(
            table(
                ("trained as", "rating", "characters"),
                [(n, f"{r:.2f}", f"{c:.0f}") for n, (r, c) in means.items()],
            )
        )
        orderings += online_orderings(means)
    print("\nThe orderings, mean over seeds, against margins set before")
    print(table(("ordering", "difference", "margin", "verdict"), [one.line() for one in orderings]))
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    try:
        draw_figures(folder / "papers.png", figures)
    except ImportError:
        print("no plots: they need the extra plots", file=sys.stderr)
    return orderings


def draw_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write one PNG with a panel for each part: means over seeds, and each seed as a small mark."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = {"openchat": _draw_table, "chain": _draw_curves, "online": _draw_loops}
    figure = Figure(figsize=(5 * len(figures), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (part, seeds) in enumerate(figures.items()):
        panels[part](figure.add_subplot(1, len(figures), place + 1), seeds)
    figure.savefig(path, format="png", dpi=90)


def _draw_table(axes: Any, seeds: Sequence[Mapping[str, float]]) -> None:
    ratings = mean_of(seeds)
    names = list(ratings)[::-1]
    axes.barh(names, [ratings[name] for name in names], color="0.75")
    for one in seeds:
        axes.plot([one[name] for name in names], names, "k|", markersize=9)
    axes.set(title="OpenChat, Table 2", xlabel="mean rating", xlim=(1, 10))


def _draw_curves(axes: Any, seeds: Sequence[Mapping[str, Mapping[int, float]]]) -> None:
    for (name, _), marker in zip(seeds[0].items(), MARKERS, strict=False):
        curve = mean_of([one[name] for one in seeds])
        axes.plot(list(curve), list(curve.values()), marker=marker, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.set(title="Xwin-LM, best of n", xlabel="n", ylabel="mean rating")
    axes.legend()


def _draw_loops(axes: Any, seeds: Sequence[Mapping[str, tuple[float, float]]]) -> None:
    for name, marker in zip(seeds[0], MARKERS, strict=False):
        ratings, characters = ([one[name][side] for one in seeds] for side in (0, 1))
        (dots,) = axes.plot(characters, ratings, marker, markersize=4, alpha=0.5)
        axes.plot(
            fmean(characters), fmean(ratings), marker, markersize=10, color=dots.get_color(), label=name
        )
    axes.set(title="RLHF Workflow", xlabel="characters of an answer", ylabel="mean rating")
    axes.legend()


if __name__ == "__main__":
    sys.exit(main())
