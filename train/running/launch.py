"""`train run`: a training run in a child process, resumed by repeating the command.

The child is started with safe paths (`python -P`), so that a user's own `train.py` never shadows ours,
and without network or telemetry.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from store.chat_format import ChatFormat
from store.console import Advance, progress
from store.db import Store
from store.errors import BadInput, BadSettings, MissingExtra, PreferablyError, TryLater
from store.runs import run_of
from train.checking.file_rows import Export, open_export
from train.running.prepare import Prepared, export_sha256, prepare_rows
from train.running.prepare_pairs import prepare_labelled_rows, prepare_policy_pairs, prepare_reward_rows
from train.running.run_settings import RunFiles, RunSettings
from train.running.trl_file import write_trl_file

POLL_S = 0.2
LAST_LINES = 3
"""Lines of the child's log that an error repeats."""
QUIET_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
}
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait sleep: spinning made a run on two busy cores 20 times slower. The user's own choice wins."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run came to."""

    steps: int
    loss: float | None
    rows: int
    dropped: int
    model: Path
    was_finished: bool
    """Whether the run was finished before and nothing was done now."""


MODULES = {
    "crlft": "weighted",
    "sft": "weighted",
    "rsft": "weighted",
    "pm": "weighted",
    "rm": "reward",
    "dpo": "dpo",
    "kto": "kto",
}
"""Recipe → the module of `train.trainers` that trains it."""

PREPARE = {"reward": prepare_reward_rows, "dpo": prepare_policy_pairs, "kto": prepare_labelled_rows}
"""Trainer → what makes its rows, where they are not conversations with weights."""


def run_recipe(data: Path, out: Path, settings: RunSettings) -> RunReport:
    """Train on the export at DATA and leave the model in OUT/model.

    Repeated after an interruption it goes on from the last checkpoint; repeated after the end it does
    nothing. Raises BadSettings if OUT holds a run with other settings.
    """
    check_ready(settings)
    export = open_export(data)
    settings = replace(settings, data_sha256=export_sha256(export))
    files = RunFiles(out)
    out.mkdir(parents=True, exist_ok=True)
    with alone(out) as lock:
        _settle(files, settings)
        finished = files.read_result()
        if finished is not None:
            return _report(files, finished, was_finished=True)
        prepared = _prepared(export, settings, files)
        write_trl_file(settings, export, out)
        _train(files, settings, prepared, lock)
    result = files.read_result()
    if result is None:
        raise PreferablyError(f"the run ended without a result; its log is {out / 'log.txt'}")
    return _report(files, result, was_finished=False)


def check_ready(settings: RunSettings) -> None:
    """Raise MissingExtra for a library that is not there, BadInput for a folder that holds no model."""
    for library in ("torch", "trl", "transformers", "datasets", "accelerate"):
        if find_spec(library) is None:
            raise MissingExtra.of(library, "train")
    for folder in filter(None, (settings.model, settings.reference)):
        if not (Path(folder) / "config.json").is_file():
            raise BadInput(f"{folder} holds no config.json; name the directory of a model")


def run_noted(store_path: Path, data: Path, out: Path, settings: RunSettings) -> RunReport:
    """The same, noted as a run of the store where there is one."""
    if not store_path.exists():
        return run_recipe(data, out, settings)
    noted = {**asdict(settings), "data": str(data), "out": str(out)}
    with run_of(Store(store_path), f"train run {settings.recipe}", noted) as run:
        report = run_recipe(data, out, settings)
        run.finish({"rows": report.rows, "steps": report.steps, "loss": report.loss})
        return report


def _report(files: RunFiles, result: dict[str, Any], *, was_finished: bool) -> RunReport:
    rows = json.loads(files.prepared.read_text(encoding="utf-8"))
    return RunReport(
        result["steps"], result["loss"], rows["rows"], rows["dropped"], files.model, was_finished
    )


@contextmanager
def alone(out: Path, wait_s: float = 0.0) -> Iterator[IO[str]]:
    """Keep other runs out of OUT; a child that inherits the lock keeps it if we are killed.

    WAIT_S is how long to wait for one that is there.
    """
    with (out / "run.lock").open("w", encoding="utf-8") as lock:
        ends = time.monotonic() + wait_s
        while not _is_locked(lock):
            if time.monotonic() >= ends:
                raise TryLater(f"another process is training in {out}; wait for it or choose another --out")
            time.sleep(POLL_S)
        yield lock


