"""The live state in memory: what every read is served from, sorted by key.

A list of a prefix is kept as a tuple until something under that prefix changes, so listing 5,000 objects again and
again costs nothing; nothing but references is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict

from sampan.store.base import Entry, Page

#: Lists kept for reuse. When there are more prefixes than this (one per namespace, say) all are dropped and built anew.
MAX_KEPT_LISTS = 256


def folders(key: str) -> Iterator[str]:
    """Every prefix of ``key`` that ends in a slash: ``/``, ``/pods/``, ``/pods/default/``."""
    end = key.find("/")
    while end != -1:
        yield key[: end + 1]
        end = key.find("/", end + 1)


def after_prefix(prefix: str) -> str:
    """The first string behind all those that start with ``prefix``; ``""`` when there is none."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else ""


class Mirror:
    """Entries by key. ``revision`` is that of the last change applied."""

    def __init__(self, entries: Iterable[Entry] = (), revision: int = 0) -> None:
        self._entries: SortedDict[str, Entry] = SortedDict((entry.key, entry) for entry in entries)
        self._lists: dict[str, tuple[Entry, ...]] = {}
        self.revision = revision

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        entry: Entry | None = self._entries.get(key)
        return entry

    def put(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        self._touched(entry.key, entry.revision)

    def remove(self, key: str, revision: int) -> None:
        del self._entries[key]
        self._touched(key, revision)

    def page(self, prefix: str, limit: int, after: str) -> Page:
        """The entries as they are now."""
        if not limit and not after:
            return Page(self._list(prefix), self.revision)
        start, end = self._bounds(prefix)
        if after:
            start = max(start, self._entries.bisect_right(after))
        stop = min(end, start + limit) if limit else end
        values = self._entries
        entries = tuple([values[key] for key in values.islice(start, stop)])
        return Page(entries, self.revision, max(0, end - stop))

    def count(self, prefix: str, after: str) -> int:
        """How many keys under ``prefix`` come behind ``after``."""
        start, end = self._bounds(prefix)
        behind: int = self._entries.bisect_right(after)
        return max(0, end - max(start, behind))

    def _list(self, prefix: str) -> tuple[Entry, ...]:
        entries = self._lists.get(prefix)
        if entries is None:
            values = self._entries
            entries = tuple([values[key] for key in values.islice(*self._bounds(prefix))])
            # Invalidation goes by folder, so only folders can be kept.
            if prefix.endswith("/"):
                if len(self._lists) >= MAX_KEPT_LISTS:
                    self._lists.clear()
                self._lists[prefix] = entries
        return entries

    def _bounds(self, prefix: str) -> tuple[int, int]:
        if not prefix:
            return 0, len(self._entries)
        return self._entries.bisect_left(prefix), self._entries.bisect_left(after_prefix(prefix))

    def _touched(self, key: str, revision: int) -> None:
        self.revision = revision
        if self._lists:
            for folder in folders(key):
                self._lists.pop(folder, None)
