"""The rooms keep their distance: what is imported when, and from where."""

import subprocess
import sys

import pytest

HEAVY = {
    *("torch", "transformers", "trl", "datasets", "openai", "anthropic", "vllm", "textual"),
    *("duckdb", "polars", "pyarrow", "numpy", "httpx2", "genai_prices", "pydantic"),
}

ASK_FOR_HELP = """
import sys
from {module} import main
sys.argv = [{command!r}, *{arguments!r}]
try:
    main()
finally:
    print(",".join(sorted({{name.split(".")[0] for name in sys.modules}})), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("command", "module"),
    [("curate", "curate.cli"), ("label", "label.cli"), ("train", "train.cli"), ("review", "tui.cli")],
)
def test_help_imports_nothing_heavy(command: str, module: str) -> None:
    code = ASK_FOR_HELP.format(module=module, command=command, arguments=["--help"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"Usage: {command}")
    loaded = set(done.stderr.strip().splitlines()[-1].split(","))
    assert loaded & HEAVY == set()


def test_the_store_imports_no_model_or_screen_library() -> None:
    modules = (
        "store.db, store.runs, store.snapshots, store.verify, store.chat_format, store.console, store.config"
    )
    code = f"import {modules}, sys; print(','.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    forbidden = {"torch", "transformers", "trl", "datasets", "openai", "anthropic", "vllm", "textual"}
    assert set(done.stdout.strip().split(",")) & forbidden == set()
