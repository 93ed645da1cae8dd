"""The one boundary where text from the store becomes characters on a screen."""

from rich.cells import cell_len

from store.console import visible

TAB = 4


def clean(text: str) -> str:
    """TEXT with every character that steers a terminal made visible as ⟨U+XXXX⟩; newlines and tabs stay."""
    return visible(text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 400) -> str:
    """The start of TEXT on one line: newlines as ⏎, tabs as spaces."""
    start = text[:limit].strip("\n")
    return clean(start).replace("\n", " ⏎ ").replace("\t", " ")


def fit(text: str, width: int) -> str:
    """TEXT cut or filled with spaces to exactly WIDTH cells."""
    if text.isascii():
        return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
    if cell_len(text) > width:
        start = cut(text, width - 1)[0]
        text = (start if cell_len(start) < width else "") + "…"
    return text + " " * (width - cell_len(text))


def cut(text: str, width: int) -> tuple[str, str]:
    """The longest start of TEXT that fits in WIDTH cells (one character at least), and the rest."""
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > width and index > 0:
            return text[:index], text[index:]
    return text, ""


def wrap(text: str, width: int) -> list[str]:
    """Cleaned TEXT as lines of at most WIDTH cells, broken at spaces where there are any."""
    lines: list[str] = []
    for line in clean(text).expandtabs(TAB).split("\n"):
        lines.extend(_wrap_line(line, max(2, width)))
    return lines


def _wrap_line(line: str, width: int) -> list[str]:
    pieces: list[str] = []
    while not _fits(line, width):
        start, rest = (line[:width], line[width:]) if line.isascii() else _cut_window(line, width)
        space = start.rfind(" ")
        if space > 0 and not rest.startswith(" "):
            start, rest = start[:space], line[space + 1 :]
        pieces.append(start)
        line = rest.removeprefix(" ")
    pieces.append(line)
    return pieces


def _fits(line: str, width: int) -> bool:
    if len(line) > 2 * width and line.isascii():
        return False
    return len(line) <= width if line.isascii() else len(line) <= 40 * width and cell_len(line) <= width


def _cut_window(line: str, width: int) -> tuple[str, str]:
    window = 40 * width  # combining marks take no cell; more of them than this on one cell is no text
    start, rest = cut(line[:window], width)
    return start, rest + line[window:]
