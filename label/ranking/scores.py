"""The score that ranks responses: a reward, several rewards together, or ratings; less what length costs.

What is read here is the whole of what the store holds on the prompts asked for, one row a response, with
the reasons why others take no part.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from label.id_columns import Ids, Places, are_among, ids_of, uuid_column
from label.ranking.order import TIE, Scores, Sets, ranked, repeated, sets_of
from store.errors import BadSettings, RequestError, UnknownName
from store.named_sql import named_sql
from store.selections import selection_named

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading

ReasonCounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RewardModel:
    """A reward model as the store knows it."""

    name: str
    revision: str

    def __str__(self) -> str:
        """As it is named on the command line."""
        return f"{self.name}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a score is made of, and which responses take part."""

    reward_models: tuple[str, ...] = ()
    """`NAME@REVISION` where a name has more than one revision. Empty takes the only one of the store."""
    together: bool = False
    """Whether several reward models, all of the store if none is named, are one score: the mean of their
    z-normalised rewards."""
    ratings: str | None = None
    """The labeler whose ratings are the score instead: the mean over draws, then over aspects."""
    scale: str | None = None
    """Only ratings, or verdicts, on this scale."""
    template: str | None = None
    """Only ratings, or verdicts, asked for with this template."""
    aspects: tuple[str, ...] = ()
    """Only ratings of these; empty takes all that the labeler rated."""
    sources: tuple[str, ...] = ()
    """Only ratings and verdicts that came with these sources; empty takes all."""
    length_penalty: float = 0.0
    """What each character of a response costs (RLHF Workflow: 0.001)."""
    policies: tuple[str, ...] = ()
    """Only responses that one of these gave; empty takes all."""
    prompts: str | None = None
    """Only prompts of this selection."""
    candidates: int | None = None
    """Only the first so many draws of each policy under a prompt (Xwin-LM, Figure 6); None takes all."""
    with_truncated: bool = False
    """Whether responses that were cut off, by the sampler or before scoring, take part."""
    trims: bool = False
    """Whether texts that differ in white space at their ends are one response."""
    epsilon: float = TIE
    """Scores closer than this are a tie."""

    def __post_init__(self) -> None:
        if self.ratings is not None and self.reward_models:
            raise BadSettings("the score is made of rewards or of ratings: give --reward-model or --ratings")
        if self.together and (self.ratings is not None or len(self.reward_models) == 1):
            raise BadSettings("--together makes one score of several reward models")
        if self.aspects and self.ratings is None:
            raise BadSettings("--aspect is about ratings: add --ratings")
        if self.length_penalty < 0 or self.epsilon < 0:
            raise BadSettings("--length-penalty and --epsilon are not negative")

    @property
    def reads_texts(self) -> bool:
        """Whether the texts have to be read."""
        return self.length_penalty > 0 or self.trims


