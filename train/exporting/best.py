"""Rows made of the responses of one rank (RSFT), prompt by prompt, in the order of their ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from label.ranking.order import ranked
from label.ranking.scores import Scoring, read_scores
from store.chat_format import ChatFormat
from store.db import Store
from store.errors import BadSettings, StoreDamaged
from store.named_sql import named_sql
from train.exporter import ExportRow
from train.exporting.conversations import licenses
from train.exporting.measured import supervised
from train.exporting.rows import Tally, TrainingRow
from train.exporting.staging import staged_batches
from train.exporting.steps import Step
from train.recipe import SourceLicense
from train.recipes.rsft import RsftSettings, row_of, steps_of

if TYPE_CHECKING:
    import pyarrow as pa

    from label.ranking.order import Sets

PROMPTS_PER_TURN = 50_000
"""Prompts whose texts are copied in one turn at the store."""
BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class BestResponses:
    """The responses of one rank at one version of the store."""

    store: Store
    """A handle fixed at the version."""
    at_version: int
    sources: tuple[SourceLicense, ...]
    settings: RsftSettings
    chosen: "pa.Table"
    """`prompt_id`, `response_id` and `score`, by prompt."""
    n_read: int
    """Responses that were looked at."""
    dropped: dict[str, int]
    """Why the others are not taken."""

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing more."""
        return {}

    @property
    def query(self) -> str:
        """The SQL that reads the texts."""
        return named_sql("train", "answer_texts")

    def stage(self, path: Path, tally: Tally) -> None:
        """Copy the texts to an Arrow stream at PATH."""
        import pyarrow as pa

        count = tally.of("rank")
        count.before = self.n_read
        count.dropped.update(self.dropped)
        writer: pa.RecordBatchStreamWriter | None = None
        for start in range(0, self.chosen.num_rows, PROMPTS_PER_TURN):
            with self.store.read() as reading:
                reading.con.register("chosen_answers", self.chosen.slice(start, PROMPTS_PER_TURN))
                for batch in reading.batches(self.query, rows=BATCH_ROWS):
                    writer = writer or pa.ipc.new_stream(path, batch.schema)
                    writer.write_batch(batch)
                reading.con.unregister("chosen_answers")
        if writer is not None:
            writer.close()

    def rows(self, path: Path) -> Iterator[TrainingRow]:
        """The staged responses, one at a time."""
        for batch in staged_batches(path):
            for record in batch.to_pylist():
                if record["roles"] is None or record["answer"] is None:
                    raise StoreDamaged(
                        f"prompt {record['prompt_id']} or its response is not there; see: curate verify"
                    )
                yield row_of(record)

    def steps(self, control_tokens: tuple[str, ...]) -> dict[str, Step[TrainingRow]]:
        """The steps of the recipe."""
        return steps_of(self.settings, control_tokens)

    def measured(
        self, rows: Iterator[TrainingRow], chat: ChatFormat | None, max_length: int, tally: Tally
    ) -> Iterator[ExportRow]:
        """Rows with their tokens; those left without a trained token by the cut are dropped."""
        return supervised(rows, chat, max_length, tally)


def look_at_best(store: Store, settings: RsftSettings) -> BestResponses:
    """The responses of the wanted rank now, or at the version STORE is fixed at.

    Raises RequestError where nothing is scored, UnknownName for a name that is not there.
    """
    if settings.rank < 1 or (settings.candidates is not None and settings.candidates < settings.rank):
        raise BadSettings("--rank counts from 1 up to --candidates")
    scoring = Scoring(
        reward_models=settings.reward_models,
        ratings=settings.ratings,
        length_penalty=settings.length_penalty,
        policies=settings.policies,
        prompts=settings.prompts,
        candidates=settings.candidates,
    )
    with store.read() as reading:
        scores = read_scores(reading, scoring)
        sources = licenses(reading)
        version = reading.version
    chosen, n_few = _of_rank(scores.sets, settings.rank, scoring.epsilon)
    dropped = dict(scores.step.dropped)
    dropped["another rank"] = scores.step.kept - chosen.num_rows - n_few
    if n_few:
        dropped["fewer responses than the rank"] = n_few
    return BestResponses(
        store=store.at_version(version),
        at_version=version,
        sources=sources,
        settings=settings,
        chosen=chosen,
        n_read=scores.step.read,
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def _of_rank(sets: "Sets", rank: int, epsilon: float) -> "tuple[pa.Table, int]":
    """The response of that rank under each prompt, by prompt, and how many responses had prompts with too few."""
    import numpy as np
    import pyarrow as pa

    from label.id_columns import sorted_places, uuid_column

    prompts, responses, values = [], [], []
    n_few = 0
    for piece in ranked(sets, epsilon):
        if piece.size < rank:
            n_few += piece.rows.size
            continue
        rows = piece.rows[:, rank - 1]
        prompts.append(sets.prompts[piece.sets])
        responses.append(sets.responses[rows])
        values.append(piece.scores[:, rank - 1])
    if not prompts:
        raise BadSettings(f"no prompt has {rank} different responses with a score")
    ids, answers = np.concatenate(prompts), np.concatenate(responses)
    order = sorted_places(ids)
    table = pa.table(
        {
            "prompt_id": uuid_column(ids[order]),
            "response_id": uuid_column(answers[order]),
            "score": pa.array(np.concatenate(values)[order]),
        }
    )
    return table, n_few
