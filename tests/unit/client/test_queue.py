from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from sampan.api.errors import Conflict
from sampan.api.resources import PODS
from sampan.client.queue import Expectations, QueueClosed, WorkQueue, run_workers


class Timer:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Hands:
    """A clock whose hands the test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, Timer, Callable[[], Any]]] = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], Any]) -> Timer:
        timer = Timer()
        heapq.heappush(self._timers, (when, next(self._count), timer, callback))
        return timer

    def turn(self, seconds: float) -> None:
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            when, _, timer, callback = heapq.heappop(self._timers)
            self.now = when
            if not timer.cancelled:
                callback()
        self.now = until

    @property
    def pending(self) -> int:
        return sum(not timer.cancelled for _, _, timer, _ in self._timers)


async def test_a_key_waits_once_and_is_worked_on_by_one() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=Hands())
    queue.add("a")
    queue.add("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0  # not while somebody works on it
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_order_is_that_of_adding() -> None:
    queue: WorkQueue[int] = WorkQueue(clock=Hands())
    for key in (3, 1, 2, 1):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == [3, 1, 2]


async def test_the_earliest_of_several_delays_counts() -> None:
    hands = Hands()
    queue: WorkQueue[str] = WorkQueue(clock=hands)
    queue.add_after("a", 10)
    queue.add_after("b", 3)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    assert hands.pending == 1
    hands.turn(4)
    assert await queue.get() == "b"
    assert len(queue) == 0
    hands.turn(1)
    assert await queue.get() == "a"
    queue.done("a")
    hands.turn(100)
    assert len(queue) == 0 and hands.pending == 0


async def test_backoff_doubles_up_to_the_longest_and_is_forgotten() -> None:
    hands = Hands()
    queue: WorkQueue[str] = WorkQueue(clock=hands, base_delay=1, max_delay=5)
    for delay in (1, 2, 4, 5, 5):
        queue.add_rate_limited("a")
        hands.turn(delay - 0.5)
        assert len(queue) == 0
        hands.turn(0.5)
        assert await queue.get() == "a"
        queue.done("a")
    assert queue.failures("a") == 5
    queue.forget("a")
    queue.add_rate_limited("a")
    hands.turn(1)
    assert len(queue) == 1


async def test_a_cancelled_getter_does_not_swallow_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=Hands())
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"
    assert first.cancelled()


async def test_close_ends_the_workers_after_what_is_ready() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=Hands())
    done = []

    async def reconcile(key: str) -> None:
        done.append(key)

    queue.add("a")
    queue.add_after("b", 5)
    workers = asyncio.create_task(run_workers(queue, reconcile, workers=3))
    await asyncio.sleep(0)
    queue.close()
    await asyncio.wait_for(workers, 1)
    assert done == ["a"]
    with pytest.raises(QueueClosed):
        await queue.get()


async def test_failures_come_back_and_successes_may_ask_for_another_look(caplog: pytest.LogCaptureFixture) -> None:
    hands = Hands()
    queue: WorkQueue[str] = WorkQueue(clock=hands, base_delay=1)
    turns: list[str] = []

    async def reconcile(key: str) -> float | None:
        turns.append(key)
        if len(turns) == 1:
            raise RuntimeError("broken")
        if len(turns) == 2:
            raise Conflict.of(PODS, "web", "stale")
        return 30.0 if len(turns) == 3 else None

    workers = asyncio.create_task(run_workers(queue, reconcile))
    queue.add("a")
    for count, delay in ((1, 1), (2, 2), (3, 30), (4, 1000)):
        await _idle(queue)
        assert len(turns) == count
        hands.turn(delay)
    assert "broken" in caplog.text and "stale" not in caplog.text
    assert queue.failures("a") == 0
    queue.close()
    await workers


async def _idle(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_key_is_never_worked_on_twice_at_once() -> None:
    queue: WorkQueue[int] = WorkQueue(clock=Hands())
    active: set[int] = set()
    turns = 0

    async def reconcile(key: int) -> None:
        nonlocal turns
        assert key not in active
        active.add(key)
        await asyncio.sleep(0)
        active.discard(key)
        turns += 1

    workers = asyncio.create_task(run_workers(queue, reconcile, workers=4))
    for _ in range(50):
        for key in range(3):
            queue.add(key)
        await asyncio.sleep(0)
    queue.close()
    await workers
    assert turns > 10


def test_expectations_hold_until_seen() -> None:
    now = [0.0]
    expectations: Expectations[str] = Expectations(now=lambda: now[0])
    assert expectations.satisfied("rs")
    expectations.expect_creations("rs", 2)
    expectations.expect_deletions("rs", ["u1"])
    expectations.creation_observed("rs")
    expectations.deletion_observed("rs", "u1")
    expectations.deletion_observed("rs", "u1")
    assert not expectations.satisfied("rs")
    expectations.creation_observed("rs")
    assert expectations.satisfied("rs")
    expectations.creation_observed("rs")  # of somebody else's making
    assert expectations.satisfied("rs")


def test_expectations_are_given_up_after_five_minutes() -> None:
    now = [0.0]
    expectations: Expectations[str] = Expectations(now=lambda: now[0])
    expectations.expect_deletions("rs", ["u1"])
    now[0] = 299
    assert not expectations.satisfied("rs")
    now[0] = 300
    assert expectations.satisfied("rs")
    expectations.expect_creations("rs", 1)
    expectations.forget("rs")
    assert expectations.satisfied("rs")
