"""What the store alone costs, below the API server: durable writes, reads, and telling a thousand watchers."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.report import Figure, at_least, at_most, median, percentile
from bench.yardstick import fsync_milliseconds
from sampan.store.sqlite import SqliteStore

VALUE = b'{"metadata":{' + b"x" * 2000 + b"}}"
WATCHERS = 1000


def measure() -> Sequence[Figure]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Sequence[Figure]:
    fsync = f"one fsync {await asyncio.to_thread(fsync_milliseconds, folder):.2f} ms"
    store = SqliteStore(folder / "db")
    await store.start()
    figures = [
        at_least("durable writes of 2 kB, 1 writer", (await _write(store, 1, 500))[0], 445, "/s", fsync),
        at_least("durable writes of 2 kB, 32 writers", (await _write(store, 32, 8000))[0], 11_700, "/s", fsync),
        at_most("of that on the event loop's thread", (await _write(store, 32, 8000))[1], 100, "µs per write"),
        await _list(store),
        await _watch(store),
    ]
    await store.close()
    return figures


async def _write(store: SqliteStore, writers: int, count: int) -> tuple[float, float]:
    """Writes a second, and microseconds of this thread for each."""
    start = store.revision

    async def write(number: int) -> None:
        for turn in range(count // writers):
            await store.create(f"/pods/default/{start}-{number}-{turn}", VALUE)

    began, busy = time.perf_counter(), time.thread_time()
    await asyncio.gather(*(write(number) for number in range(writers)))
    done = store.revision - start
    return done / (time.perf_counter() - began), (time.thread_time() - busy) / done * 1e6


async def _list(store: SqliteStore) -> Figure:
    for number in range(5000):
        await store.create(f"/services/default/{number}", b"{}")
    times = []
    for turn in range(20):
        await store.create(f"/services/default/more-{turn}", b"{}")  # so that it is really put together
        began = time.perf_counter()
        await store.list("/services/")
        times.append(time.perf_counter() - began)
    return Figure("list of 5,000 after a change, p50", f"{median(times) * 1000:.2f} ms")


async def _watch(store: SqliteStore) -> Figure:
    served: list[float] = []
    everybody = asyncio.Event()

    async def follow() -> None:
        async for _ in await store.watch("/leases/", after=store.revision):
            served.append(time.perf_counter())
            if len(served) % WATCHERS == 0:
                everybody.set()

    watchers = [asyncio.create_task(follow()) for _ in range(WATCHERS)]
    await asyncio.sleep(0)
    times = []
    for turn in range(20):
        everybody.clear()
        began = time.perf_counter()
        await store.create(f"/leases/{turn}", VALUE)
        await everybody.wait()
        times.append((served[-1] - began) * 1000)
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    return at_most(f"one write to {WATCHERS:,} watchers, last one told, p90", percentile(times, 0.9), 50, "ms")
