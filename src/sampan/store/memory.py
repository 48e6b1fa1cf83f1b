"""The store that forgets everything when it is closed: for tests, and the simplest reading of the contract."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Record:
    """One write, and what was there before it."""

    change: Change
    before: Entry | None


class MemoryStore:
    """History is kept until it is compacted."""

    def __init__(self) -> None:
        self._mirror = Mirror()
        self._hub = Hub(self._changes)
        self._history: list[_Record] = []
        self._closed = False

    async def start(self) -> None:
        return None

    async def close(self) -> None:
        self._closed = True
        self._hub.close()

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
        if revision < self._hub.compacted:
            raise Compacted(f"revision {revision} was compacted: the oldest is {self._hub.compacted}")
        return self._as_of(revision).page(prefix, limit, after)

    async def create(self, key: str, value: bytes) -> Entry:
        self._check_open()
        if self._mirror.get(key) is not None:
            raise KeyExists(key)
        revision = self.revision + 1
        return self._write(Entry(key, value, revision, revision), None)

    async def update(self, key: str, value: bytes, *, expected: int) -> Entry:
        current = self._expect(key, expected)
        return self._write(Entry(key, value, self.revision + 1, current.create_revision), current)

    async def delete(self, key: str, *, expected: int) -> Entry:
        current = self._expect(key, expected)
        revision = self.revision + 1
        self._mirror.remove(key, revision)
        self._publish(Change(key, revision, None, current.value), current)
        return Entry(key, current.value, revision, current.create_revision)

    async def watch(self, prefix: str, *, after: int) -> Watch:
        return self._hub.watch(prefix, after)

    async def compact(self, revision: int) -> None:
        self._check_open()
        if revision > self.revision:
            raise FutureRevision(f"revision {revision} has not happened yet: the newest is {self.revision}")
        if revision > self._hub.compacted:
            self._hub.compacted = revision
            del self._history[: self._index_after(revision)]

    def _write(self, entry: Entry, before: Entry | None) -> Entry:
        self._mirror.put(entry)
        self._publish(Change(entry.key, entry.revision, entry.value, before.value if before else None), before)
        return entry

    def _publish(self, change: Change, before: Entry | None) -> None:
        self._history.append(_Record(change, before))
        self._hub.publish((change,), change.revision)

    def _expect(self, key: str, expected: int) -> Entry:
        self._check_open()
        current = self._mirror.get(key)
        if current is None:
            raise KeyMissing(key)
        if current.revision != expected:
            raise RevisionConflict(current)
        return current

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _index_after(self, revision: int) -> int:
        return bisect_right(self._history, revision, key=lambda record: record.change.revision)

    def _as_of(self, revision: int) -> Mirror:
        """The state at an earlier revision: that of now, with everything since undone, newest first."""
        entries = {entry.key: entry for entry in self._mirror.page("", 0, "").entries}
        for record in reversed(self._history[self._index_after(revision):]):
            if record.before is None:
                entries.pop(record.change.key, None)
            else:
                entries[record.change.key] = record.before
        return Mirror(entries.values(), revision)

    async def _changes(self, prefix: str, after: int, upto: int, limit: int) -> Sequence[Change]:
        if after < self._hub.compacted:
            raise Compacted(f"revision {after} was compacted: the oldest is {self._hub.compacted}")
        records = self._history[self._index_after(after): self._index_after(upto)]
        return [record.change for record in records if record.change.key.startswith(prefix)][:limit]
