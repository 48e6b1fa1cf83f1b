"""Which events are worth writing, and which are one that was written before. Pure: time comes with each occurrence.

Upstream: ``client-go/tools/record/events_cache.go`` (EventCorrelator).
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

MAX_SIMILAR = 10
SIMILAR_WINDOW = timedelta(minutes=10)
SPAM_BURST = 25
SPAM_REFILL_SECONDS = 300.0
CACHE_SIZE = 4096

_sequence = itertools.count()
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One call of ``event()``. ``regarding`` is an ObjectReference."""

    regarding: dict[str, str]
    type: str
    reason: str
    message: str
    at: datetime
    sequence: int = field(default_factory=_sequence.__next__)

    @property
    def subject(self) -> tuple[str, ...]:
        """The object, whatever its revision."""
        fields = ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
        return tuple(self.regarding.get(name, "") for name in fields)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: datetime


@dataclass(slots=True)
class _Similar:
    at: datetime
    messages: set[str] = field(default_factory=set)


class Correlator:
    """Remembers the last 4096 subjects and events."""

    def __init__(self) -> None:
        self._buckets: _Recent[_Bucket] = _Recent()
        self._similar: _Recent[_Similar] = _Recent()
        self._written: _Recent[tuple[str, int]] = _Recent()

    def fold(self, occurrence: Occurrence) -> Occurrence | None:
        """What to write for it: itself, the combined event of its kind, or nothing at all (spam)."""
        if self._is_spam(occurrence):
            return None
        key = (occurrence.subject, occurrence.type, occurrence.reason)
        similar = self._similar.get(key)
        if similar is None or occurrence.at - similar.at > SIMILAR_WINDOW:
            similar = _Similar(occurrence.at)
            self._similar.put(key, similar)
        similar.at = occurrence.at
        similar.messages.add(occurrence.message)
        if len(similar.messages) < MAX_SIMILAR:
            return occurrence
        similar.messages.pop()  # keeps the set from growing for ever, and full
        return replace(occurrence, message=f"(combined from similar events): {occurrence.message}")

    def written(self, occurrence: Occurrence) -> tuple[str, int] | None:
        """The name and the count of the event that already says this."""
        return self._written.get(_identity(occurrence))

    def remember(self, occurrence: Occurrence, name: str, count: int) -> None:
        self._written.put(_identity(occurrence), (name, count))

    def _is_spam(self, occurrence: Occurrence) -> bool:
        bucket = self._buckets.get(occurrence.subject)
        if bucket is None:
            bucket = _Bucket(SPAM_BURST, occurrence.at)
            self._buckets.put(occurrence.subject, bucket)
        elapsed = (occurrence.at - bucket.at).total_seconds()
        bucket.tokens = min(SPAM_BURST, bucket.tokens + max(0.0, elapsed) / SPAM_REFILL_SECONDS)
        bucket.at = occurrence.at
        if bucket.tokens < 1:
            return True
        bucket.tokens -= 1
        return False


def _identity(occurrence: Occurrence) -> Hashable:
    """Combined events share one identity, whatever message they carry."""
    combined = occurrence.message.startswith("(combined from similar events): ")
    message = "(combined)" if combined else occurrence.message
    return (occurrence.subject, occurrence.type, occurrence.reason, message)


class _Recent(Generic[Value]):
    """A dict that forgets what was not used for longest."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Hashable, value: Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > CACHE_SIZE:
            self._values.popitem(last=False)
