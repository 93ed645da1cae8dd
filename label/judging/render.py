"""Judge prompts: a versioned template around turns that cannot break out of their place.

Each turn is a JSON string between tags whose code is a hash of the conversation up to and including
that turn, so no text can contain its own closing tag, the same request always renders to the same
text, and the turns that two requests share are the same text in both (prefix caching).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

Turn = tuple[str, str]
"""(role, content)."""

NO_TURNS = "(none: the conversation begins with the response)"
REPLY_SHOWN_CHARACTERS = 4000
"""How much of a bad reply's end is shown to the judge again."""

SPECIAL_TOKEN = re.compile(
    r"<\|[^|>\s]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn|turn-)|\[/?INST\]|<</?SYS>>"
    r"|</turn-|\[(?:PAD|CLS|SEP|MASK)\]"
)
"""Control tokens of common chat templates, and our own tags."""

TURN = re.compile(r'<turn-([0-9a-f]{16}) role="([a-z_]+)">\n(.*)\n</turn-\1>')
SECTION = re.compile(r"^=== (\w+) ===\n", re.M)


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """The three texts of one version of a judge's prompt."""

    name: str
    """Stored with every label, such as `openchat-g/1`."""
    system: str
    user: Template
    repair: str


@cache
def judge_prompt(name: str) -> JudgePrompt:
    """The prompt called NAME, from `templates/`."""
    text = (files("label") / "templates" / f"{name.replace('/', '.')}.txt").read_text(encoding="utf-8")
    _, *pieces = SECTION.split(text)
    sections = {title: body.strip() for title, body in zip(pieces[::2], pieces[1::2], strict=True)}
    return JudgePrompt(name, sections["system"], Template(sections["user"]), sections["repair"])


def render(prompt: JudgePrompt, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The messages that ask for a rating of the last of TURNS: rubric first, then context, the response last."""
    return render_shown(prompt, shown_turns(prompt.name, turns))


def render_shown(
    prompt: JudgePrompt, shown: Sequence[str], references: Sequence[str] = ()
) -> tuple[Turn, ...]:
    """`render` for turns, and reference answers where the prompt shows them, that were put into their tags before."""
    previous = "\n".join(shown[:-1]) or NO_TURNS
    user = prompt.user.substitute(
        previous_turns=previous, references="\n".join(references), response=shown[-1]
    )
    return (("system", prompt.system), ("user", user))


def render_repair(prompt: JudgePrompt, messages: tuple[Turn, ...], reply: str) -> tuple[Turn, ...]:
    """The messages that ask once more after a reply that could not be read."""
    said = reply[-REPLY_SHOWN_CHARACTERS:].strip() or "(no text)"
    return (*messages, ("assistant", said), ("user", prompt.repair))


def shown_turns(prompt_name: str, turns: Sequence[Turn]) -> list[str]:
    """Each turn as the judge sees it."""
    hasher = hashlib.sha256(prompt_name.encode())
    shown = []
    for role, content in turns:
        quoted = _quoted(content)
        hasher.update(f"\n{role}\n{quoted}".encode())
        code = hasher.hexdigest()[:16]
        shown.append(f'<turn-{code} role="{role}">\n{quoted}\n</turn-{code}>')
    return shown


def _quoted(content: str) -> str:
    """A JSON string of CONTENT in which no control token stands whole."""
    return SPECIAL_TOKEN.sub(lambda token: f"\\u{ord(token[0][0]):04x}{token[0][1:]}", _json_string(content))


def _json_string(content: str) -> str:
    return json.dumps(content, ensure_ascii=False)


def read_back(messages: Sequence[Turn]) -> list[Turn]:
    """The turns that `render` showed, the rated one last."""
    shown = "\n".join(content for role, content in messages if role == "user")
    return [(match[2], json.loads(match[3])) for match in TURN.finditer(shown)]
