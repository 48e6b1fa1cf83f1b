"""The default store: one SQLite file, durable to the last acknowledged write; reads come from memory.

A write is decided here, on the event loop, against the mirror; it then goes to the writer's thread and shares an fsync
with whatever else is waiting.  When that is done, and not before, the mirror shows it, the watchers hear of it and the
caller gets its answer.  A second write to a key that has one on the way waits for it: nobody can know the revision it
would have to expect, and telling it of a state that is not durable yet could be a lie.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sampan.store import revisions
from sampan.store.base import (
    Change,
    Compacted,
    Entry,
    FutureRevision,
    KeyExists,
    KeyMissing,
    Page,
    RevisionConflict,
    StoreUnavailable,
    Watch,
)
from sampan.store.mirror import Mirror
from sampan.store.watch import Hub
from sampan.store.writer import Write, Writer

Result = TypeVar("Result")


class SqliteStore:
    """``path`` is the database file; its folder must exist. ``start`` it on the event loop that will use it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._mirror = Mirror()
        self._hub = Hub(self._history)
        self._last_given = 0  # the last revision given to a write, visible or still on the way
        self._on_the_way: dict[str, list[asyncio.Future[None]]] = {}
        self._outbox: list[Write] = []
        self._writer: Writer | None = None
        self._reader: sqlite3.Connection | None = None
        self._reader_thread: ThreadPoolExecutor | None = None
        self._lock = -1

    async def start(self) -> None:
        """Open, or create. Raises: StoreUnavailable, also if another process has it open."""
        self._loop = asyncio.get_running_loop()
        self._lock = _lock(self._path)
        try:
            connection, compacted = await asyncio.to_thread(self._open)
        except BaseException:
            os.close(self._lock)
            raise
        self._hub = Hub(self._history, revision=self._mirror.revision, compacted=compacted)
        self._last_given = self._mirror.revision
        self._writer = Writer(connection, self._loop, self._written)
        self._writer.start()

    async def close(self) -> None:
        """Finish the writes on the way and end the watches."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._send(writer)
        if self._reader_thread is not None:
            await self._read(lambda: self._reader.close() if self._reader else None)
            self._reader_thread.shutdown()
        await writer.stop()
        await asyncio.sleep(0)  # what the writer posted last comes before us
        self._hub.close()
        os.close(self._lock)

    @property
    def revision(self) -> int:
        return self._mirror.revision

    async def get(self, key: str) -> Entry | None:
        self._check_open()
        return self._mirror.get(key)

    async def list(self, prefix: str, *, revision: int = 0, limit: int = 0, after: str = "") -> Page:
        self._check_open()
        if revision == 0 or revision == self.revision:
            return self._mirror.page(prefix, limit, after)
        if revision > self.revision:
            raise FutureRevision(f"revision {revision} has not happened yet: the newest is {self.revision}")
        self._check_kept(revision)
        if self._hub.unchanged_since(prefix, revision):
            return replace(self._mirror.page(prefix, limit, after), revision=revision)
        return await self._list_past(prefix, revision, limit, after)

    async def create(self, key: str, value: bytes) -> Entry:
        await self._settled(key)
        if self._mirror.get(key) is not None:
            raise KeyExists(key)
        revision = self._next()
        return await self._submit(Entry(key, value, revision, revision), None, False)

    async def update(self, key: str, value: bytes, *, expected: int) -> Entry:
        current = await self._expect(key, expected)
        return await self._submit(Entry(key, value, self._next(), current.create_revision), current, False)

    async def delete(self, key: str, *, expected: int) -> Entry:
        current = await self._expect(key, expected)
        return await self._submit(Entry(key, current.value, self._next(), current.create_revision), current, True)

    async def watch(self, prefix: str, *, after: int) -> Watch:
        return self._hub.watch(prefix, after)

    async def compact(self, revision: int) -> None:
        writer = self._check_open()
        if revision > self.revision:
            raise FutureRevision(f"revision {revision} has not happened yet: the newest is {self.revision}")
        if revision > self._hub.compacted:
            self._hub.compacted = revision
            await writer.compact(revision)

    # deciding

    async def _settled(self, key: str) -> None:
        """Wait until no write to ``key`` is on the way."""
        self._check_open()
        while (waiting := self._on_the_way.get(key)) is not None:
            turn: asyncio.Future[None] = self._loop.create_future()
            waiting.append(turn)
            await turn
            self._check_open()

    async def _expect(self, key: str, expected: int) -> Entry:
        await self._settled(key)
        current = self._mirror.get(key)
        if current is None:
            raise KeyMissing(key)
        if current.revision != expected:
            raise RevisionConflict(current)
        return current

    def _next(self) -> int:
        self._last_given += 1
        return self._last_given

    # on the way

    def _submit(self, entry: Entry, before: Entry | None, deletion: bool) -> asyncio.Future[Entry]:
        write = Write(entry, before, deletion, self._loop.create_future())
        self._on_the_way[entry.key] = []
        if not self._outbox:
            # Sent at the end of this turn of the loop, so that all its writes wake the writer once.
            self._loop.call_soon(self._flush)
        self._outbox.append(write)
        return write.future

    def _flush(self) -> None:
        if self._writer is not None:
            self._send(self._writer)

    def _send(self, writer: Writer) -> None:
        if self._outbox:
            writer.put(self._outbox)
            self._outbox = []

    def _written(self, writes: Sequence[Write], error: StoreUnavailable | None) -> None:
        """One transaction is durable (or failed): show it, tell the watchers, answer the callers; in this order."""
        if error is None:
            changes = [self._show(write) for write in writes]
            self._hub.publish(changes, self._mirror.revision)
        for write in writes:
            for turn in self._on_the_way.pop(write.entry.key):
                if not turn.done():
                    turn.set_result(None)
            if write.future.done():
                continue  # the caller was cancelled; the write happened all the same
            if error is None:
                write.future.set_result(write.entry)
            else:
                write.future.set_exception(StoreUnavailable(*error.args))

    def _show(self, write: Write) -> Change:
        entry, before = write.entry, write.before
        if write.deletion:
            self._mirror.remove(entry.key, entry.revision)
        else:
            self._mirror.put(entry)
        return Change(
            entry.key, entry.revision, None if write.deletion else entry.value, before.value if before else None
        )

    # the past

    async def _list_past(self, prefix: str, revision: int, limit: int, after: str) -> Page:
        entries = await self._read(
            lambda: revisions.entries_at(self._open_reader(), prefix, revision, limit, after)
        )
        remaining = 0
        if limit and len(entries) == limit:
            # Counting the rest in the past would read the whole range; counting what has changed since is cheap.
            last, now = entries[-1].key, self.revision
            present = self._mirror.count(prefix, last)
            remaining = present - await self._read(
                lambda: revisions.growth(self._open_reader(), prefix, last, revision, now)
            )
        self._check_kept(revision)  # it may have been swept while we read
        return Page(entries, revision, remaining)

    async def _history(self, prefix: str, after: int, upto: int, limit: int) -> Sequence[Change]:
        self._check_open()
        self._check_kept(after)
        changes = await self._read(lambda: revisions.changes(self._open_reader(), prefix, after, upto, limit))
        self._check_kept(after)
        return changes

    async def _read(self, function: Callable[[], Result]) -> Result:
        if self._reader_thread is None:
            self._reader_thread = ThreadPoolExecutor(1, "store-reader")
        try:
            return await self._loop.run_in_executor(self._reader_thread, function)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot read {self._path}: {error}") from error

    def _open_reader(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = revisions.connect_reader(self._path)
        return self._reader

    def _check_kept(self, revision: int) -> None:
        if revision < self._hub.compacted:
            raise Compacted(f"revision {revision} was compacted: the oldest is {self._hub.compacted}")

    def _check_open(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("the store is not open")
        return self._writer

    def _open(self) -> tuple[sqlite3.Connection, int]:
        connection = revisions.connect(self._path)
        try:
            self._mirror = revisions.load(connection)
            return connection, revisions.fact(connection, "compacted")
        except sqlite3.Error as error:
            connection.close()
            raise StoreUnavailable(f"cannot read {self._path}: {error}") from error


def _lock(path: Path) -> int:
    """Two servers on one file would each believe their own mirror. The kernel lets go of the lock when we die."""
    try:
        handle = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot open {path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StoreUnavailable(f"{path} is in use by another process") from error
    return handle
