"""What the server's and the agent's processes have in common: a log, an event loop, an end by SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from sampan.cluster.config import ClusterError
from sampan.cluster.daemon import hold_pid_file, say_ready

log = logging.getLogger(__name__)

#: Starts everything; returns what ends it.
Start = Callable[[], Awaitable[Callable[[], Awaitable[None]]]]
CLOSE_SECONDS = 8.0
GC_THRESHOLDS = (10_000, 10, 10)


def run(pid_file: Path, start: Start, ready_fd: int) -> None:
    """Run until SIGTERM or SIGINT. What goes wrong before readiness is told to the starter in one line."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        hold_pid_file(pid_file)
    except ClusterError as error:
        say_ready(ready_fd, str(error))
        sys.exit(1)
    # Objects that came with the imports never become garbage, and to walk them would copy memory that is shared with
    # the other process. (Whoever started us may have switched collections off for the time of the imports.)
    gc.freeze()
    gc.enable()
    # Objects of the API are trees without cycles: looking for cycles after every 700 of them was a quarter of the cost
    # of creating a Pod.
    gc.set_threshold(*GC_THRESHOLDS)
    uvloop.run(_main(start, ready_fd))


async def _started(start: Start) -> Callable[[], Awaitable[None]]:
    return await start()


async def _main(start: Start, ready_fd: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    starting = loop.create_task(_started(start))

    def end() -> None:
        ended.set()
        starting.cancel()  # does nothing once it has started

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        close = await starting
    except asyncio.CancelledError:
        log.info("stopped while starting")
        return
    except Exception as error:
        log.exception("start failed")
        say_ready(ready_fd, str(error) or type(error).__name__)
        sys.exit(1)
    say_ready(ready_fd)
    await ended.wait()
    log.info("stopping")
    try:
        await asyncio.wait_for(close(), CLOSE_SECONDS)
    except TimeoutError:
        log.warning("not everything ended within seconds=%s", CLOSE_SECONDS)
