"""Build the wheel and hold it against what it promises: five packages, light help, names of its own."""

import re
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

PACKAGES = {"curate", "label", "store", "train", "tui"}
HELP_SECONDS = 0.5


def build(folder: Path) -> Path:
    """The wheel, built from the checkout."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, "."],
        check=True,
        stdout=subprocess.PIPE,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def top_level(wheel: Path) -> set[str]:
    """The names at the wheel's top level, without its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name.split("/")[0] for name in archive.namelist() if ".dist-info/" not in name}


def check_help(wheel: Path, folder: Path) -> None:
    """Every command of the installed wheel answers --help at once and imports nothing heavy."""
    venv.create(folder, with_pip=True, system_site_packages=False)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "click", "rich"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    for command in ("curate", "label", "train", "review"):
        seconds = min(_time_help(folder / "bin" / command) for _ in range(3))
        if seconds > HELP_SECONDS:
            raise SystemExit(f"{command} --help took {seconds:.2f} s, more than {HELP_SECONDS}")
        print(f"{command} --help: {seconds:.2f} s")


def _time_help(script: Path) -> float:
    started = time.perf_counter()
    shown = subprocess.run([script, "--help"], check=True, capture_output=True, text=True).stdout
    if not re.search(r"Usage: ", shown):
        raise SystemExit(f"{script.name} --help printed no usage")
    return time.perf_counter() - started


def check_names() -> None:
    """No other installed distribution brings a package of one of our names."""
    for name in PACKAGES:
        owners = set(packages_distributions().get(name, ()))
        if owners - {"preferably"}:
            raise SystemExit(
                f"package {name} is also brought by {', '.join(sorted(owners - {'preferably'}))}"
            )


def main() -> None:
    """Build, look, install, ask for help."""
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build(Path(scratch) / "dist")
        found = top_level(wheel)
        if found != PACKAGES:
            raise SystemExit(f"the wheel holds {sorted(found)}, not {sorted(PACKAGES)}")
        check_names()
        check_help(wheel, Path(scratch) / "env")
    print("the wheel holds exactly the five packages")


if __name__ == "__main__":
    main()
