"""What records only name by id: questions and answers, found in the files given beside.

Known are the shapes of FastChat, QLoRA, MT-bench and WildBench. Where a text is in none of the files its
record is rejected, or, if the user asks for it, a stand-in that says so takes its place: the verdicts can
then be counted, and nothing should be trained on them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.reader import Reject
from curate.readers.dialogue import marked_turns
from curate.readers.drafts import Messages
from curate.readers.fields import Fields, Unreadable
from curate.readers.rows import rows_of

QUESTION_KEYS = ("question_id", "session_id", "id")
OASST_MARKS = {"### Human:": "user", "### Assistant:": "assistant"}
MISSING = "its text is not in the file"
WITH = "name the file that holds it with --with, or take the labels alone with --stand-ins"


@dataclass(slots=True)
class Elsewhere:
    """Questions and answers by id; the files are read when the first is asked for."""

    beside: tuple[Path, ...]
    has_stand_ins: bool = False
    _questions: dict[str, tuple[Messages, ...]] = field(default_factory=dict)
    _answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    _generations: dict[tuple[str, str], str] = field(default_factory=dict)
    n_stand_ins: int = 0
    """How often a text was stood in for."""
    _is_read: bool = False

    def question(self, question_id: str) -> Messages:
        """The turns before the first answer.

        Raises Unreadable if it is in no file.
        """
        return self.turns(question_id)[0]

    def turns(self, question_id: str) -> tuple[Messages, ...]:
        """What the user says at each turn of a question.

        Raises Unreadable if it is in no file.
        """
        self._read()
        found = self._questions.get(question_id)
        if found is not None:
            return found
        return ((("user", self.stand_in(f"question {question_id}")),),)

    def answer(self, answer_id: str, question_id: str, policy: str) -> tuple[str, str]:
        """The text of an answer, found by its id or by its question and author, and who wrote it.

        Raises Unreadable if it is in no file.
        """
        self._read()
        found = self._answers.get(answer_id)
        if found is not None:
            return found
        text = self._generations.get((question_id, policy))
        return (text or self.stand_in(f"answer of {policy or answer_id} to question {question_id}")), policy

    def stand_in(self, name: str) -> str:
        """A text that says that the one called NAME is missing.

        Raises Unreadable if the user does not want any.
        """
        if not self.has_stand_ins:
            raise Unreadable(f"the text of the {name.split(maxsplit=1)[0]} is not in the file; {WITH}")
        self.n_stand_ins += 1
        return f"[{name}: {MISSING}]"

    def is_stand_in(self, text: str) -> bool:
        """Whether TEXT only says what is missing."""
        return self.has_stand_ins and text.endswith(f": {MISSING}]")

    def _read(self) -> None:
        if self._is_read:
            return
        self._is_read = True
        for path in data_files(self.beside):
            for row in rows_of(path, lambda _fields: True):
                if not isinstance(row, Reject):
                    self._learn(row.fields, path)

    def _learn(self, fields: Fields, path: Path) -> None:
        question_id = next((native for key in QUESTION_KEYS if (native := _id_in(fields, key))), "")
        if "answer_id" in fields and isinstance(text := fields.see("text"), str):
            self._answers[_id_in(fields, "answer_id")] = text, str(fields.see("model_id") or "")
            return
        if isinstance(generation := fields.see("generation"), str):
            self._generations[question_id, stem_of(path)] = generation
        turns = _question_turns(fields)
        if question_id and turns:
            self._questions.setdefault(question_id, turns)


def _id_in(fields: Fields, key: str) -> str:
    value = fields.see(key)
    return "" if value is None else str(value)


def _question_turns(fields: Fields) -> tuple[Messages, ...]:
    if "answer_id" in fields or "review_id" in fields:
        return ()
    turns = fields.see("turns")
    if isinstance(turns, list):
        return tuple((("user", text),) for text in turns if isinstance(text, str))
    said = fields.see("conversation_input")
    if isinstance(said, list):
        return (tuple((str(turn["role"]), str(turn["content"])) for turn in said),)
    text = fields.see("text")
    return (question_of(text),) if isinstance(text, str) else ()


def question_of(text: str) -> Messages:
    """The turns of a question, which may be a dialogue with OASST's marks."""
    found = marked_turns(text, OASST_MARKS) if text.startswith("### ") else ()
    return found or (("user", text),)


def stem_of(path: Path) -> str:
    """A file's name without its endings."""
    return re.sub(r"\.(jsonl?|csv)(\.gz|\.zst)?$", "", path.name)


def data_files(paths: Iterable[Path]) -> Sequence[Path]:
    """The files at PATHS, folders opened, in order of their names."""
    return [file for path in paths for file in _files_in(path)]


def _files_in(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    yield from sorted(one for one in path.rglob("*") if one.is_file() and ".json" in one.name)
