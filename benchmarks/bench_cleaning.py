"""How fast HTML of chat pages becomes Markdown, beside the ways people usually do it, in one run.

The answers of a ShareGPT file (made up if none is given) are rendered as a chat page shows them: paragraphs,
lists, highlighted code blocks under a label and a copy button. Printed are MB of HTML per CPU second, all
threads, the best of several rounds, and how many answers come back as they were, whitespace aside.

    python benchmarks/bench_cleaning.py sharegpt.json
"""

import argparse
import random
import re
import tempfile
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import make_sharegpt_corpus
import msgspec

PAGE = '<div class="markdown prose w-full break-words dark:prose-invert light">{}</div>'
BLOCK = (
    '<pre><div class="bg-black mb-4 rounded-md"><div class="flex items-center relative text-gray-200 px-4 py-2">'
    '<span>{label}</span><button class="flex ml-auto gap-2">Copy code</button></div><div class="p-4 overflow-y-auto">'
    '<code class="!whitespace-pre hljs{language}">{code}</code></div></div></pre>\n'
)
SLOW_ANSWERS = 1_500
"""Answers the slow ones are measured on."""


def renderer() -> Callable[[str], str]:
    """A function that renders Markdown as a chat page does."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark").enable("table")

    def fence(_self: Any, tokens: Any, place: int, _options: Any, _env: Any) -> str:
        label = tokens[place].info.strip().split(" ")[0]
        language = f" language-{label}" if label else ""
        return BLOCK.format(label=label, language=language, code=escape(tokens[place].content))

    markdown.add_render_rule("fence", fence)
    return lambda text: PAGE.format(markdown.render(text))


def ours(page: str) -> str:
    """The step `html`."""
    from curate.steps.html_page import to_markdown

    return to_markdown(page)


def html_to_markdown(page: str) -> str:
    """The library as it is: labels and buttons stay in the code."""
    from html_to_markdown import convert

    return str(convert(page).content)


CODE_LANG = re.compile(r"```\s*" + "(.*?)" + "(?:Copy code)+" + r"(.+?)" + r"\s*?```", re.DOTALL)


def fastchat(page: str) -> str:
    """As FastChat's clean_sharegpt.py does it: markdownify between regular expressions."""
    from markdownify import markdownify

    text = re.sub("<span.*?>", "", re.sub("<div.*?>", "", page))
    text = re.sub(CODE_LANG, "```\\g<1>\n\\g<2>\n```", markdownify(text).strip())
    noise = re.search(r"\d+ / \d+", text)
    if noise and noise.start() == 0:
        text = text[noise.end() :]
    text = re.sub(r"Copy\d+ chars / \d+ words", "", text)
    return re.sub(r"```(.*?)Copy code\s*```", "", text).replace("\n\n\n", "\n").strip()


def bare_text(page: str) -> str:
    """The limit: parse and take the text, no Markdown at all."""
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(page).text()


WAYS: dict[str, tuple[Callable[[str], str], bool]] = {
    "selectolax text": (bare_text, False),
    "curate clean html, the step": (ours, False),
    "html-to-markdown": (html_to_markdown, False),
    "FastChat's way (markdownify)": (fastchat, True),
}
"""Name → the function, and whether it is measured on fewer answers."""


def squeezed(text: str) -> str:
    """Without whitespace and without the sign that opens an item."""
    return " ".join(re.sub(r"(?m)^(\s*)[*+-] ", r"\1- ", text).split())


def megabytes(texts: list[str]) -> float:
    """Their size in UTF-8."""
    return sum(len(text.encode()) for text in texts) / 1e6


def time_ways(answers: list[str], pages: list[str], rounds: int) -> None:
    """Print a line for each way."""
    for name, (convert, is_slow) in WAYS.items():
        chosen = pages[:SLOW_ANSWERS] if is_slow else pages
        best = 0.0
        for _ in range(rounds):
            started = time.process_time()
            made = [convert(page) for page in chosen]
            best = max(best, megabytes(chosen) / (time.process_time() - started))
        same = sum(
            squeezed(left) == squeezed(right) for left, right in zip(answers, made, strict=False)
        ) / len(made)
        print(f"{name:32} {best:8.1f} MB/CPU s   as it was {same:.0%}")


def time_command(pages: list[str], folder: Path) -> None:
    """Print how fast `curate clean` is on a store, reading, hashing and writing included."""
    from curate.clean import CleanSettings, clean
    from curate.ingesting.ingest import IngestSettings, ingest_files
    from store.db import Store

    records = [
        {"id": str(n), "conversations": [{"from": "human", "value": str(n)}, {"from": "gpt", "value": page}]}
        for n, page in enumerate(pages)
    ]
    (folder / "pages.json").write_bytes(msgspec.json.encode(records))
    store = Store(folder / "s.duckdb")
    ingest_files(store, "sharegpt", [folder / "pages.json"], IngestSettings())
    for name in ("curate clean, whole", "curate clean, again"):
        started = time.process_time()
        report = clean(store, CleanSettings(("html", "unicode", "boilerplate")))
        spent = time.process_time() - started
        print(
            f"{name:32} {megabytes(pages) / spent:8.1f} MB/CPU s   changed {report.changed} of {report.seen}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sharegpt", nargs="?", type=Path, help="a ShareGPT array, perhaps gzipped")
    parser.add_argument("--answers", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    talks = (
        make_sharegpt_corpus.load(asked.sharegpt)
        if asked.sharegpt
        else make_sharegpt_corpus.made_up(random.Random(7))
    )
    found = [
        turn["value"]
        for talk in talks
        for turn in talk["conversations"]
        if turn["from"] == "gpt" and turn["value"]
    ]
    answers = found[: asked.answers]
    render = renderer()
    pages = [render(answer) for answer in answers]
    print(f"{len(pages):,} answers, {megabytes(pages):.1f} MB of HTML")
    time_ways(answers, pages, asked.rounds)
    with tempfile.TemporaryDirectory() as folder:
        time_command(pages, Path(folder))


if __name__ == "__main__":
    main()
