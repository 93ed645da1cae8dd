import asyncio

import pytest

from label.chat import ChatReply, ChatRequest, RateLimits
from label.engine.durable import GroupCommit
from label.engine.pacing import SHARE, Lanes, Pace, TokenBucket
from store.config import Limits
from store.errors import PreferablyError

REQUEST = ChatRequest("openai", "http://h", "m", (("user", "x" * 84),), sampling={"max_tokens": 70})


class JumpClock:
    """A clock whose sleeps pass at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def test_a_bucket_lets_half_a_second_through_at_once_and_then_its_rate() -> None:
    async def take() -> None:
        clock = JumpClock()
        bucket = TokenBucket(6000, clock)
        await bucket.take(50)
        assert clock.now == 0
        for _ in range(60):
            await bucket.take(100)
        assert clock.now == pytest.approx(60, abs=0.6)

    asyncio.run(take())


def test_more_than_a_full_bucket_is_taken_on_credit() -> None:
    async def take() -> None:
        clock = JumpClock()
        bucket = TokenBucket(600, clock)
        await bucket.take(50)
        assert clock.now == 0
        await bucket.take(5)
        assert clock.now == pytest.approx(5)

    asyncio.run(take())


def test_what_was_not_used_comes_back_and_what_was_used_beyond_is_owed() -> None:
    async def take() -> None:
        clock = JumpClock()
        bucket = TokenBucket(600, clock)
        await bucket.take(5)
        bucket.settle(5, 1)
        await bucket.take(4)
        assert clock.now == 0
        bucket.settle(4, 14)
        await bucket.take(5)
        assert clock.now == pytest.approx(1.5)
        bucket.observe(-25)
        await bucket.take(5)
        assert clock.now == pytest.approx(4.5)

    asyncio.run(take())


def test_one_lane_until_the_first_answer_then_all_and_only_a_429_cuts() -> None:
    async def drive() -> None:
        lanes = Lanes(8)
        await lanes.enter()
        second = asyncio.create_task(lanes.enter())
        await asyncio.sleep(0)
        assert not second.done()
        lanes.succeeded()
        await second
        assert lanes.limit == 8
        lanes.cut(sent_at=1.0, now=2.0)
        lanes.cut(sent_at=1.5, now=2.5)
        assert lanes.limit == 4
        lanes.cut(sent_at=3.0, now=3.5)
        assert lanes.limit == 2
        for _ in range(100):
            lanes.succeeded()
        assert lanes.limit == 8

    asyncio.run(drive())


def test_never_more_requests_under_way_than_lanes() -> None:
    async def drive() -> int:
        lanes = Lanes(3)
        lanes.succeeded()
        busy = most = 0

        async def one() -> None:
            nonlocal busy, most
            await lanes.enter()
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1
            lanes.leave()

        await asyncio.gather(*(one() for _ in range(50)))
        return most

    assert asyncio.run(drive()) == 3


def test_a_pause_holds_every_request_back() -> None:
    async def drive() -> None:
        clock = JumpClock()
        pace = Pace(Limits(concurrency=2), clock)
        pace.limited(sent_at=0.0, pause_s=30.0)
        async with pace.lane(REQUEST):
            assert clock.now == pytest.approx(30)

    asyncio.run(drive())


def test_headers_that_say_nothing_is_left_are_believed_for_a_minute_at_most() -> None:
    async def drive() -> None:
        clock = JumpClock()
        pace = Pace(Limits(concurrency=2), clock)
        reply = ChatReply("x", "stop", "m", limits=RateLimits(remaining_requests=0, reset_requests_s=86_400))
        pace.answered(REQUEST, 10, reply)
        async with pace.lane(REQUEST):
            assert clock.now == pytest.approx(60)

    asyncio.run(drive())


def test_tokens_are_paced_by_what_requests_really_use() -> None:
    async def drive() -> float:
        clock = JumpClock()
        pace = Pace(Limits(tpm=60_000, concurrency=1), clock)
        reply = ChatReply("x", "stop", "m", prompt_tokens=900, completion_tokens=100)
        for _ in range(61):
            async with pace.lane(REQUEST) as taken:
                pace.answered(REQUEST, taken, reply)
        return clock.now

    assert asyncio.run(drive()) == pytest.approx(60 / SHARE, rel=0.03)


def test_requests_a_minute_are_held() -> None:
    async def drive() -> float:
        clock = JumpClock()
        pace = Pace(Limits(rpm=1200, concurrency=4), clock)
        for _ in range(120):
            async with pace.lane(REQUEST):
                pass
        return clock.now

    assert asyncio.run(drive()) == pytest.approx(6, rel=0.2)


def test_less_than_one_request_a_second_still_goes_out() -> None:
    async def drive() -> float:
        clock = JumpClock()
        pace = Pace(Limits(rpm=6), clock)
        for _ in range(3):
            async with pace.lane(REQUEST):
                pass
        return clock.now

    assert asyncio.run(drive()) == pytest.approx(20, rel=0.1)


def test_rows_that_come_together_are_written_together_and_each_before_it_counts() -> None:
    writes: list[list[int]] = []

    def append(table: str, rows: object) -> None:
        writes.append([row["n"] for row in rows])

    async def record() -> None:
        commit = GroupCommit(append)
        await asyncio.gather(*(commit.record("ratings", {"n": number}) for number in range(100)))
        assert sorted(number for group in writes for number in group) == list(range(100))

    asyncio.run(record())
    assert len(writes) <= 2


def test_a_full_disk_is_an_error_for_everyone_who_waited() -> None:
    def append(table: str, rows: object) -> None:
        raise OSError(28, "No space left on device")

    async def record() -> None:
        commit = GroupCommit(append)
        outcomes = await asyncio.gather(
            *(commit.record("ratings", {}) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(outcome, PreferablyError) for outcome in outcomes)

    asyncio.run(record())