def _is_locked(lock: IO[str]) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _settle(files: RunFiles, settings: RunSettings) -> None:
    """Keep the settings, or see that they are those of the run that is there.

    Where nothing has been trained yet, the new settings take the place of the old.
    """
    if other_settings(files, settings):
        for path in (files.rows, files.prepared, files.metrics, files.log):
            path.unlink(missing_ok=True)
    settings.write(files.settings)


def other_settings(files: RunFiles, settings: RunSettings) -> list[str]:
    """The names of the settings that a run of FILES has had otherwise, before anything was trained.

    Raises BadSettings if something was.
    """
    if not files.settings.exists():
        return []
    changed = RunSettings.read(files.settings).differences(settings)
    if changed and (files.result.exists() or files.last_checkpoint()):
        names = ", ".join(changed)
        raise BadSettings(
            f"{files.folder} holds a run with another {names}; choose another --out to start anew"
        )
    return changed


def _prepared(export: Export, settings: RunSettings, files: RunFiles) -> Prepared:
    if files.rows.exists() and files.prepared.exists():
        return Prepared(**json.loads(files.prepared.read_text(encoding="utf-8")))
    chat = ChatFormat.load(settings.model, settings.template)
    make = PREPARE.get(MODULES[settings.recipe], prepare_rows)
    prepared = make(export, chat, settings.max_length, files.rows)
    counts = {name: getattr(prepared, name) for name in ("rows", "dropped", "trained_tokens")}
    files.prepared.write_text(json.dumps(counts) + "\n", encoding="utf-8")
    return prepared


def command_of(settings: RunSettings, folder: Path) -> list[str]:
    """The child's command line: one process, several under torchrun, or what an accelerate file says."""
    module = ["-m", f"train.trainers.{MODULES[settings.recipe]}", str(folder.resolve())]
    ours = [sys.executable, "-P"]
    if settings.accelerate is not None:
        launcher = ["-m", "accelerate.commands.launch", "--config_file", settings.accelerate]
        return [*ours, *launcher, "--num_processes", str(settings.processes), *module]
    if settings.processes == 1:
        return [*ours, *module]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(settings.processes)]
    return [*ours, *launcher, *module]


def environment() -> dict[str, str]:
    """The child's environment: our packages first, no network, no telemetry."""
    ours = str(Path(__file__).resolve().parents[2])
    paths = [ours, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**WAITING, **os.environ, **QUIET_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)}


def _train(files: RunFiles, settings: RunSettings, prepared: Prepared, lock: IO[str]) -> None:
    """Run the child to its end; its words go to `log.txt`."""
    total = settings.steps or expected_steps(settings, prepared)
    _forget_after_checkpoint(files)
    with files.log.open("ab") as log, progress("train", total) as advance:
        child = subprocess.Popen(
            command_of(settings, files.folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(),
            pass_fds=(lock.fileno(),),
        )
        try:
            _follow(child, files.metrics, advance)
        finally:
            _end(child)
    if child.returncode != 0:
        raise PreferablyError(f"training failed: {_last_words(files.log)}; its log is {files.log}")


def _forget_after_checkpoint(files: RunFiles) -> None:
    """Leave only the metrics up to the step a resumed run goes on from; the rest comes again."""
    if not files.metrics.exists():
        return
    checkpoint = files.last_checkpoint()
    last = int(checkpoint.rpartition("-")[2]) if checkpoint else 0
    lines = files.metrics.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    kept = [line for line in lines if json.loads(line)["step"] <= last]
    files.metrics.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def expected_steps(settings: RunSettings, prepared: Prepared) -> int | None:
    """Optimizer steps of all epochs; None where rows are packed."""
    if settings.packing:
        return None
    sequences = settings.batch_size * settings.accumulation * settings.processes
    return max(1, round(settings.epochs * prepared.rows / sequences))


def _follow(child: "subprocess.Popen[bytes]", metrics: Path, advance: Advance) -> None:
    """Move the progress bar as log lines come in, until the child ends."""
    step = 0
    while child.poll() is None:
        latest = _latest(metrics)
        if latest and latest["step"] > step:
            advance(latest["step"] - step, words=f"loss {latest.get('loss', 0.0):.4f}")
            step = latest["step"]
        time.sleep(POLL_S)


def _latest(metrics: Path) -> dict[str, Any] | None:
    """The last whole line of the metrics."""
    if not metrics.exists():
        return None
    lines = metrics.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    latest: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
    return latest


def _end(child: "subprocess.Popen[bytes]") -> None:
    """See that the child is gone, gently first."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return " / ".join([line for line in lines if line][-LAST_LINES:]) or "no reason given"
