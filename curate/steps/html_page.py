"""Answers copied from a chat page as HTML, turned back into the Markdown they were.

Only an answer that is HTML from beginning to end counts: one with HTML *in* it, fenced or not, is a text
about HTML and stays as it is.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from curate.cleaning import Turn
from store.errors import MissingExtra

if TYPE_CHECKING:
    import polars as pl

PAGE_MARK = re.compile(
    r'<div[^<>]*class="[^"]*\b(?:markdown|prose|min-h-\[|whitespace-pre-wrap)|'
    r'<(?:code|pre)[^<>]*class="[^"]*(?:whitespace-pre|hljs)|Copy code</button>|<div class="flex '
)
"""What only the page of a chat has: its containers, its highlighted code, its copy button."""

PROSE_TAGS = {
    *("p", "ol", "ul", "li", "strong", "em", "b", "i", "code", "pre", "blockquote", "a", "br", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
"""What Markdown turns into; an answer made of nothing else is a rendered answer."""

OPENING = re.compile(r"<(p|ol|ul|h[1-6]|pre|blockquote|table|div)\b[^<>]*>")
TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)((?:\s[^<>]*)?)>")
PLAIN_ATTRIBUTES = re.compile(r'(?:\s+(?:class|href|start|rel|target|align)="[^"]*")*\s*/?')
LANGUAGE = re.compile(r"\b(?:language|lang)-([\w+#.-]+)")
CITATION = re.compile(r"【\d+[^】\n]{0,40}】")
LABEL = re.compile(r"[\w+#.-]{1,20}")
BLANK_LINES = re.compile(r"\n{3,}")
NO_PROSE_MARKS = ("<button", "<svg", "<script", "<style", "aria-hidden", "sr-only")
NEEDS_A_TREE = (*NO_PROSE_MARKS, "<pre", "<sup", "<sub", "katex")
NO_PROSE = "button, svg, script, style, [aria-hidden=true], .sr-only"


def is_page(turn: Turn) -> bool:
    """Whether an answer is HTML of a chat page from beginning to end."""
    text = turn.content.strip()
    if turn.role != "assistant" or not text.endswith(">") or OPENING.match(text) is None:
        return False
    if PAGE_MARK.search(text):
        return True
    asks_for_html = "html" in turn.before.lower()
    return "```" not in text and not asks_for_html and not text.startswith("<div") and _is_all_prose(text)


def _is_all_prose(text: str) -> bool:
    """Whether every tag is one that Markdown makes, and no text stands outside of all of them."""
    depth = end = 0
    for tag in TAG.finditer(text):
        if depth == 0 and text[end : tag.start()].strip():
            return False
        name = tag[1].lower()
        if name not in PROSE_TAGS or not PLAIN_ATTRIBUTES.fullmatch(tag[2]):
            return False
        if name not in ("br", "hr"):
            depth += -1 if tag[0].startswith("</") else 1
        end = tag.end()
    return depth == 0 and not text[end:].strip()


def to_markdown(html: str) -> str:
    """The Markdown of a piece of a page.

    Copy buttons, icons and citations go, the label over a code block becomes the language of its fence,
    formulas become TeX again. Raises MissingExtra without the libraries.
    """
    parse, convert = _libraries()
    if any(mark in html for mark in NEEDS_A_TREE):
        html = _simplified(parse(html).body, html)
    markdown = str(convert(html).content)
    if "【" in markdown:
        markdown = CITATION.sub("", markdown)
    if "\n\n\n" in markdown and "```" not in markdown:
        markdown = BLANK_LINES.sub("\n\n", markdown)
    return markdown.strip()


def _simplified(body: Any, html: str) -> str:
    """The HTML of a page's body with nothing in it that is not prose or plain code."""
    if "katex" in html:
        _write_out_formulas(body)
    if any(mark in html for mark in NO_PROSE_MARKS):
        for node in body.css(NO_PROSE):
            node.decompose()
    if "<su" in html:
        _write_out_scripts(body)
    for block in body.css("pre"):
        _unwrap_code(block)
    return str(body.inner_html)


@cache
def _libraries() -> tuple[Any, Any]:
    try:
        from html_to_markdown import convert
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise MissingExtra.of(str(error.name), "clean") from error
    return LexborHTMLParser, convert


def _unwrap_code(block: Any) -> None:
    """Leave of a code block its code and, as a class, its language."""
    code = block.css_first("code")
    if code is None:
        return
    found = LANGUAGE.search(code.attributes.get("class") or "")
    text = code.text()
    label = block.text()[: -len(text) or None].strip().removesuffix("Copy code").strip()
    language = found[1] if found else label if LABEL.fullmatch(label) else ""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    opening = f'<code class="language-{language}">' if language else "<code>"
    block.inner_html = f"{opening}{escaped}</code>"


def _write_out_formulas(body: Any) -> None:
    for formula in body.css(".katex-display, .katex"):
        source = formula.css_first("annotation")
        if source is None or formula.parent is None:
            continue
        is_display = "katex-display" in (formula.attributes.get("class") or "")
        tex = source.text().strip()
        formula.replace_with(f"$${tex}$$" if is_display else f"${tex}$")


def _write_out_scripts(body: Any) -> None:
    """Raised numbers that link somewhere are citations and go; others keep their meaning as `^2` and `_2`."""
    for node in body.css("sup, sub"):
        if node.css_first("a") is not None:
            node.decompose()
        else:
            node.replace_with(("^" if node.tag == "sup" else "_") + node.text())


@dataclass(frozen=True, slots=True)
class HtmlStep:
    """The step `html`."""

    step_version: int = 1

    def may_change(self) -> "pl.Expr":
        """Answers that begin with a tag."""
        import polars as pl

        start = pl.col("content").str.slice(0, 200).str.strip_chars_start()
        return (pl.col("role") == "assistant") & start.str.starts_with("<")

    def clean(self, turn: Turn) -> str:
        """The answer as Markdown, if it is a page."""
        return to_markdown(turn.content) if is_page(turn) else turn.content


HTML = HtmlStep()
