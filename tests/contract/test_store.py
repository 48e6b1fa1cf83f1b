"""Every store keeps the contract of ``sampan.store.base``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sampan.store.base import Store, StoreUnavailable
from sampan.store.memory import MemoryStore
from sampan.store.sqlite import SqliteStore
from sampan.testing import check_store

WRITER = """
import asyncio, sys
from sampan.store.sqlite import SqliteStore

async def client(store, number):
    for turn in range(10**9):
        key = f"/pods/default/{number}-{turn}"
        entry = await store.create(key, b"x" * 500 + key.encode())
        if turn % 3 == 0:
            entry = await store.update(key, b"updated" + key.encode(), expected=entry.revision)
        print(key, entry.revision, entry.value.decode(), flush=True)

async def main():
    store = SqliteStore(sys.argv[1])
    await store.start()
    await asyncio.gather(*(client(store, number) for number in range(8)))

asyncio.run(main())
"""


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> check_store.Make:
    number = iter(range(100))

    def new() -> Store:
        return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / f"{next(number)}.db")

    @asynccontextmanager
    async def made() -> AsyncIterator[Store]:
        store = new()
        await store.start()
        try:
            yield store
        finally:
            await store.close()

    return made


@pytest.mark.parametrize("check", check_store.CHECKS, ids=lambda check: check.__name__)
async def test_store(make: check_store.Make, check: Callable[[Store], object]) -> None:
    async with make() as store:
        await check(store)  # type: ignore[misc]


async def test_check_store_runs_every_check() -> None:
    ran = []

    @asynccontextmanager
    async def made() -> AsyncIterator[Store]:
        ran.append(1)
        yield MemoryStore()

    await check_store.check_store(made)
    assert len(ran) == len(check_store.CHECKS)


async def test_sqlite_reopened(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "db")]
    await stores[0].start()

    async def reopen() -> Store:
        await stores[-1].close()
        stores.append(SqliteStore(tmp_path / "db"))
        await stores[-1].start()
        return stores[-1]

    try:
        await check_store.check_reopened(stores[0], reopen)
    finally:
        await stores[-1].close()


async def test_sqlite_survives_kill_9(tmp_path: Path) -> None:
    """Every write whose answer was seen is there after the writer was killed in the middle of others."""
    acknowledged: dict[str, tuple[int, bytes]] = {}
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path / "db"), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(300):
            _note(acknowledged, await process.stdout.readline())
        process.kill()
        for line in (await process.stdout.read()).splitlines(keepends=True):
            _note(acknowledged, line)
        await process.wait()
        store = SqliteStore(tmp_path / "db")
        await store.start()
        for key, (revision, value) in acknowledged.items():
            entry = await store.get(key)
            assert entry is not None and entry.revision >= revision, key
            assert entry.revision > revision or entry.value == value
        history = await store.watch("/", after=0)
        check_store.assert_is_history(await check_store.take(history, len(acknowledged)))
        for entry in (await store.list("/pods/")).entries:
            await store.delete(entry.key, expected=entry.revision)
        acknowledged.clear()
        await store.close()


def _note(acknowledged: dict[str, tuple[int, bytes]], line: bytes) -> None:
    if line.endswith(b"\n"):
        key, revision, value = line.decode().split()
        acknowledged[key] = (int(revision), value.encode())


async def test_sqlite_has_one_owner(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db")
    await store.start()
    with pytest.raises(StoreUnavailable, match="in use by another process"):
        await SqliteStore(tmp_path / "db").start()
    await store.close()
    again = SqliteStore(tmp_path / "db")
    await again.start()
    await again.close()
