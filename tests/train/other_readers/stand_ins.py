"""What the readers here share: stand-ins for packages with no part in reading a file, and the jobs to do."""

import json
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["DISABLE_VERSION_CHECK"] = "1"  # LLaMA-Factory refuses transformers newer than its last release
os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"


def stand_in(name: str, **members: Any) -> None:
    """Put an empty package NAME with MEMBERS where an import finds it."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    module.__dict__.update(members)
    sys.modules[name] = module


def one_process(function: Callable[..., Any]) -> Any:
    """`ray.remote` without a cluster: `function.remote(…)` calls it here."""
    return type("Remote", (), {"remote": staticmethod(function)})


def as_written(*args: Any, **options: Any) -> Any:
    """`numba.njit` without compiling: the Python it is written in."""
    return args[0] if args and callable(args[0]) else lambda function: function


def put_in_place() -> None:
    """The stand-ins: sound, telemetry, a compiler, a cluster."""
    stand_in("torchaudio")
    stand_in("posthog")
    stand_in("numba", njit=as_written)
    stand_in(
        "ray",
        remote=one_process,
        get=lambda value: value,
        is_initialized=lambda: True,
        available_resources=lambda: {"CPU": 1},
    )


IGNORED = -100


def side(ids: list[int], labels: list[int]) -> dict[str, list[int]]:
    """One conversation as a trainer takes it; the label of what is not trained on is IGNORED."""
    return {"ids": ids, "labels": labels}


Read = Callable[[str, str, str, Path], list[dict[str, Any]]]
"""(what for, path, tokenizer, a path to write beside) → the rows a trainer makes of the file."""


def read_all(read: Read) -> None:
    """Do the jobs in the file that the command line names, and write beside it what each came to."""
    path = Path(sys.argv[1])
    found = {
        name: read(task, data, tokenizer, path.parent / name)
        for name, (task, data, tokenizer) in json.loads(path.read_text()).items()
    }
    path.with_suffix(".read.json").write_text(json.dumps(found))