@dataclass(frozen=True, slots=True)
class Step:
    """What one step took and left: read = kept + dropped."""

    name: str
    unit: Literal["responses", "verdicts", "prompts", "pairs"]
    read: int
    dropped: ReasonCounts

    @property
    def kept(self) -> int:
        """What went on."""
        return self.read - sum(self.dropped.values())

    def as_json(self) -> dict[str, object]:
        """Counts as stored and printed."""
        return {"unit": self.unit, "in": self.read, "kept": self.kept, "dropped": dict(self.dropped)}


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows of responses as they are read."""

    prompts: Ids
    responses: Ids
    scores: Scores
    is_scored: NDArray[np.bool_]
    is_truncated: NDArray[np.bool_]
    texts: Ids = field(default_factory=lambda: np.empty((0, 2), dtype=np.uint64))
    """A hash of each text without white space at its ends, where that was asked for."""
    has_text: NDArray[np.bool_] | None = None
    sets: Sets | None = None
    """The rows by prompt, where they were grouped already."""

    def __len__(self) -> int:
        return len(self.scores)

    def only(self, keep: "NDArray[np.bool_] | Places") -> "Scored":
        """Some of the rows."""
        return Scored(
            self.prompts[keep],
            self.responses[keep],
            self.scores[keep],
            self.is_scored[keep],
            self.is_truncated[keep],
            self.texts[keep] if len(self.texts) else self.texts,
            None if self.has_text is None else self.has_text[keep],
        )


@dataclass(frozen=True, slots=True)
class ScoredSets:
    """Scored responses by prompt, and how it came to them."""

    sets: Sets
    rows: Scored
    score_of: str
    """What the score is, in words."""
    step: Step


def reward_models(reading: "Reading") -> list[RewardModel]:
    """The reward models whose numbers the store holds."""
    rows = reading.rows("SELECT DISTINCT reward_model, revision FROM rewards ORDER BY ALL")
    return [RewardModel(*row) for row in rows]


def chosen_models(reading: "Reading", scoring: Scoring) -> list[RewardModel]:
    """The reward models a score is made of: the one named, the only one, or several together.

    Raises UnknownName, or RequestError where more than one could be meant.
    """
    known = reward_models(reading)
    if not known:
        raise RequestError("the store holds no rewards; score responses with: label reward")
    chosen = [_named(name, known) for name in scoring.reward_models] or known
    if len(chosen) > 1 and not scoring.together:
        raise RequestError(f"name one --reward-model, or say --together: {', '.join(map(str, chosen))}")
    return chosen


def named_models(reading: "Reading", scoring: Scoring) -> list[RewardModel]:
    """Every reward model named, all of the store if none is, for a score each."""
    return chosen_models(reading, replace(scoring, together=len(scoring.reward_models) != 1))


def _named(text: str, known: list[RewardModel]) -> RewardModel:
    found = [one for one in known if text in (one.name, str(one))]
    if not found:
        raise UnknownName.of("reward model", text, {one.name for one in known} | set(map(str, known)))
    if len(found) > 1:
        raise RequestError(f"{text} has more than one revision; name one: {', '.join(map(str, found))}")
    return found[0]


def read_scores(reading: "Reading", scoring: Scoring) -> ScoredSets:
    """The scored responses that were asked for.

    Raises RequestError if none has a score.
    """
    reading.con.execute("SET arrow_lossless_conversion = true")  # UUIDs as 16 bytes instead of text
    rows, score_of = _read(reading, scoring)
    reasons: Counter[str] = Counter()
    rows = _leave_out(rows, ~rows.is_scored, "no_score", reasons)
    rows = _leave_out(rows, ~np.isfinite(rows.scores), "not_finite", reasons)
    if scoring.reads_texts and rows.has_text is not None:
        rows = _leave_out(rows, ~rows.has_text, "no_text", reasons)
    if not scoring.with_truncated:
        is_cut = rows.is_truncated | are_among(rows.responses, cut_draws(reading))
        rows = _leave_out(rows, is_cut, "truncated", reasons)
    if not len(rows):
        raise RequestError(f"no response has a score ({_in_words(reasons)})")
    sets = rows.sets or sets_of(rows.prompts, rows.responses, rows.scores)
    if scoring.trims:
        rows = _without_equal_texts(rows, sets, scoring.epsilon, reasons)
        sets = sets_of(rows.prompts, rows.responses, rows.scores)
    step = Step("responses", "responses", len(rows) + reasons.total(), dict(sorted(reasons.items())))
    return ScoredSets(sets, rows, score_of, step)


def _in_words(reasons: ReasonCounts) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "none was found"


def _leave_out(rows: Scored, leaves: NDArray[np.bool_], reason: str, reasons: Counter[str]) -> Scored:
    count = int(leaves.sum())
    if not count:
        return rows
    reasons[reason] += count
    return rows.only(~leaves)


def _without_equal_texts(rows: Scored, sets: Sets, epsilon: float, reasons: Counter[str]) -> Scored:
    """Of a prompt's responses with one text only the one that ranks best."""
    ranks = np.empty(len(rows), dtype=np.intp)
    for piece in ranked(sets, epsilon):
        ranks[piece.rows] = np.arange(piece.size)
    texts, prompts = rows.texts, rows.prompts
    order = np.lexsort((ranks, texts[:, 1], texts[:, 0], prompts[:, 1], prompts[:, 0]))
    texts, prompts = texts[order], prompts[order]
    is_again = np.zeros(len(rows), dtype=np.bool_)
    is_again[order[1:]] = ((texts[1:] == texts[:-1]) & (prompts[1:] == prompts[:-1])).all(axis=1)
    return _leave_out(rows, is_again, "equal_text", reasons)


