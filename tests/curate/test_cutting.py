"""Cutting a conversation into blocks: nothing lost, nothing too long, and who speaks first."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.choosing.cutting import Block, NoRoom, Turn, cut

WORD = re.compile(r"\s*\S+|\s+")


class WordSizer:
    """A token is a word with the blanks before it; the template takes one for each turn and two in all."""

    def size(self, turns: Sequence[Turn]) -> int:
        return 2 + sum(1 + count for count in self.counts([content for _, content in turns]))

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(WORD.findall(text)) for text in texts]

    def ends(self, text: str) -> list[int]:
        return [match.end() for match in WORD.finditer(text)]


SIZER = WordSizer()


def words(count: int, word: str = "w") -> str:
    return " ".join(f"{word}{n}" for n in range(count))


def joined(blocks: Sequence[Block], turns: Sequence[Turn]) -> list[Turn]:
    """The conversation that the blocks were cut from, by what is not repeated in them."""
    found: list[Turn] = []
    for block in blocks:
        held = block.turns(turns)[len(block.repeated) :]
        for part, (role, content) in zip(block.own, held, strict=True):
            if part.start > 0:
                found[-1] = (role, found[-1][1] + content)
            else:
                found.append((role, content))
    return found


def shown(blocks: Sequence[Block], turns: Sequence[Turn]) -> list[list[str]]:
    return [[f"{role[0]}{SIZER.counts([text])[0]}" for role, text in block.turns(turns)] for block in blocks]


def talk(*sizes: int, system: int = 0) -> list[Turn]:
    """Turns of so many words, the user's first."""
    turns: list[Turn] = [("system", words(system, "s"))] if system else []
    return turns + [(("user", "assistant")[i % 2], words(size, f"t{i}-")) for i, size in enumerate(sizes)]


def test_whole_rounds_fill_a_block_and_the_last_one_is_not_lost() -> None:
    turns = talk(5, 5, 5, 5, 5, 5, 5, 15)
    blocks = cut(turns, SIZER, 27)
    assert shown(blocks, turns) == [["u5", "a5", "u5", "a5"], ["u5", "a5"], ["u5", "a15"]]
    assert joined(blocks, turns) == turns  # the pair that overflowed at the very end is there


def test_the_systems_turn_is_repeated_and_counted() -> None:
    turns = talk(5, 5, 5, 5, system=4)
    blocks = cut(turns, SIZER, 20)
    assert shown(blocks, turns) == [["s4", "u5", "a5"], ["s4", "u5", "a5"]]
    assert [len(block.repeated) for block in blocks] == [0, 1]


def test_an_answer_that_fits_alone_is_not_cut_but_stands_behind_the_end_of_its_question() -> None:
    turns = talk(30, 30)
    blocks = cut(turns, SIZER, 54)
    assert shown(blocks, turns) == [["u30"], ["u20", "a30"]]
    assert blocks[1].turns(turns)[0][1].split() == words(30, "t0-").split()[-20:]
    assert joined(blocks, turns) == turns


def test_an_answer_longer_than_a_block_is_cut_into_pieces_behind_its_question() -> None:
    turns = talk(4, 100)
    blocks = cut(turns, SIZER, 40)
    assert shown(blocks, turns) == [["u4", "a32"], ["u4", "a32"], ["u4", "a32"], ["u4", "a4"]]
    assert joined(blocks, turns) == turns


def test_a_question_longer_than_a_block_is_cut_and_its_end_stays_with_the_answer() -> None:
    turns = talk(100, 5)
    blocks = cut(turns, SIZER, 40)
    assert shown(blocks, turns) == [["u37"], ["u37"], ["u26", "a5"]]
    assert joined(blocks, turns) == turns


def test_a_letter_stays_with_its_accents() -> None:
    class Letters(WordSizer):
        def counts(self, texts: Sequence[str]) -> list[int]:
            return [len(text) for text in texts]

        def ends(self, text: str) -> list[int]:
            return list(range(1, len(text) + 1))

    turns: list[Turn] = [("user", "e\u0301" * 60)]
    blocks = cut(turns, Letters(), 36)
    assert joined(blocks, turns) == turns
    assert all(block.turns(turns)[0][1].startswith("e") for block in blocks)


def test_a_system_turn_that_leaves_no_room_is_said() -> None:
    with pytest.raises(NoRoom, match="more than half of a block"):
        cut(talk(30, 30, system=30), SIZER, 40)


ROLES = st.lists(st.sampled_from(["user", "assistant", "tool"]), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(ROLES, st.lists(st.integers(0, 60), min_size=12, max_size=12), st.integers(0, 12), st.integers(32, 90))
def test_blocks_give_the_conversation_back_fit_and_begin_with_the_user(
    roles: list[str], sizes: list[int], system: int, limit: int
) -> None:
    turns: list[Turn] = [("system", words(system, "s"))] if system else []
    turns += [(role, words(sizes[i], f"t{i}-")) for i, role in enumerate(roles)]
    if SIZER.size(turns) <= limit:
        return
    try:
        blocks = cut(turns, SIZER, limit)
    except NoRoom:
        assert system  # only a system's turn can take the room that a piece needs
        assert SIZER.size(turns[:1]) > limit // 2
        return
    assert joined(blocks, turns) == turns
    for block in blocks:
        held = block.turns(turns)
        assert SIZER.size(held) <= limit
        spoken = [role for role, _ in held if role != "system"]
        assert (
            not spoken or spoken[0] == "user" or turns[len(turns) - len(roles)][0] != "user"
        )  # a talk that does not begin with the user cannot make one that does
    own = [part for block in blocks for part in block.own]
    for part in own:  # only what fits in no block behind its question is in pieces
        if part.end - part.start < len(turns[part.position][1]):
            role = turns[part.position][0]
            least = SIZER.size([*turns[: bool(system)], turns[part.position]]) + (17 if role != "user" else 0)
            assert least > limit
