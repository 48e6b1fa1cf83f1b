from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from sampan.store import revisions
from sampan.store.base import Compacted, StoreUnavailable
from sampan.store.sqlite import SqliteStore
from sampan.testing.check_store import assert_is_history, take


@pytest.fixture
async def store(tmp_path: Path):
    store = SqliteStore(tmp_path / "db")
    await store.start()
    yield store
    await store.close()


def rows(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [revision for (revision,) in connection.execute("SELECT revision FROM revisions ORDER BY 1")]
    finally:
        connection.close()


async def test_the_file_is_durable_and_private(store: SqliteStore, tmp_path: Path) -> None:
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o600
    connection = store._writer._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


async def test_writes_that_wait_together_share_a_transaction(store: SqliteStore) -> None:
    groups = []
    written = store._writer._done
    store._writer._done = lambda group, error: (groups.append(len(group)), written(group, error))
    await asyncio.gather(*(store.create(f"/a/{number}", b"") for number in range(300)))
    assert sum(groups) == 300 and len(groups) <= 3


async def test_a_write_is_seen_by_nobody_before_it_is_durable(store: SqliteStore) -> None:
    watch = await store.watch("/", after=0)
    writing = asyncio.ensure_future(store.create("/a/1", b""))
    await asyncio.sleep(0)
    assert await store.get("/a/1") is None and store.revision == 0 and watch.revision == 0
    entry = await writing
    assert await store.get("/a/1") == entry and store.revision == 1


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(store: SqliteStore) -> None:
    first = await store.create("/a/1", b"1")
    connection = store._writer._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (most,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    results = await asyncio.gather(
        store.create("/a/big", b"x" * 100_000), store.create("/a/small", b""), return_exceptions=True
    )
    assert all(isinstance(result, StoreUnavailable) for result in results)
    assert store.revision == first.revision and await store.get("/a/small") is None
    connection.execute(f"PRAGMA max_page_count = {most}")
    second = await store.create("/a/small", b"")
    assert second.revision > first.revision
    watch = await store.watch("/", after=0)
    assert [change.key for change in await take(watch, 2)] == ["/a/1", "/a/small"]


async def test_compaction_sweeps_what_is_superseded_and_deleted(store: SqliteStore, tmp_path: Path) -> None:
    entry = await store.create("/k/1", b"x" * 3000)  # revision 1
    for _ in range(700):
        entry = await store.update("/k/1", b"x" * 3000, expected=entry.revision)
    gone = await store.create("/k/2", b"")
    gone = await store.delete("/k/2", expected=gone.revision)
    await store.create("/k/2", b"again")
    await store.compact(gone.revision)
    async with asyncio.timeout(10):
        while store._writer._sweeping:  # noqa: ASYNC110 - the thread sweeps on after compact() has returned
            await asyncio.sleep(0.001)
    assert rows(tmp_path / "db") == [entry.revision, gone.revision + 1]
    (free,) = store._writer._connection.execute("PRAGMA freelist_count").fetchone()
    assert free <= 256 + 64
    with pytest.raises(Compacted):
        await store.watch("/k/", after=gone.revision - 1)


async def test_a_sweep_cut_short_is_taken_up_again(tmp_path: Path) -> None:
    connection = revisions.connect(tmp_path / "db")
    history = [(n, "/k", 1, n - 1, b"%d" % n) for n in range(1, 151)]
    revisions.append(connection, history)
    revisions.set_fact(connection, "compacted", 140)
    assert revisions.sweep(connection, 50)
    connection.close()
    assert rows(tmp_path / "db") == list(range(50, 151))
    connection = revisions.connect(tmp_path / "db")
    while revisions.sweep(connection, 50):
        pass
    assert not revisions.sweep(connection, 50)
    assert revisions.load(connection).get("/k").value == b"150"
    connection.close()
    assert rows(tmp_path / "db") == list(range(140, 151))


async def test_many_rows_are_written_all_or_none(tmp_path: Path) -> None:
    connection = revisions.connect(tmp_path / "db")
    good = [(n, f"/k/{n}", n, 0, b"") for n in range(1, 201)]
    with pytest.raises(sqlite3.IntegrityError):
        revisions.append(connection, [*good, good[0]])
    assert len(revisions.load(connection)) == 0
    revisions.append(connection, good)
    assert len(revisions.load(connection)) == 200
    connection.close()


@pytest.mark.parametrize(("prepare", "says"), [
    (lambda path: path.write_bytes(b"not a database" * 100), "file is not a database"),
    (lambda path: path.mkdir(), "cannot open"),
    (lambda path: newer(path), "has schema 2, this version of Sampan reads 1"),
])
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, prepare, says: str) -> None:
    prepare(tmp_path / "db")
    store = SqliteStore(tmp_path / "db")
    with pytest.raises(StoreUnavailable, match=says):
        await store.start()
    await store.close()


def newer(path: Path) -> None:
    connection = revisions.connect(path)
    revisions.set_fact(connection, "schema", 2)
    connection.close()


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="none/db: No such file"):
        await SqliteStore(tmp_path / "none" / "db").start()


async def test_closing_finishes_the_writes_on_the_way(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db")
    await store.start()
    writes = [asyncio.ensure_future(store.create(f"/a/{number}", b"")) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert len({(await write).revision for write in writes}) == 50
    assert len(rows(tmp_path / "db")) == 50
    assert not (tmp_path / "db-wal").exists()


async def test_lists_of_the_past_page_by_page_while_others_write(store: SqliteStore) -> None:
    for number in range(40):
        await store.create(f"/a/{number:02}", b"old")
    past = store.revision
    seen = []
    for turn in range(8):
        page = await store.list("/a/", revision=past, limit=5, after=seen[-1].key if seen else "")
        seen += page.entries
        assert page.remaining == 40 - len(seen) and page.revision == past
        await store.create(f"/a/{turn:02}x", b"new")
        entry = await store.get(f"/a/{39 - turn:02}")
        await store.delete(entry.key, expected=entry.revision)
    assert [entry.key for entry in seen] == [f"/a/{number:02}" for number in range(40)]
    watch = await store.watch("/a/", after=0)
    assert_is_history(await take(watch, 56))
