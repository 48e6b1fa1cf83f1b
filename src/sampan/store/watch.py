"""The hub: every change goes to every watcher that asked for its prefix, once and in order.

A write costs one look-up per folder of its key and one append per watcher that is concerned; who watches something
else is not touched.  The recent changes stay in a ring: a watch that starts a little in the past is filled from it, one
that starts further back reads its history page by page while the live changes already queue up behind, so there is
no gap between the two.  Who does not take his changes for too long is cut off (``Compacted``) and lists again.

Upstream: ``staging/src/k8s.io/apiserver/pkg/storage/cacher``, etcd ``server/mvcc/watchable_store.go``.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import attrgetter

from sampan.store.base import Change, Compacted, FutureRevision, StoreUnavailable
from sampan.store.mirror import folders

RING_CHANGES = 2048
RING_BYTES = 4 << 20
MAX_QUEUED_CHANGES = 8192
PROGRESS_SECONDS = 30.0
PAGE_CHANGES = 500

#: Reads history from where the changes are kept: (prefix, after, upto, limit) -> at most ``limit`` changes with
#: after < revision <= upto. Fewer than ``limit`` means: that was all. Raises: Compacted.
History = Callable[[str, int, int, int], Awaitable[Sequence[Change]]]

_revision = attrgetter("revision")


class Hub:
    """Owned by one event loop. ``history`` answers for what the ring does not hold any more."""

    def __init__(
        self, history: History, *, revision: int = 0, compacted: int = 0, ring_changes: int = RING_CHANGES,
        ring_bytes: int = RING_BYTES, max_queued: int = MAX_QUEUED_CHANGES, progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self.history = history
        self.revision = revision
        self.compacted = compacted
        self.max_queued = max_queued
        self._ring = _Ring(ring_changes, ring_bytes, revision)
        self._progress_seconds = progress_seconds
        self._progress_timer: asyncio.TimerHandle | None = None
        self._by_folder: dict[str, set[HubWatch]] = {}
        # Prefixes that don't end in a slash (one object's key) wait under their folder and are compared.
        self._by_parent: dict[str, set[HubWatch]] = {}
        self._closed = False

    def publish(self, changes: Sequence[Change], revision: int) -> None:
        """Tell everyone concerned. ``revision`` is the newest that readers see from now on."""
        concerned: set[HubWatch] = set()
        for change in changes:
            self._ring.append(change)
            for folder in folders(change.key):
                for watch in self._by_folder.get(folder, ()):
                    watch.queue.append(change)
                    concerned.add(watch)
                for watch in self._by_parent.get(folder, ()):
                    if change.key.startswith(watch.prefix):
                        watch.queue.append(change)
                        concerned.add(watch)
        self.revision = revision
        for watch in concerned:
            watch.offered()
        if self._progress_timer is None and (self._by_folder or self._by_parent):
            self._progress_timer = asyncio.get_running_loop().call_later(self._progress_seconds, self._progress)

    def watch(self, prefix: str, after: int) -> HubWatch:
        """Raises: Compacted, FutureRevision, StoreUnavailable."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if after > self.revision:
            raise FutureRevision(f"revision {after} has not happened yet: the newest is {self.revision}")
        if after < self.compacted:
            raise Compacted(f"revision {after} was compacted: the oldest is {self.compacted}")
        watch = HubWatch(self, prefix or "/", after)
        if after < self._ring.since:
            watch.replay_upto = self.revision
        else:
            watch.queue.extend(c for c in self._ring.after(after) if c.key.startswith(prefix))
        self._place(watch).add(watch)
        return watch

    def unchanged_since(self, prefix: str, revision: int) -> bool:
        """Whether it is known that nothing under ``prefix`` has changed after ``revision``."""
        return revision >= self._ring.since and not any(c.key.startswith(prefix) for c in self._ring.after(revision))

    def remove(self, watch: HubWatch) -> None:
        self._place(watch).discard(watch)
        table = self._by_folder if watch.prefix.endswith("/") else self._by_parent
        if not self._place(watch):
            del table[_folder(watch.prefix)]

    def close(self) -> None:
        """End every watch; new ones are refused."""
        self._closed = True
        if self._progress_timer is not None:
            self._progress_timer.cancel()
        for table in (self._by_folder, self._by_parent):
            for watch in [watch for place in table.values() for watch in place]:
                watch.end()

    def _place(self, watch: HubWatch) -> set[HubWatch]:
        table = self._by_folder if watch.prefix.endswith("/") else self._by_parent
        return table.setdefault(_folder(watch.prefix), set())

    def _progress(self) -> None:
        """Wake the watches that saw nothing while others did: their revision has moved on all the same.

        The timer runs only after a change: an idle store wakes nobody.
        """
        self._progress_timer = None
        for table in (self._by_folder, self._by_parent):
            for place in table.values():
                for watch in place:
                    watch.progress()


