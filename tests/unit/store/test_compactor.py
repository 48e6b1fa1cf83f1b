from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from sampan.store.base import Compacted
from sampan.store.compactor import keep_compacting
from sampan.store.memory import MemoryStore


class Turns:
    """A sleep that runs one action of the script each time, and never ends after the last."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self.actions = list(actions)
        self.done = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if not self.actions:
            self.done.set()
            await asyncio.Event().wait()
        result = self.actions.pop(0)()
        if asyncio.iscoroutine(result):
            await result


async def test_what_is_older_than_an_interval_is_forgotten() -> None:
    store = MemoryStore()
    compacted: list[int] = []
    store.compact, compact = lambda revision: (compacted.append(revision), compact(revision))[1], store.compact
    turns = Turns(lambda: None, lambda: store.create("/a", b""), lambda: store.create("/b", b""), lambda: None)
    task = asyncio.create_task(keep_compacting(store, sleep=turns.sleep))
    await turns.done.wait()
    task.cancel()
    assert compacted == [0, 1]
    with pytest.raises(Compacted):
        await store.watch("/", after=0)
    await (await store.watch("/", after=1)).close()
