"""The bytes of large lists, kept while they are in demand.

The store hands out the very same tuple of entries until something below its prefix changes, so that tuple's identity
tells whether a list is still the one that was sent before.  From the second time on its joined pieces are kept: to join
5,000 pods costs about as much as to encrypt them.  What nobody asks for during a few seconds is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from sampan.api.encoding import with_revision
from sampan.store.base import Entry

#: So many objects are joined between two turns of the event loop.
SLICE = 500
KEPT = 4
MAX_BYTES = 32 << 20
FORGET_SECONDS = 5.0


class JoinedLists:
    """Few lists, and a bound on their bytes."""

    def __init__(self, max_bytes: int = MAX_BYTES, forget_seconds: float = FORGET_SECONDS) -> None:
        self._asked: dict[int, _Joined] = {}  # by the identity of the entries, which each holds on to
        self._max_bytes = max_bytes
        self._forget_seconds = forget_seconds
        self._forgetting: asyncio.TimerHandle | None = None
        self.bytes = 0

    async def pieces(self, entries: Sequence[Entry], *, keep: bool = True) -> AsyncGenerator[bytes, None]:
        """The objects, joined, in pieces, with a turn for others after each. ``keep`` those that may come again."""
        joined = self._joined(entries) if keep else _Joined(entries)
        for start in range(0, len(entries), SLICE):
            piece = joined.pieces.get(start)
            if piece is None:
                piece = (b"," if start else b"") + join(entries[start:start + SLICE])
                self._keep(joined, start, piece)
            yield piece
            await asyncio.sleep(0)

    def _joined(self, entries: Sequence[Entry]) -> _Joined:
        joined = self._asked.get(id(entries))
        if joined is None:
            joined = _Joined(entries)
            while len(self._asked) >= KEPT:
                self._drop(next(iter(self._asked)))
            self._asked[id(entries)] = joined
            if self._forgetting is None:
                self._forgetting = asyncio.get_running_loop().call_later(self._forget_seconds, self._forget)
        joined.times += 1
        return joined

    def _keep(self, joined: _Joined, start: int, piece: bytes) -> None:
        again = joined.times > 1 and self._asked.get(id(joined.entries)) is joined
        if again and self.bytes + len(piece) <= self._max_bytes:
            joined.pieces[start] = piece
            self.bytes += len(piece)

    def _drop(self, key: int) -> None:
        self.bytes -= sum(map(len, self._asked.pop(key).pieces.values()))

    def _forget(self) -> None:
        """Every list that was not asked for since the last time."""
        self._forgetting = None
        for key, joined in list(self._asked.items()):
            if joined.times == joined.seen:
                self._drop(key)
            joined.seen = joined.times
        if self._asked:
            self._forgetting = asyncio.get_running_loop().call_later(self._forget_seconds, self._forget)


class _Joined:
    """One list: ``times`` it was asked for, and how many of those the last clean-up has seen."""

    __slots__ = ("entries", "pieces", "seen", "times")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.pieces: dict[int, bytes] = {}
        self.times = 0
        self.seen = 0


def join(entries: Sequence[Entry]) -> bytes:
    return b",".join([with_revision(entry.value, entry.revision) for entry in entries])