class HubWatch:
    """One open watch; see ``base.Watch``. Cancelling ``__anext__`` loses nothing."""

    __slots__ = ("_ended", "_hub", "_lost", "_progress", "_waiter", "prefix", "queue", "replay_upto", "revision")

    def __init__(self, hub: Hub, prefix: str, after: int) -> None:
        self.prefix = prefix
        self.revision = after
        self.queue: list[Change] = []
        self.replay_upto = 0  # history up to here comes before the queue
        self._hub = hub
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        self._ended = False
        self._progress = False

    def __aiter__(self) -> HubWatch:
        return self

    async def __anext__(self) -> Sequence[Change]:
        while True:
            if self._lost:
                raise Compacted(f"the watch of {self.prefix} fell too far behind revision {self.revision}")
            if self._ended:
                raise StopAsyncIteration
            if self.revision < self.replay_upto:
                changes = await self._replay()
                if changes:
                    return changes
            elif self.queue or self._progress:
                return self._take()
            else:
                await self._wait()

    async def close(self) -> None:
        if not self._ended:
            self.end()

    # the hub's side

    def offered(self) -> None:
        """The queue has grown."""
        if len(self.queue) > self._hub.max_queued:
            self._lost = True
            self.queue = []
            self._hub.remove(self)
        self._wake()

    def progress(self) -> None:
        if self.revision < self._hub.revision and not self.queue and not self.replay_upto:
            self._progress = True
            self._wake()

    def end(self) -> None:
        self._ended = True
        self.queue = []
        if not self._lost:
            self._hub.remove(self)
        self._wake()

    def _take(self) -> Sequence[Change]:
        changes, self.queue = self.queue, []
        self.revision = self._hub.revision
        self._progress = False
        return changes

    async def _replay(self) -> Sequence[Change]:
        changes = await self._hub.history(self.prefix, self.revision, self.replay_upto, PAGE_CHANGES)
        self.revision = self.replay_upto if len(changes) < PAGE_CHANGES else changes[-1].revision
        if self.revision >= self.replay_upto:
            self.replay_upto = 0
        return changes

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Ring:
    """The last changes, bounded in number and in bytes. ``since``: every change after this revision is here."""

    def __init__(self, max_changes: int, max_bytes: int, since: int) -> None:
        self.since = since
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        self._changes: list[Change] = []
        self._head = 0  # a list with a moving head, because a deque can't be bisected
        self._bytes = 0

    def append(self, change: Change) -> None:
        self._changes.append(change)
        self._bytes += _size(change)
        while self._bytes > self._max_bytes or len(self._changes) - self._head > self._max_changes:
            oldest = self._changes[self._head]
            self._bytes -= _size(oldest)
            self.since = oldest.revision
            self._changes[self._head] = _GONE
            self._head += 1
        if self._head > self._max_changes:
            del self._changes[: self._head]
            self._head = 0

    def after(self, revision: int) -> Iterable[Change]:
        return self._changes[bisect_right(self._changes, revision, lo=self._head, key=_revision):]


_GONE = Change("", 0, None, None)


def _size(change: Change) -> int:
    # ``previous`` is nearly always the ``value`` of a change before it.
    return 200 + len(change.value or change.previous or b"")


def _folder(prefix: str) -> str:
    return prefix[: prefix.rfind("/") + 1]
