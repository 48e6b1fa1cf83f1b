"""Which key is reconciled next: every key once, by one worker at a time, later if it failed.

A key that is added while it is being worked on is worked on once more afterwards, never twice at the same time; adding
it ten times is the same as once.  Failures come back after 5 ms, 10 ms, ... up to 1000 s, per key.

Upstream: ``client-go/util/workqueue``.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

from sampan.api.errors import ApiError
from sampan.client.expectations import Expectations as Expectations

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)

BASE_DELAY_SECONDS = 0.005
MAX_DELAY_SECONDS = 1000.0


class QueueClosed(Exception):
    """The queue was closed; there is nothing more to do."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """What an event loop offers, so that a test can turn the hands itself."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], Any]) -> Timer: ...


class WorkQueue(Generic[Key]):
    """``clock`` is the running event loop unless given. Not thread-safe: one loop owns it."""

    def __init__(
        self, *, clock: Clock | None = None, base_delay: float = BASE_DELAY_SECONDS,
        max_delay: float = MAX_DELAY_SECONDS,
    ) -> None:
        self._clock = clock
        self._base_delay = base_delay
        self._max_delay = max_delay
        self._ready: deque[Key] = deque()
        self._dirty: set[Key] = set()  # waiting, or to be worked on again once the present turn is done
        self._working: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._sequence = itertools.count()
        self._timer: Timer | None = None
        self._timer_at = float("inf")
        self._getters: deque[asyncio.Future[None]] = deque()
        self.closed = False

    def __len__(self) -> int:
        """How many keys wait to be taken now (not the delayed ones)."""
        return len(self._ready)

    def add(self, key: Key) -> None:
        if self.closed or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._ready.append(key)
            self._wake()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add later; of several times the earliest counts."""
        if seconds <= 0:
            self.add(key)
            return
        when = self._now().time() + seconds
        if self.closed or self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, next(self._sequence), key))
        self._schedule()

    def add_rate_limited(self, key: Key) -> None:
        """Add after the key's back-off, which doubles until ``forget``."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(self._base_delay * 2 ** min(failures, 60), self._max_delay))

    def forget(self, key: Key) -> None:
        """The key succeeded: its next failure starts from the shortest delay."""
        self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        return self._failures.get(key, 0)

    async def get(self) -> Key:
        """Take a key; call ``done`` with it afterwards. Raises: QueueClosed."""
        while not self._ready:
            if self.closed:
                raise QueueClosed
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                # If this getter had been chosen already, its turn must go to another one.
                if getter.done() and not getter.cancelled() and self._ready:
                    self._wake()
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: Key) -> None:
        self._working.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wake()

    def close(self) -> None:
        """Nothing can be added any more; what is ready can still be taken, then ``get`` raises."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()
        self._due.clear()
        while self._getters:
            self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _now(self) -> Clock:
        if self._clock is None:
            self._clock = asyncio.get_running_loop()
        return self._clock

    def _schedule(self) -> None:
        """One timer for the whole queue, at the earliest delayed key."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # superseded by an earlier time
        if not self._heap:
            self._timer_at = float("inf")
            return
        when = self._heap[0][0]
        if when >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._now().call_at(when, self._fire)

    def _fire(self) -> None:
        # The loop may call a hair early: what the timer was set for counts as due.
        now = max(self._now().time(), self._timer_at)
        self._timer, self._timer_at = None, float("inf")
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        self._schedule()


async def run_workers(
    queue: WorkQueue[Key], reconcile: Callable[[Key], Awaitable[float | None]], workers: int = 1
) -> None:
    """Call ``reconcile(key)`` for every key until the queue is closed or this is cancelled.

    Raising means: again after the back-off (logged). Returning seconds means: all well, look again after these.
    """
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(_work(queue, reconcile))


async def _work(queue: WorkQueue[Key], reconcile: Callable[[Key], Awaitable[float | None]]) -> None:
    while True:
        try:
            key = await queue.get()
        except QueueClosed:
            return
        try:
            again_after = await reconcile(key)
        except Exception as error:
            _report(key, error)
            queue.add_rate_limited(key)
        else:
            queue.forget(key)
            if again_after is not None:
                queue.add_after(key, again_after)
        finally:
            queue.done(key)


def _report(key: Hashable, error: Exception) -> None:
    """A conflict is everyday life; a refusal needs its text, a bug its traceback."""
    if isinstance(error, ApiError):
        level = logging.DEBUG if error.code == 409 else logging.WARNING
        log.log(level, "reconcile failed key=%s error=%s", key, error)
    else:
        log.error("reconcile failed key=%s", key, exc_info=error)
