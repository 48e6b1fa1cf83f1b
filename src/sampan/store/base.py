"""The Store: where all state lives, behind one small interface with several implementations.

Keys are paths such as ``/pods/default/web-1``; values are opaque bytes.  Every write gets the next revision of one
counter for the whole store, as in etcd; that revision is the ``resourceVersion`` that clients see.

The contract, run on every implementation by ``sampan.testing.check_store``: revisions strictly increase; writes are
compare-and-set on the entry's revision; a watch from any revision sees every later change once, in order; what was
compacted answers ``Compacted`` (HTTP 410); a write that returned survives ``kill -9`` and power loss.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class StoreError(Exception):
    """The root of what a store raises."""


class KeyExists(StoreError):
    """``create`` found the key already there."""


class KeyMissing(StoreError):
    """``update`` or ``delete`` found no such key."""


class RevisionConflict(StoreError):
    """The entry's revision is no longer the expected one. ``current`` is the entry as it is."""

    def __init__(self, current: Entry) -> None:
        super().__init__(f"{current.key} is at revision {current.revision}")
        self.current = current


class Compacted(StoreError):
    """The asked revision is older than what is kept."""


class FutureRevision(StoreError):
    """The asked revision has not happened yet."""


class StoreUnavailable(StoreError):
    """The store can't be reached or is closed; nothing is known about the fate of a write."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One live key. ``revision`` is that of its last write."""

    key: str
    value: bytes
    revision: int
    create_revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One write as a watcher sees it. ``value`` is ``None`` for a deletion; ``previous`` is ``None`` for a creation.

    All watchers get the same object: what one of them has worked out from it (the encoded event) it may leave in
    ``memo`` for the others, so that a write to a thousand watchers is encoded once.
    """

    key: str
    revision: int
    value: bytes | None
    previous: bytes | None
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """A range read: ``revision`` is the state it shows; ``remaining`` counts the keys after the last entry.

    ``entries`` may be shared between readers: while nothing under the prefix changes it can be the very same tuple.
    """

    entries: Sequence[Entry]
    revision: int
    remaining: int = 0


class Watch(Protocol):
    """An open watch: iterate for batches of changes, in order; close it when done.

    A batch may be empty: then nothing under the prefix has changed up to ``revision`` (progress, for bookmarks).
    Raises ``Compacted`` while iterating if the watcher fell so far behind that changes would be lost.
    """

    @property
    def revision(self) -> int:
        """All changes up to this revision have been delivered."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Change]]: ...
    async def __anext__(self) -> Sequence[Change]: ...
    async def close(self) -> None: ...


class Store(Protocol):
    async def start(self) -> None: ...
    async def close(self) -> None: ...

    @property
    def revision(self) -> int:
        """The newest revision that readers see."""
        ...

    async def get(self, key: str) -> Entry | None: ...

    async def list(self, prefix: str, *, revision: int = 0, limit: int = 0, after: str = "") -> Page:
        """All entries under ``prefix`` in key order, as of ``revision`` (0: now), from the key after ``after``.

        Raises: Compacted, FutureRevision.
        """
        ...

    async def create(self, key: str, value: bytes) -> Entry:
        """Raises: KeyExists."""
        ...

    async def update(self, key: str, value: bytes, *, expected: int) -> Entry:
        """Write if the entry is still at revision ``expected``. Raises: KeyMissing, RevisionConflict."""
        ...

    async def delete(self, key: str, *, expected: int) -> Entry:
        """Delete if still at ``expected``; returns the last entry with ``revision`` of the deletion.

        Raises: KeyMissing, RevisionConflict.
        """
        ...

    async def watch(self, prefix: str, *, after: int) -> Watch:
        """All changes under ``prefix`` with a revision greater than ``after``. Raises: Compacted, FutureRevision."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget history up to ``revision``: older reads and watches answer ``Compacted``."""
        ...
