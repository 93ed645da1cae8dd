"""Scales are data: what every one of them must hold."""

import pytest

from label.comparing.scales import LOGPROB, SCALES, XWIN4, Scale, scale_of
from store.errors import UnknownName

every_scale = pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)


@every_scale
def test_margins_fall_from_a_to_b_and_mirror_each_other(scale: Scale) -> None:
    margins = [label.margin for label in scale.labels]
    assert margins == sorted(margins, reverse=True)
    assert len(set(margins)) == len(margins)
    assert margins == [-margin for margin in reversed(margins)]
    assert margins[0] == 1.0
    assert len(set(scale.names)) == len(scale.names)


@pytest.mark.parametrize("scale", [scale for scale in SCALES.values() if not scale.is_probability], ids=str)
def test_every_win_has_a_strength_of_its_own(scale: Scale) -> None:
    sizes = [abs(label.margin) for label in scale.labels if label.margin]
    assert {size for _, size in scale.strengths} == set(sizes)
    assert [size for _, size in scale.strengths] == sorted(set(sizes), reverse=True)
    for name, size in scale.strengths:
        assert scale.strength_of(size) == scale.strength_of(-size) == name


@every_scale
def test_a_label_mirrored_speaks_of_the_other_response(scale: Scale) -> None:
    for label, mirrored in zip(scale.labels, reversed(scale.labels), strict=True):
        if label.margin > 0:
            assert label.meaning.replace("response A", "response B") == mirrored.meaning


def test_between_two_strengths_the_smaller_is_meant() -> None:
    assert XWIN4.strength_of(0.875) == "better"
    assert XWIN4.strength_of(-0.6) == "slightly better"
    assert XWIN4.strength_of(0.125) == "negligibly better"


def test_only_some_scales_have_a_tie() -> None:
    assert {name: scale.tie for name, scale in SCALES.items()} == {
        "xwin4": None,
        "camels5": "tie",
        "arena5": "A=B",
        "binary": None,
        "logprob": None,
    }


def test_a_misspelt_scale_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'camels5'"):
        scale_of("camel5")


def test_the_strength_of_a_probability_is_how_probable_the_better_response_is() -> None:
    assert [LOGPROB.strength_of(2 * p - 1) for p in (0.99, 0.8, 0.6, 0.3, 0.01)] == [
        "0.95 or more",
        "0.75 to 0.95",
        "under 0.75",
        "under 0.75",
        "0.95 or more",
    ]


def test_no_scale_reads_as_another_in_a_prompt() -> None:
    for scale in SCALES.values():
        assert [other.name for other in SCALES.values() if other.in_words() in scale.in_words()] == [
            scale.name
        ]
