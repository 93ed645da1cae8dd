import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from label.chat import CallError
from label.engine.breaker import Breaker
from label.engine.failures import (
    BACKOFF_CAP_S,
    BLOCKED,
    PACE,
    QUOTA_CODES,
    REFUSED_REQUEST,
    RETRY,
    STOP,
    UNFIT,
    backoff_s,
    classify,
    retry_after_s,
)
from store.errors import ProviderStopped

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

CLASSES = [
    (CallError("connection error"), RETRY),
    (CallError("timed out", code="timeout"), RETRY),
    (CallError("conflict", status=409), RETRY),
    (CallError("slow", status=408), RETRY),
    (CallError("oops", status=500), RETRY),
    (CallError("busy", status=503), RETRY),
    (CallError("overloaded", status=529), RETRY),
    (CallError("slow down", status=429, code="rate_limit_exceeded"), PACE),
    (CallError("no money", status=429, code="insufficient_quota"), STOP),
    (CallError("no money", status=429, code="None insufficient_quota"), STOP),
    (CallError("limit", status=400, code="billing_hard_limit_reached"), STOP),
    (CallError("key", status=401), STOP),
    (CallError("pay", status=402), STOP),
    (CallError("no", status=403), STOP),
    (CallError("no such model", status=404, code="model_not_found"), STOP),
    (CallError("too long", status=400, code="context_length_exceeded"), UNFIT),
    (CallError("This model's maximum context length is 8192 tokens", status=400), UNFIT),
    (CallError("too large", status=413), UNFIT),
    (CallError("filtered", status=400, code="content_filter"), BLOCKED),
    (CallError("violates our content policy", status=400), BLOCKED),
    (CallError("bad parameter", status=400), REFUSED_REQUEST),
    (CallError("bad entity", status=422), REFUSED_REQUEST),
]


@pytest.mark.parametrize(("error", "failure"), CLASSES, ids=lambda value: str(getattr(value, "status", "")))
def test_every_failure_has_its_class(error: CallError, failure: object) -> None:
    assert classify(error) == failure


@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_every_word_for_an_empty_account_stops_the_run_whatever_status_carries_it(status: int) -> None:
    for code in QUOTA_CODES:
        assert classify(CallError("no", status=status, code=f"{code.upper()} some_type")) == STOP


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("121", 120.0),
        ("4e6", 120.0),
        ("inf", 120.0),
        ("-1", None),
        ("NaN", None),
        ("", None),
        ("  ", None),
        ("soon", None),
        (None, None),
        (format_datetime(NOW + timedelta(seconds=7)), 7.0),
        (format_datetime(NOW + timedelta(days=9)), 120.0),
        (format_datetime(NOW - timedelta(seconds=7)), None),
    ],
)
def test_retry_after_is_believed_within_bounds(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header, NOW) == wait_s


def test_waits_grow_are_jittered_and_capped() -> None:
    chance = random.Random(1)
    waits = [backoff_s(RETRY, tries, chance) for tries in range(1, 12)]
    assert all(0.25 <= wait <= BACKOFF_CAP_S for wait in waits)
    assert waits[0] <= 0.5 < waits[4]
    assert sum(backoff_s(PACE, tries, chance) for tries in range(1, 6)) > 30


class SetClock:
    now = 0.0

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_moment_of_failures_is_no_outage_but_a_lasting_one_is() -> None:
    clock = SetClock()
    breaker = Breaker(clock)
    for _ in range(40):
        breaker.failed("connection refused")
    clock.now = 11.0
    with pytest.raises(ProviderStopped, match="41 failures in a row, the last: connection refused"):
        breaker.failed("connection refused")


def test_one_answer_closes_the_breaker() -> None:
    clock = SetClock()
    breaker = Breaker(clock)
    for number in range(100):
        clock.now = float(number)
        breaker.failed("500")
        if number % 19 == 18:
            breaker.succeeded()


def test_twenty_requests_turned_down_for_good_stop_the_run() -> None:
    breaker = Breaker(SetClock())
    for _ in range(19):
        breaker.gave_up("unknown parameter")
    with pytest.raises(ProviderStopped, match="20 failures in a row"):
        breaker.gave_up("unknown parameter")