def cut_draws(reading: "Reading") -> Ids:
    """Responses that were never drawn to their end."""
    reading.con.execute("SET arrow_lossless_conversion = true")  # UUIDs as 16 bytes instead of text
    return ids_of(reading.arrow(named_sql("label", "cut_draws")).column("response_id"))


def _read(reading: "Reading", scoring: Scoring) -> tuple[Scored, str]:
    check_sources(reading, scoring.sources)
    if scoring.ratings is not None:
        return _rows(reading, scoring, _rated(reading, scoring, scoring.ratings)), (
            f"mean rating by {scoring.ratings}"
        )
    models = chosen_models(reading, scoring)
    if scoring.sources:
        raise BadSettings("--source is about ratings and verdicts: add --ratings, or take `--rule judged`")
    if len(models) > 1:
        words = " + ".join(map(str, models)) + " (mean of z)"
        return _rows(reading, scoring, _ensemble(reading, scoring, models)), words
    return _one_model(reading, scoring, models[0]), str(models[0])


def _rated(reading: "Reading", scoring: Scoring, labeler: str) -> "pa.Table":
    rows = reading.rows("SELECT DISTINCT labeler, scale, template FROM ratings ORDER BY ALL")
    if labeler not in {name for name, _, _ in rows}:
        raise UnknownName.of("labeler with ratings", labeler, {name for name, _, _ in rows})
    own = [(scale, template) for name, scale, template in rows if name == labeler]
    if scoring.template is not None and scoring.template not in {template for _, template in own}:
        raise UnknownName.of(f"template of {labeler}", scoring.template, {template for _, template in own})
    scales = {scale for scale, template in own if scoring.template in (None, template)}
    if scoring.scale is not None and scoring.scale not in scales:
        raise UnknownName.of(f"scale of {labeler}", scoring.scale, scales)
    if scoring.scale is None and len(scales) > 1:
        raise RequestError(f"{labeler} rated on more than one --scale; name one: {', '.join(sorted(scales))}")
    _check_aspects(reading, labeler, scoring.aspects)
    where = conditions(reading, scoring)
    asked = {
        "labeler": labeler,
        "scale": scoring.scale,
        "template": scoring.template,
        "aspects": list(scoring.aspects) or None,
        "sources": list(scoring.sources) or None,
    }
    return reading.arrow(named_sql("label", "scored_by_ratings").replace("/* where */", where), asked)


def _one_model(reading: "Reading", scoring: Scoring, model: RewardModel) -> Scored:
    """Rewards as they are stored, and the latest only of those that were given more than once."""
    import pyarrow as pa

    where = conditions(reading, scoring)
    named = {"reward_model": model.name, "revision": model.revision}
    table = reading.arrow(named_sql("label", "scored_once").replace("/* where */", where), named)
    prompts, responses = (ids_of(table.column(name)) for name in ("prompt_id", "response_id"))
    sets = sets_of(prompts, responses, np.empty(0))
    twice = repeated(sets)
    if not len(twice):
        if scoring.reads_texts:
            return _rows(reading, scoring, table)
        rows = _scored(table, prompts, responses)
        return replace(rows, sets=replace(sets, scores=rows.scores))
    reading.con.register("repeated_ids", pa.table({"response_id": uuid_column(twice)}))
    latest = reading.arrow(named_sql("label", "scored_again").replace("/* where */", where), named)
    reading.con.unregister("repeated_ids")
    once = table.filter(pa.array(~are_among(responses, twice)))
    return _rows(reading, scoring, pa.concat_tables([once, latest.cast(once.schema)]))


