"""One change, seen by many watchers: decoded, matched and encoded at most once per form.

A thousand watchers of the same pods get the same bytes.  So each change in the store becomes one ``SharedEvent``, kept
for a moment under its key and revision, which remembers what was worked out for the first watcher that asked.

For a watcher with a selector, a change can look like another one: an object that comes to match is ADDED to what he
sees, one that no longer matches is DELETED from it.

Upstream: ``staging/src/k8s.io/apiserver/pkg/storage/cacher/cacher.go`` (cachingObject, convertToWatchEvent).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import orjson

from sampan.api.encoding import from_stored, with_revision
from sampan.apiserver.kinds.base import Kind
from sampan.apiserver.respond import partial_metadata
from sampan.apiserver.selection import Selection
from sampan.store.base import Change

Object = dict[str, Any]

ADDED, MODIFIED, DELETED, BOOKMARK, ERROR = "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"
#: Watchers take a change within milliseconds of each other; a burst is longer than that.
REMEMBERED = 512
FORGET_SECONDS = 5.0


class SharedEvent:
    """One change of one object, as one resource shows it."""

    __slots__ = ("_frames", "_now", "_was", "change", "kind")

    def __init__(self, change: Change, kind: Kind) -> None:
        self.change = change
        self.kind = kind
        self._now: Object | None = None
        self._was: Object | None = None
        self._frames: dict[str, bytes] = {}

    @property
    def type(self) -> str:
        """As a watcher of everything sees it."""
        if self.change.value is None:
            return DELETED
        return ADDED if self.change.previous is None else MODIFIED

    def type_for(self, selection: Selection) -> str | None:
        """As a watcher with this selection sees it; None if he doesn't."""
        if selection.everything:
            return self.type
        matches = self.change.value is not None and selection.matches(self.now())
        matched = self.change.previous is not None and selection.matches(self.was())
        if matches:
            return MODIFIED if matched else ADDED
        return DELETED if matched else None

    def now(self) -> Object:
        """The object after the change; shared, so never to be changed."""
        if self._now is None:
            assert self.change.value is not None
            self._now = self._decode(self.change.value)
        return self._now

    def was(self) -> Object:
        """The object before the change, at the change's revision: a DELETED event tells when it went."""
        if self._was is None:
            assert self.change.previous is not None
            self._was = self._decode(self.change.previous)
        return self._was

    def _decode(self, stored: bytes) -> Object:
        obj = from_stored(stored, self.change.revision)
        return self.kind.from_stored(obj) if self.kind.converted else obj

    def shown(self, type_: str) -> Object:
        """The object that an event of this type carries."""
        return self.was() if type_ == DELETED else self.now()

    def frame(self, type_: str) -> bytes:
        """The line to send: ``{"type":"ADDED","object":{...}}``."""
        frame = self._frames.get(type_)
        if frame is None:
            frame = self._frames[type_] = self._encode(type_)
        return frame

    def metadata_frame(self, type_: str, version: str) -> bytes:
        """The line for a watcher of ``PartialObjectMetadata``."""
        form = f"{type_} {version}"
        frame = self._frames.get(form)
        if frame is None:
            frame = self._frames[form] = object_frame(type_, partial_metadata(self.shown(type_), version))
        return frame

    def _encode(self, type_: str) -> bytes:
        if self.kind.converted:
            return frame_of(type_, orjson.dumps(self.shown(type_)))
        stored = self.change.previous if type_ == DELETED else self.change.value
        assert stored is not None
        return frame_of(type_, with_revision(stored, self.change.revision))


def frame_of(type_: str, encoded: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (type_.encode(), encoded)


def object_frame(type_: str, obj: Object) -> bytes:
    return frame_of(type_, orjson.dumps(obj))


class EventCache:
    """The newest events, so that watchers share them; an idle server forgets them all."""

    def __init__(self, remembered: int = REMEMBERED, forget_seconds: float = FORGET_SECONDS) -> None:
        self._events: OrderedDict[tuple[str, int, str], SharedEvent] = OrderedDict()
        self._remembered = remembered
        self._forget_seconds = forget_seconds
        self._forgetting: asyncio.TimerHandle | None = None

    def event(self, change: Change, kind: Kind) -> SharedEvent:
        key = (change.key, change.revision, kind.resource.group)
        event = self._events.get(key)
        if event is None:
            event = self._events[key] = SharedEvent(change, kind)
            if len(self._events) > self._remembered:
                self._events.popitem(last=False)
            if self._forgetting is None:
                self._forgetting = asyncio.get_running_loop().call_later(self._forget_seconds, self._forget)
        return event

    def _forget(self) -> None:
        self._forgetting = None
        self._events.clear()
