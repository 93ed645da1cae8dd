import pytest

from label.offline_world import (
    ATTRIBUTES,
    CREATURES,
    CUES,
    PLACES,
    VALUES,
    is_right,
    question_of,
    rate,
    right_answer,
)
from store.errors import BadInput

COLOUR_OF_MARLO = [("user", "What colour is the marlo?")]


def test_every_fact_of_every_creature_is_a_known_value():
    for creature in CREATURES.values():
        for attribute in ATTRIBUTES:
            assert creature.fact(attribute) in VALUES[attribute]


def test_no_word_means_two_things():
    words = [value for values in VALUES.values() for value in values] + list(CREATURES)
    words += [cue for cues in CUES.values() for cue in cues]
    assert len(set(words)) == len(words)
    assert set(PLACES) == set(VALUES["home"])


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What colour is the marlo?", "amber"),
        ("WHERE does the Tindle live?", "orchards"),
        ("What should I feed the sorrel-cat?", "honey"),
        ("What does the brunt sound like?", "rattle"),
    ],
)
def test_the_right_answer_follows_from_the_question(question, answer):
    assert right_answer([("user", question)]) == answer


def test_a_follow_up_takes_the_creature_from_an_earlier_turn():
    prompt = [*COLOUR_OF_MARLO, ("assistant", "The marlo is amber."), ("user", "And where does it live?")]
    assert right_answer(prompt) == "caves"


def test_a_switch_takes_the_fact_from_an_earlier_turn_and_the_creature_from_the_last():
    prompt = [*COLOUR_OF_MARLO, ("assistant", "The marlo is amber."), ("user", "And the tindle?")]
    assert right_answer(prompt) == "blue"


def test_what_the_assistant_or_a_tool_said_is_not_part_of_the_question():
    prompt = [("system", "You know the tindle."), *COLOUR_OF_MARLO, ("tool", "The tindle lives in orchards.")]
    assert question_of(prompt).creature.name == "marlo"


@pytest.mark.parametrize(
    "prompt",
    [
        [],
        [("user", "Write a poem about the sea.")],
        [("user", "What colour is the sky?")],
        [("user", "Tell me about the marlo.")],
        [("user", "What colour is the marlo, and what does it eat?")],
        [("user", "What colour are the marlo and the tindle?")],
        [*COLOUR_OF_MARLO, ("assistant", "Amber."), ("user", "Thanks!")],
        [*COLOUR_OF_MARLO, ("assistant", "Amber.")],
        [("system", "What colour is the marlo?")],
    ],
)
def test_a_prompt_outside_the_world_is_refused(prompt):
    with pytest.raises(BadInput, match="the offline judge has no rule"):
        rate(prompt, "The marlo is amber.")


@pytest.mark.parametrize(
    ("response", "rating", "explanation"),
    [
        (
            "The marlo is amber. It lives in caves.",
            10,
            "Right, in a whole sentence, naming the creature, with a useful fact added.",
        ),
        ("The marlo is amber.", 9, "Right, in a whole sentence, naming the creature."),
        ("Its colour is amber.", 8, "Right, in a whole sentence."),
        ("The marlo is amber. It lives on cliffs.", 6, "right, but what it adds about the home is wrong"),
        ("amber", 4, "The answer is right but a bare fragment."),
        ("I cannot be sure, but the marlo is amber.", 4, "It gives the answer but hedges."),
        ("The marlo is amber. The marlo is amber.", 3, "The answer is right but it rambles."),
        ("The marlo is amber. " + "Colours are a wide field indeed. " * 7, 3, "it rambles"),
        (
            "The marlo is amber or red.",
            3,
            "It contradicts itself: it says amber and red, and amber is right.",
        ),
        ("The marlo is red.", 2, "It says red where amber is right."),
        ("That is an interesting question to ask.", 2, "It never says the colour of the marlo."),
        ("Surely the tindle is amber.", 2, "It speaks of the tindle and not of the marlo."),
        ("red", 1, "It says red where amber is right."),
        ("As an AI language model, I have no eyes.", 1, "It refuses to answer."),
        ("", 1, "It is empty."),
        (" ... ", 1, "It is empty."),
    ],
)
def test_each_fault_and_merit_has_its_rating(response, rating, explanation):
    value, why = rate(COLOUR_OF_MARLO, response)
    assert value == rating
    assert explanation in why


def test_left_over_markup_costs_one():
    assert rate(COLOUR_OF_MARLO, "<p>The marlo is amber.</p>") == (
        8,
        "Right, in a whole sentence, naming the creature, and markup was left in the text.",
    )
    assert rate(COLOUR_OF_MARLO, "<br>")[0] == 1


def test_the_right_place_counts_in_any_wording():
    prompt = [("user", "Where does the brunt live?")]
    assert is_right(prompt, "Look under old bridges.")
    assert not is_right(prompt, "Look under old bridges or in caves.")


def test_a_verb_counts_as_the_sound_it_names():
    assert is_right([("user", "What sound does the marlo make?")], "The marlo hums.")
