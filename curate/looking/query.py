"""Read-only questions a user types."""

import threading
from typing import Any

from store.db import Store
from store.errors import RequestError


def run_query(
    store: Store, query: str, limit: int, *, timeout_s: float | None = None
) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Column names, at most LIMIT rows (0: all), and whether rows were left out.

    The turn is locked down first: no file, no network, no setting is reachable.
    Raises RequestError with DuckDB's own words if the query is wrong, or if it takes longer than TIMEOUT_S.
    """
    import duckdb

    read_only = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    with store.read() as reading:
        reading.lock_down()
        clock = threading.Timer(timeout_s or 0, reading.con.interrupt)
        if timeout_s is not None:
            clock.start()
        try:
            statements = duckdb.extract_statements(query)
            if len(statements) != 1 or statements[0].type not in read_only:
                raise RequestError("only one SELECT at a time; the store is written by commands")
            result = reading.con.execute(query)
            columns = [column[0] for column in result.description]
            rows = result.fetchmany(limit + 1) if limit else result.fetchall()
        except duckdb.InterruptException as error:
            if timeout_s is None:
                raise
            raise RequestError(f"the query took longer than {timeout_s:g} s and was stopped") from error
        except duckdb.Error as error:
            raise RequestError(f"the query failed: {str(error).strip()}") from error
        finally:
            clock.cancel()
    return columns, rows[:limit] if limit else rows, bool(limit) and len(rows) > limit


def latest_decisions(store: Store, verdict: str | None, by: str | None, limit: int) -> list[dict[str, Any]]:
    """The decisions in force, newest first; BY keeps only those of one decider.

    VERDICT keeps only `keep`, `drop` or, for what a rule flagged, `undecided`.
    """
    with store.read() as reading:
        return reading.dicts(
            """
            SELECT
                if(target_kind = 'conversation', 'c1-', 'm1-')
                    || replace(CAST(target_id AS VARCHAR), '-', '') AS target,
                verdict, reason, decided_by, decided_at, evidence
            FROM latest_decisions
            WHERE (verdict <> 'undecided' OR ($verdict = 'undecided' AND evidence IS NOT NULL))
                AND coalesce(verdict = $verdict, $verdict IS NULL)
                AND ($by IS NULL OR decided_by = $by OR split_part(decided_by, '/', 1) = $by)
            ORDER BY decided_at DESC, target
            LIMIT $limit
            """,
            {"verdict": verdict, "by": by, "limit": limit},
        )
