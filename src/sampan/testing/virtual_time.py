"""An event loop whose time jumps: when nothing is ready, it is at once the time of the next timer.

Minutes of back-off take microseconds, in exactly the order of real time.  Work given to threads is done at once in the
loop's own thread, so nothing real is ever waited for: such a test must not open sockets or start processes.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

START = 1_795_000_000.0  # what ``now`` says when the loop's time is 0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at 0."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._virtual

    def advance(self, seconds: float) -> None:
        self._virtual += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _JumpingSelector(selectors.DefaultSelector):
    """Where a real selector would sleep until the next timer, the clock is set forward instead."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: nothing is ready and no timer is set")
        self._loop.advance(timeout)
        return []


def now() -> float:
    """The wall clock of the running virtual loop, in seconds since the epoch."""
    return START + asyncio.get_running_loop().time()


def run(main: Coroutine[Any, Any, Result], limit_seconds: float = 3600.0) -> Result:
    """Run to the end in virtual time. Raises: TimeoutError when ``limit_seconds`` of it have passed."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_bounded(main, limit_seconds))


async def _bounded(main: Coroutine[Any, Any, Result], limit_seconds: float) -> Result:
    async with asyncio.timeout(limit_seconds):
        return await main
