"""The answers a judge of two responses may give, as data: labels, what they mean, and their signed margins.

A margin is positive where response A is better, 1 at most. The label is stored as it was given.
"""

from dataclasses import dataclass

from store.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Label:
    """One answer of a scale."""

    name: str
    margin: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The answers to choose from, from A clearly better to B clearly better."""

    name: str
    labels: tuple[Label, ...]
    strengths: tuple[tuple[str, float], ...]
    """Names of the sizes of a margin, the largest first."""

    @property
    def names(self) -> list[str]:
        """The labels' names, in order."""
        return [label.name for label in self.labels]

    @property
    def tie(self) -> str | None:
        """The label that says neither is better, if there is one."""
        return next((label.name for label in self.labels if label.margin == 0), None)

    def margin_of(self, name: str) -> float:
        """The signed margin of the label called NAME."""
        return next(label.margin for label in self.labels if label.name == name)

    def strength_of(self, margin: float) -> str:
        """The strength that MARGIN reaches: between two, the smaller."""
        reached = (name for name, size in self.strengths if abs(margin) >= size)
        return next(reached, self.strengths[-1][0])

    @property
    def is_probability(self) -> bool:
        """Whether the margin comes from how probable the labels are, not from the one that was given."""
        return self.name == "logprob"

    def in_words(self) -> str:
        """The labels and their meanings, a line each, as a judge is told them."""
        return "\n".join(f'- "{label.name}": {label.meaning}' for label in self.labels)


XWIN4 = Scale(  # Xwin-LM, section 4.1: which is better, why, and how much; there is no tie
    "xwin4",
    (
        Label("a-is-significantly-better", 1.0, "response A is significantly better"),
        Label("a-is-better", 0.75, "response A is better"),
        Label("a-is-slightly-better", 0.5, "response A is slightly better"),
        Label("a-is-negligibly-better", 0.25, "response A is negligibly better"),
        Label("b-is-negligibly-better", -0.25, "response B is negligibly better"),
        Label("b-is-slightly-better", -0.5, "response B is slightly better"),
        Label("b-is-better", -0.75, "response B is better"),
        Label("b-is-significantly-better", -1.0, "response B is significantly better"),
    ),
    (("significantly better", 1.0), ("better", 0.75), ("slightly better", 0.5), ("negligibly better", 0.25)),
)

CAMELS5 = Scale(  # Camels, appendix G: the labels of its annotation app
    "camels5",
    (
        Label("a-is-better", 1.0, "response A is clearly better"),
        Label("a-is-slightly-better", 0.5, "response A is slightly better"),
        Label("tie", 0.0, "neither is better"),
        Label("b-is-slightly-better", -0.5, "response B is slightly better"),
        Label("b-is-better", -1.0, "response B is clearly better"),
    ),
    (("clearly better", 1.0), ("slightly better", 0.5)),
)

ARENA5 = Scale(  # Arena-Hard
    "arena5",
    (
        Label("A>>B", 1.0, "response A is significantly better"),
        Label("A>B", 0.5, "response A is slightly better"),
        Label("A=B", 0.0, "the two are about equally good"),
        Label("B>A", -0.5, "response B is slightly better"),
        Label("B>>A", -1.0, "response B is significantly better"),
    ),
    (("significantly better", 1.0), ("slightly better", 0.5)),
)

BINARY = Scale(
    "binary",
    (Label("A", 1.0, "response A is better"), Label("B", -1.0, "response B is better")),
    (("better", 1.0),),
)

LOGPROB = Scale(  # as AlpacaEval 2: one token, and how probable the model finds A against B
    "logprob",
    (
        Label("A", 1.0, "response A is the better one"),
        Label("B", -1.0, "response B is the better one"),
    ),
    (("0.95 or more", 0.9), ("0.75 to 0.95", 0.5), ("under 0.75", 0.0)),
)
"""The margin is 2 P(A) - 1; a strength is the probability of the better response."""

SCALES = {scale.name: scale for scale in (XWIN4, CAMELS5, ARENA5, BINARY, LOGPROB)}


def scale_of(name: str) -> Scale:
    """The scale called NAME.

    Raises UnknownName, with the nearest name, if there is none.
    """
    if name not in SCALES:
        raise UnknownName.of("scale", name, SCALES)
    return SCALES[name]
