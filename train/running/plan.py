"""What `train run` would do, without doing it: the rows are prepared and checked, and nothing is trained."""

import math
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from store.chat_format import ChatFormat
from train.checking.file_rows import open_export
from train.running.launch import MODULES, PREPARE, check_ready, expected_steps, other_settings
from train.running.prepare import export_sha256, prepare_rows
from train.running.run_settings import RunFiles, RunSettings


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would come to."""

    rows: int
    dropped: int
    """Rows that the bound on length leaves nothing of."""
    trained_tokens: int | None
    """Of one pass; None where the recipe counts none."""
    rows_a_step: int
    steps: int | None
    """None where rows are packed: how many fit together is known when they are."""
    lr: float
    """After scaling."""
    schedule: str
    warmup_steps: int | None
    processes: int
    accelerate: str | None
    checkpoints: int | None
    """Written on the way."""
    out: Path
    state: str
    """What is in OUT: `new`, `finished`, or the checkpoint that it goes on from."""

    def as_json(self) -> dict[str, object]:
        """What a script reads."""
        return {"dry_run": True, **asdict(self), "out": str(self.out)}


def plan_run(data: Path, out: Path, settings: RunSettings) -> RunPlan:
    """Prepare and check the rows of DATA in a folder that is gone afterwards, and count.

    Raises what `run_recipe` would before it trains.
    """
    check_ready(settings)
    export = open_export(data)
    settings = replace(settings, data_sha256=export_sha256(export))
    files = RunFiles(out)
    other_settings(files, settings)
    chat = ChatFormat.load(settings.model, settings.template)
    make = PREPARE.get(MODULES[settings.recipe], prepare_rows)
    with tempfile.TemporaryDirectory(prefix="preferably-") as folder:
        prepared = make(export, chat, settings.max_length, Path(folder) / "rows.arrow")
    steps = settings.steps or expected_steps(settings, prepared)
    return RunPlan(
        rows=prepared.rows,
        dropped=prepared.dropped,
        trained_tokens=prepared.trained_tokens or None,
        rows_a_step=settings.batch,
        steps=steps,
        lr=settings.lr,
        schedule=settings.schedule,
        warmup_steps=_warmup(settings, steps),
        processes=settings.processes,
        accelerate=settings.accelerate,
        checkpoints=None if steps is None else steps // settings.save_every,
        out=out,
        state=_state(files),
    )


def _warmup(settings: RunSettings, steps: int | None) -> int | None:
    if settings.warmup >= 1:
        return int(settings.warmup)
    return None if steps is None else math.ceil(settings.warmup * steps)


def _state(files: RunFiles) -> str:
    if files.result.exists():
        return "finished"
    checkpoint = files.last_checkpoint()
    return "new" if checkpoint is None else Path(checkpoint).name
