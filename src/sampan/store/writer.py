"""The thread that makes writes durable: everything that waits goes into one transaction, with one fsync.

One fsync takes about 2 ms whatever its size, so while one runs the next writes gather: alone a client gets one
write per fsync, thirty-two clients get thirty-two.  Checkpoints (copying the write-ahead log into the database) and
compaction are done here too, between the writes and in small pieces, when the queue is empty.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from sampan.store import revisions
from sampan.store.base import Entry, StoreUnavailable
from sampan.store.revisions import Row

log = logging.getLogger(__name__)

MAX_GROUP = 512
SWEEP_ROWS = 200
VACUUM_PAGES = 64
KEEP_FREE_PAGES = 256
SWEEP_PAUSE_SECONDS = 0.005
SWITCH_INTERVAL_SECONDS = 0.0001
#: The log is copied back once it has about so many pages and nobody has written for a moment, or at the second length
#: even if somebody waits.
CHECKPOINT_PAGES = 1000
CHECKPOINT_PAGES_AT_LATEST = 4000
CHECKPOINT_QUIET_SECONDS = 0.2
PAGE_BYTES = 4096


@dataclass(slots=True)
class Write:
    """One write on its way: ``entry`` is what the caller gets, ``before`` what was there."""

    entry: Entry
    before: Entry | None
    deletion: bool
    future: asyncio.Future[Entry]

    def row(self) -> Row:
        before = self.before.revision if self.before else 0
        entry = self.entry
        return entry.revision, entry.key, entry.create_revision, before, None if self.deletion else entry.value


#: Called on the event loop with the writes of one transaction, and why it failed, if it did.
Done = Callable[[Sequence[Write], StoreUnavailable | None], None]


class Writer:
    """Writes go in by ``put`` and come back by ``done``, in the same order. One thread owns the connection."""

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop, done: Done) -> None:
        self._connection = connection
        self._loop = loop
        self._done = done
        self._queue: SimpleQueue[list[Write] | Callable[[], None] | None] = SimpleQueue()
        self._group: list[Write] = []
        self._jobs: list[Callable[[], None]] = []
        self._sweeping = False
        self._log_pages = 0  # an estimate
        self._quiet = False
        self._stopping = False
        self._broken = ""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        # A busy event loop lets the interpreter lock go at every poll and takes it back before this thread has woken
        # up; only a drop request, sent after the switch interval, makes it really hand over. With the default of 5 ms,
        # which such a loop never reaches, writes were seen to starve for 28 s; with this they wait for one callback.
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_SECONDS))
        self._thread.start()

    def put(self, writes: list[Write]) -> None:
        self._queue.put(writes)

    def compact(self, revision: int) -> asyncio.Future[None]:
        """Persist the compaction revision; the sweeping happens later, in pieces."""
        future = self._loop.create_future()

        def job() -> None:
            try:
                revisions.set_fact(self._connection, "compacted", revision)
            except sqlite3.Error as error:
                self._post(_fail, future, StoreUnavailable(f"cannot compact: {error}"))
            else:
                self._sweeping = True
                self._post(_succeed, future)

        self._queue.put(job)
        return future

    async def stop(self) -> None:
        """Finish what is queued, checkpoint, close the connection."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._gather()
                if self._group:
                    self._commit()
                for job in self._jobs:
                    job()
                self._jobs.clear()
                self._tidy()
        except BaseException as error:
            self._broken = f"the store's writer died: {error!r}"
            log.exception("store writer died")
            self._refuse_all()
        finally:
            self._close()

    def _gather(self) -> None:
        """Wait for work (only briefly while there is tidying left), then take all that is there."""
        self._group = []
        self._quiet = False
        try:
            item = self._queue.get(timeout=self._patience())
            while True:
                if item is None:
                    self._stopping = True
                elif isinstance(item, list):
                    self._group += item
                else:
                    self._jobs.append(item)
                if self._stopping or len(self._group) >= MAX_GROUP:
                    return
                item = self._queue.get_nowait()
        except Empty:
            self._quiet = not self._group

    def _patience(self) -> float | None:
        if self._sweeping:
            return SWEEP_PAUSE_SECONDS
        return CHECKPOINT_QUIET_SECONDS if self._log_pages >= CHECKPOINT_PAGES else None

    def _commit(self) -> None:
        error = self._append(self._group)
        self._post(self._done, self._group, error)

    def _append(self, group: list[Write]) -> StoreUnavailable | None:
        if self._broken:
            return StoreUnavailable(self._broken)
        try:
            revisions.append(self._connection, [write.row() for write in group])
        except sqlite3.Error as error:
            log.error("store write failed writes=%d error=%s", len(group), error)
            self._check_not_written(group)
            return StoreUnavailable(f"cannot write: {error}")
        value_bytes = sum(len(write.entry.value) for write in group)
        self._log_pages += 2 + len(group) + value_bytes // PAGE_BYTES  # a leaf of the index for each, and the rows
        return None

    def _check_not_written(self, group: list[Write]) -> None:
        """A full disk fails cleanly and may pass. If the outcome can't be told, only a restart can find it out."""
        try:
            (newest,) = self._connection.execute("SELECT MAX(revision) FROM revisions").fetchone()
            if (newest or 0) >= group[0].entry.revision:
                self._broken = "a write failed half-way: restart the server"
        except sqlite3.Error as error:
            self._broken = f"the database can't be read: {error}"

    def _tidy(self) -> None:
        """One small piece of what can wait. Failing here loses nothing: it is tried again after the next write."""
        try:
            if self._sweeping:
                self._sweeping = revisions.sweep(self._connection, SWEEP_ROWS) or revisions.vacuum(
                    self._connection, VACUUM_PAGES, KEEP_FREE_PAGES
                )
                self._log_pages += SWEEP_ROWS
            elif self._log_pages >= (CHECKPOINT_PAGES if self._quiet else CHECKPOINT_PAGES_AT_LATEST):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._log_pages = 0
        except sqlite3.Error as error:
            self._sweeping = False
            log.warning("store tidying failed error=%s", error)

    def _refuse_all(self) -> None:
        refused = StoreUnavailable(self._broken)
        group = self._group
        while True:
            if group:
                self._post(self._done, group, refused)
            item = self._queue.get()
            if item is None:
                return
            group = item if isinstance(item, list) else []

    def _close(self) -> None:
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            log.warning("store checkpoint failed error=%s", error)
        self._connection.close()

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            log.warning("the event loop ended before the store was closed")


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
