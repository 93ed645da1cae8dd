"""HTML of a chat page and the Markdown it was: a case a line of what pages do."""

import re
from pathlib import Path

import pytest

from curate.cleaning import Turn
from curate.steps.html_page import HTML, is_page, to_markdown

CODE_BLOCK = (
    '<pre><div class="bg-black mb-4 rounded-md"><div class="flex items-center text-xs font-sans">'
    '<span>{label}</span><button class="flex ml-auto gap-2"><svg stroke="currentColor"><path d="M16 4"></path>'
    '</svg>Copy code</button></div><div class="p-4 overflow-y-auto"><code class="!whitespace-pre hljs{language}">'
    "{code}</code></div></div></pre>"
)
HIGHLIGHTED = (
    '<span class="hljs-keyword">def</span> <span class="x">f</span>(a_b):\n\n\n    return a_b &lt; 2\n'
)

PARITY = {
    "a paragraph": ("<p>Hello there.</p>", "Hello there."),
    "two paragraphs": ("<p>One.</p><p>Two.</p>", "One.\n\nTwo."),
    "entities": ("<p>a &lt; b &amp;&amp; c &gt; d &quot;q&quot; it&#39;s</p>", 'a < b && c > d "q" it\'s'),
    "an entity that is shown": ("<p>write &amp;lt; for it</p>", "write &lt; for it"),
    "emphasis": ("<p><strong>b</strong> and <em>i</em></p>", "**b** and *i*"),
    "inline code": ("<p>run <code>a_b --c</code> now</p>", "run `a_b --c` now"),
    "a backtick in code": ("<p><code>a`b</code></p>", "``a`b``"),
    "names with underscores": ("<p>snake_case and 2*3*4 and #1</p>", "snake_case and 2*3*4 and #1"),
    "a bullet list": ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
    "a numbered list": ("<ol><li>one</li><li>two</li></ol>", "1. one\n2. two"),
    "a list that goes on": ('<ol start="3"><li>three</li><li>four</li></ol>', "3. three\n4. four"),
    "a list in a list": ("<ol><li>a<ul><li>b</li></ul></li></ol>", "1. a\n   - b"),
    "a table": (
        "<table><thead><tr><th>A</th><th>B</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        "| A | B |\n| --- | --- |\n| 1 | 2 |",
    ),
    "a pipe in a table": (
        "<table><thead><tr><th>A</th></tr></thead><tbody><tr><td>x|y</td></tr></tbody></table>",
        "| A |\n| --- |\n| x\\|y |",
    ),
    "headings": ("<h2>Part</h2><p>x</p>", "## Part\n\nx"),
    "a quotation": ("<blockquote><p>q</p></blockquote>", "> q"),
    "a link": ('<p><a href="https://a.b/c" target="_new">word</a></p>', "[word](https://a.b/c)"),
    "a rule": ("<p>a</p><hr><p>b</p>", "a\n\n---\n\nb"),
    "a highlighted block": (
        CODE_BLOCK.format(label="python", language=" language-python", code=HIGHLIGHTED),
        "```python\ndef f(a_b):\n\n\n    return a_b < 2\n```",
    ),
    "a block whose language is only in its label": (
        CODE_BLOCK.format(label="sql", language="", code="SELECT 1;\n"),
        "```sql\nSELECT 1;\n```",
    ),
    "a block without a language": (CODE_BLOCK.format(label="", language="", code="$ ls\n"), "```\n$ ls\n```"),
    "a block of Markdown": (
        CODE_BLOCK.format(label="md", language=" language-md", code="```py\nx\n```\n"),
        "````md\n```py\nx\n```\n````",
    ),
    "HTML shown as code": (
        CODE_BLOCK.format(label="html", language=" language-html", code="&lt;p&gt;a &amp;amp; b&lt;/p&gt;\n"),
        "```html\n<p>a &amp; b</p>\n```",
    ),
    "a block in a list": (
        "<ol><li><p>do:</p>"
        + CODE_BLOCK.format(label="sh", language=" language-sh", code="a\n  b\n")
        + "</li></ol>",
        "1. do:\n\n   ```sh\n   a\n     b\n   ```",
    ),
    "a citation link": ('<p>So<sup><a href="#1">1</a></sup> it is.</p>', "So it is."),
    "a citation mark": ("<p>So it is【11†source】.</p>", "So it is."),
    "a power": ("<p>x<sup>2</sup> and H<sub>2</sub>O</p>", "x^2 and H_2O"),
    "a formula": (
        '<p>So <span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>E</mi></mrow>'
        '<annotation encoding="application/x-tex">E=mc^2</annotation></semantics></math></span>'
        '<span class="katex-html" aria-hidden="true"><span>E=mc2</span></span></span>.</p>',
        "So $E=mc^2$.",
    ),
    "a script": ("<p>a</p><script>alert(1)</script>", "a"),
    "tags left open": ("<p>a<p>b<ul><li>x<li>y</ul>", "a\n\nb\n\n- x\n- y"),
}


def squeezed(markdown: str) -> str:
    """Without the padding of table cells, which means nothing."""
    lines = [
        re.sub("-{3,}", "---", " ".join(line.split())) if line.startswith("|") else line
        for line in markdown.split("\n")
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("name", PARITY)
def test_a_page_becomes_the_markdown_it_was(name: str) -> None:
    html, wanted = PARITY[name]
    page = f'<div class="markdown prose w-full break-words light">{html}</div>'
    assert squeezed(to_markdown(page)) == wanted


def answer(content: str, before: str = "Tell me.") -> Turn:
    return Turn("assistant", content, before)


@pytest.mark.parametrize(
    "content",
    [
        '<div class="markdown prose w-full"><p>a</p></div>',
        "<p>a</p>" + CODE_BLOCK.format(label="", language="", code="x\n"),
        "<p>One.</p>\n<ol><li><p>two</p></li></ol>\n",
        "<p>a <strong>b</strong></p><p>c</p>",
    ],
)
def test_an_answer_that_is_html_throughout_is_a_page(content: str) -> None:
    assert is_page(answer(content))


@pytest.mark.parametrize(
    "content",
    [
        'Use `<div class="markdown">` around it.',
        "```html\n<p>a</p>\n```",
        "<p>Hello</p> and then some text",
        "Here: <p>Hello</p>",
        "<html><body><p>x</p></body></html>",
        '<div id="app"></div>',
        '<p style="color: red">x</p>',
        '<p onclick="f()">x</p>',
        "<summary>",
        "a < b and c > d",
        "",
    ],
)
def test_an_answer_about_html_stays_as_it_is(content: str) -> None:
    assert HTML.clean(answer(content)) == content


def test_bare_html_that_was_asked_for_stays_as_it_is() -> None:
    content = "<h2>Shoes</h2><p>Good shoes.</p>"
    assert HTML.clean(answer(content, "Write a product page in HTML")) == content
    assert HTML.clean(answer(content)) == "## Shoes\n\nGood shoes."


def test_what_a_person_wrote_stays_as_it_is() -> None:
    content = '<div class="markdown prose"><p>why?</p></div>'
    assert HTML.clean(Turn("user", content, "")) == content


def test_the_answers_of_the_real_page_become_markdown(shared_data: Path) -> None:
    import json

    path = shared_data / "synthetic" / "synthetic_shapes" / "sharegpt_raw_html.json"
    value = json.loads(path.read_text())[0]["conversations"][1]["value"]
    assert to_markdown(value).endswith('```sas\nproc import datafile="x.csv"; run;\n```')