def _ensemble(reading: "Reading", scoring: Scoring, models: list[RewardModel]) -> "pa.Table":
    return reading.arrow(
        named_sql("label", "scored_together").replace("/* where */", conditions(reading, scoring)),
        {
            "names": [one.name for one in models],
            "revisions": [one.revision for one in models],
            "n_models": len(models),
        },
    )


def conditions(reading: "Reading", scoring: Scoring, columns: tuple[str, ...] = ("response_id",)) -> str:
    """What SCORING asks of prompts and of the responses in COLUMNS, as SQL to add to a WHERE clause."""
    sql = ""
    if scoring.prompts is not None:
        chosen = selection_named(reading, scoring.prompts, "prompts").selection_id
        sql += f" AND prompt_id IN (SELECT prompt_id FROM selection_prompts WHERE selection_id = '{chosen}')"
    if scoring.policies:
        _check_policies(reading, scoring.policies)
        reading.con.execute("SET VARIABLE scored_policies = $names", {"names": list(scoring.policies)})
        for column in columns:
            sql += f" AND {column} IN ({named_sql('label', 'responses_of_policies')})"
    if scoring.candidates is not None:
        first = _first_draws(scoring)
        for column in columns:
            sql += f" AND (prompt_id, {column}) IN ({first})"
    return sql


def _first_draws(scoring: Scoring) -> str:
    """The first draws of each policy that takes part."""
    sql = f"SELECT (prompt_id, response_id) FROM samples WHERE sample_index < {int(scoring.candidates or 0)}"
    return sql + (" AND list_contains(getvariable('scored_policies'), policy)" if scoring.policies else "")


def check_sources(reading: "Reading", sources: tuple[str, ...]) -> None:
    """Raises UnknownName for a source that the store does not hold."""
    known = [name for (name,) in reading.rows("SELECT DISTINCT name FROM current_sources")] if sources else []
    for source in sources:
        if source not in known:
            raise UnknownName.of("source", source, known)


def _check_aspects(reading: "Reading", labeler: str, aspects: tuple[str, ...]) -> None:
    rows = reading.rows("SELECT DISTINCT aspect FROM ratings WHERE labeler = ?", [labeler]) if aspects else []
    known = [aspect for (aspect,) in rows]
    for aspect in aspects:
        if aspect not in known:
            raise UnknownName.of(f"aspect of {labeler}", aspect, known)


def _check_policies(reading: "Reading", policies: tuple[str, ...]) -> None:
    known = [policy for (policy,) in reading.rows(named_sql("label", "policies"))]
    for policy in policies:
        if policy not in known:
            raise UnknownName.of("policy", policy, known)


def _rows(reading: "Reading", scoring: Scoring, table: "pa.Table") -> Scored:
    """The rows as columns; scores less what their length costs, where it costs something."""
    if not scoring.reads_texts:
        return _scored(table, ids_of(table.column("prompt_id")), ids_of(table.column("response_id")))
    reading.con.register("scored_rows", table)
    table = reading.arrow(named_sql("label", "scored_texts"))
    reading.con.unregister("scored_rows")
    rows = _scored(table, ids_of(table.column("prompt_id")), ids_of(table.column("response_id")))
    characters = table.column("characters").to_numpy()
    return replace(
        rows,
        scores=rows.scores - scoring.length_penalty * characters,
        texts=ids_of(table.column("text_key")),
        has_text=characters >= 0,
    )


def _scored(table: "pa.Table", prompts: Ids, responses: Ids) -> Scored:
    return Scored(
        prompts,
        responses,
        table.column("score").to_numpy(),
        _flags(table.column("is_scored")),
        _flags(table.column("is_truncated")),
    )


def _flags(column: "pa.ChunkedArray") -> NDArray[np.bool_]:
    """Booleans, which come as bytes where conversion is lossless."""
    return np.asarray(column.to_numpy(), dtype=np.bool_)
