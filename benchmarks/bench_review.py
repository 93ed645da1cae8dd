"""How `review` bears a large store: opening, filtering, paging, reading, judging, memory, and a writer beside it.

Run: python benchmarks/bench_review.py PATH [--conversations 1000000] [--draws 6000000]
The store is made by `make_review_store` and kept at PATH, so that a second run only measures. Times are by the
clock and, in brackets, by the processor; the load of the machine is said, since the clock depends on it.
The command itself is started in a terminal for the first screen; the rest asks what the screens ask,
with the memory limits that the command sets itself.
"""

import argparse
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench_votes import Terminal, review_command
from make_review_store import generate

from store.db import Store
from store.engines import Thrift, be_thrifty
from tui.answers.browse import StoreBrowse
from tui.answers.store_review import StoreReview
from tui.cli import GROWTH_BYTES, MEMORY, THREADS
from tui.query import Filter, parse_filter

FILTERS = (
    "",
    "class:GPT4",
    "rating<5",
    "class:GPT3 rating>=7 verdict:none",
    "source:part_b turns>4",
    "verdict:drop",
)
PAGE = 60
PAGES = 100
SETS = 20
STARTS = 3

Result = TypeVar("Result")


class Clock:
    """Seconds by the clock and by the processor of jobs."""

    def __init__(self) -> None:
        self.walls: list[float] = []
        self.cpus: list[float] = []

    def time(self, job: Callable[[], Result]) -> Result:
        """Do JOB and note what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = job()
        self.walls.append(time.perf_counter() - wall)
        self.cpus.append(time.process_time() - cpu)
        return result

    def words(self) -> str:
        """The one job's seconds, or the middle and the 95th percentile of many."""
        if len(self.walls) == 1:
            return f"{self.walls[0]:.3f} s ({self.cpus[0]:.3f})"
        middle = f"median {statistics.median(self.walls):.3f} s ({statistics.median(self.cpus):.3f})"
        return f"{middle}, 95th percentile {_late(self.walls):.3f} s ({_late(self.cpus):.3f})"


def _late(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.95 * (len(seconds) - 1))]


def _timed(what: str, job: Callable[[], Result]) -> Result:
    clock = Clock()
    result = clock.time(job)
    print(f"{what}: {clock.words()}", flush=True)
    return result


def _many(what: str, jobs: list[Callable[[], object]]) -> None:
    clock = Clock()
    for job in jobs:
        clock.time(job)
    print(f"{what}: {clock.words()}", flush=True)


def _memory(when: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    now = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    print(f"memory {when}: {now:.0f} MiB, at most {peak:.0f} MiB so far", flush=True)


def start(path: Path) -> None:
    """How long the command takes to say its help and to show its first rows."""
    command = [*review_command(path, "bench"), "--help"]
    _many(
        "review --help",
        [lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)] * STARTS,
    )
    clock = Clock()
    for _ in range(STARTS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        terminal = clock.time(lambda: _first_screen(path))
        terminal.kill()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        clock.cpus[-1] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"first screen with rows, from the command line: {clock.words()}", flush=True)


def _first_screen(path: Path) -> Terminal:
    terminal = Terminal(review_command(path, "bench"))
    terminal.must_show("conversation 0: ")
    return terminal


def measure(path: Path, writer_s: float) -> None:
    """Print how long the parts take, each as a person meets it."""
    be_thrifty(Thrift(MEMORY, THREADS, GROWTH_BYTES))
    data = StoreReview(Store(path), "bench")
    browse = StoreBrowse(data)
    _timed("first rows", lambda: (data.refresh(), data.rows(data.select(Filter()).ids[:50])))
    _timed("whole table, in the background", lambda: _drain(data.refresh))
    _memory("with the whole table")
    for text in FILTERS:
        _timed(f"filter {text!r}", lambda text=text: data.select(parse_filter(text)))
    ids = data.select(Filter()).ids
    _many(
        "page of 60 conversations", [lambda at=at: data.rows(ids[at : at + PAGE]) for at in _places(len(ids))]
    )
    listing = _timed("prompts, for the first time", lambda: browse.prompts(Filter()))
    _timed("prompts, again", lambda: browse.prompts(Filter()))
    _many(
        "page of 60 prompts",
        [lambda at=at: listing.page(at, at + PAGE) for at in _places(len(listing.keys))],
    )
    places = _places(len(listing.keys))[:SETS]
    _many("a response set", [lambda at=at: browse.response_set(listing.keys[at]) for at in places])
    _timed("one conversation", lambda: data.conversation(ids[len(ids) // 2]))
    _timed("one turn of 10 MB", lambda: data.conversation(_uuid("one long turn")))
    _timed("20,000 turns", lambda: data.conversation(_uuid("many turns")))
    _memory("after reading")
    beside_a_writer(path, data, ids, writer_s)
    pairs = _timed("queue of pairs", data.queue)
    _many("a pair to judge", [lambda pair=pair: data.pair_texts(pair) for pair in pairs[:SETS]])
    _many("its authors", [lambda pair=pair: data.pair_authors(pair) for pair in pairs[:SETS]])
    _timed("home", browse.home)
    _memory("at the end")
    browse.close()
    data.close()


def _places(length: int) -> list[int]:
    return [(number * 7_919_777) % max(1, length - PAGE) for number in range(PAGES)]


def beside_a_writer(path: Path, data: StoreReview, ids: "list[str]", writer_s: float) -> None:
    """Pages while another process writes for WRITER_S seconds, and how long its rows take to appear."""
    program = (
        "import sys, time; from pathlib import Path; from store.db import Store;"
        " from make_review_store import write_ratings\n"
        "until = time.time() + float(sys.argv[2]); n = 0\n"
        "while time.time() < until:\n"
        "    with Store(Path(sys.argv[1])).write() as writing: write_ratings(writing, n, n + 20)\n"
        "    n += 20; time.sleep(0.2)\n"
    )
    command = [sys.executable, "-c", program, str(path), str(writer_s)]
    pages, news, done = Clock(), Clock(), threading.Event()
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}) as writer:
        threading.Thread(target=lambda: (writer.wait(), done.set()), daemon=True).start()
        for at in _places(len(ids)) * 100:
            if done.is_set():
                break
            pages.time(lambda at=at: data.rows(ids[at : at + PAGE]))
            news.time(lambda: _drain(data.refresh))
    if writer.returncode != 0:
        raise SystemExit("the writer failed: nothing was measured beside it")
    print(f"beside a writer, page of 60 conversations: {pages.words()}")
    print(f"beside a writer, taking in what is new: {news.words()}", flush=True)


def _uuid(name: str) -> str:
    return str(uuid.UUID(hashlib.md5(name.encode()).hexdigest()))


def _drain(step: Callable[[], str]) -> None:
    while step() != "none":
        pass


def main() -> None:
    """Generate the store unless it is there, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=6_000_000)
    parser.add_argument("--writer-seconds", type=float, default=15.0)
    asked = parser.parse_args()
    if not asked.path.exists():
        _timed("generate", lambda: generate(Store(asked.path), asked.conversations, asked.draws))
    print(f"load beside: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    start(asked.path)
    measure(asked.path, asked.writer_seconds)


if __name__ == "__main__":
    main()
