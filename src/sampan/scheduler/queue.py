"""Who is placed next, and who waits for what.

Three places: *active* (highest priority first, then first come), *unschedulable* (waiting for an event that could help,
according to the rules that turned the pod away) and *back-off* (an event came, but the pod failed lately: 1 s, doubled
up to 10 s).  When nobody is active, back-off is cut short: there is nothing better to do with the time.  Pods whose
binding failed wait for their back-off in full.

Upstream: ``pkg/scheduler/backend/queue``.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sampan.api import meta
from sampan.scheduler.framework import Event

Object = dict[str, Any]

FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 10.0
ACTIVE, BACKOFF, UNSCHEDULABLE, GATED, TAKEN = "active", "backoff", "unschedulable", "gated", "taken"


@dataclass(slots=True)
class QueuedPod:
    """``ticket`` is the valid heap entry's number: older entries are stale and skipped."""

    pod: Object
    sequence: int
    where: str = ACTIVE
    attempts: int = 0
    failed_at: float = 0.0
    rules: frozenset[str] = frozenset()
    ticket: int = -1

    @property
    def backoff_seconds(self) -> float:
        doubled = FIRST_BACKOFF_SECONDS * 2.0 ** min(max(self.attempts - 1, 0), 10)
        return min(doubled, MOST_BACKOFF_SECONDS)


class SchedulingQueue:
    """``wanted_by`` maps an event to the names of the rules for which it may change the answer."""

    def __init__(self, wanted_by: Mapping[Event, frozenset[str]], now: Callable[[], float]) -> None:
        self._wanted_by, self._now = wanted_by, now
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[tuple[int, int, int, str]] = []
        self._backoff: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pods)

    def state(self, uid: str) -> str | None:
        """Where a pod is, for tests and for whoever wants to know why it waits."""
        found = self._pods.get(uid)
        return found.where if found is not None else None

    def add(self, pod: Object) -> None:
        """A pod to be placed, new or changed. A change of its spec or labels is worth another try."""
        known = self._pods.get(meta.uid(pod))
        if known is None:
            entry = self._pods[meta.uid(pod)] = QueuedPod(pod, next(self._numbers))
            self._activate(entry)
            return
        changed = _differs(known.pod, pod)
        known.pod = pod
        if known.where == GATED or (known.where == UNSCHEDULABLE and changed):
            self._activate(known)

    def remove(self, uid: str) -> None:
        """Deleted, or placed by somebody else."""
        self._pods.pop(uid, None)

    def _activate(self, entry: QueuedPod) -> None:
        if entry.pod["spec"].get("schedulingGates"):
            entry.where = GATED
            return
        entry.where, entry.ticket = ACTIVE, next(self._numbers)
        priority = entry.pod["spec"].get("priority") or 0
        heapq.heappush(self._active, (-priority, entry.sequence, entry.ticket, meta.uid(entry.pod)))
        self._filled.set()

    async def pop(self) -> QueuedPod:
        """The next pod to place; the caller says afterwards ``remove``, ``unschedulable`` or ``failed``."""
        while True:
            entry = self.pop_now()
            if entry is not None:
                return entry
            self._filled.clear()
            await self._filled.wait()

    def pop_now(self) -> QueuedPod | None:
        while self._active:
            _, _, ticket, uid = heapq.heappop(self._active)
            entry = self._take(ticket, uid)
            if entry is not None:
                return entry
        while self._backoff:
            _, ticket, uid = heapq.heappop(self._backoff)
            entry = self._take(ticket, uid)
            if entry is not None:
                return entry
        return None

    def _take(self, ticket: int, uid: str) -> QueuedPod | None:
        entry = self._pods.get(uid)
        if entry is None or entry.ticket != ticket:
            return None
        entry.where, entry.ticket = TAKEN, -1
        entry.attempts += 1
        return entry

    def unschedulable(self, entry: QueuedPod, rules: frozenset[str]) -> None:
        """No node fits: it waits until an event could help one of the rules. No rules: until any event."""
        if self._pods.get(meta.uid(entry.pod)) is entry:
            entry.where, entry.rules, entry.failed_at = UNSCHEDULABLE, rules, self._now()

    def failed(self, entry: QueuedPod) -> float | None:
        """Something else went wrong. Returns after how many seconds to call ``retry``; None when it is gone."""
        if self._pods.get(meta.uid(entry.pod)) is not entry:
            return None
        entry.where, entry.rules, entry.failed_at = UNSCHEDULABLE, frozenset({"error"}), self._now()
        return entry.backoff_seconds

    def retry(self, uid: str) -> None:
        entry = self._pods.get(uid)
        if entry is not None and entry.where == UNSCHEDULABLE:
            self._activate(entry)

    def happened(self, event: Event) -> None:
        """Move the pods on that this event could help."""
        interested = self._wanted_by.get(event, frozenset())
        for entry in self._pods.values():
            if entry.where == UNSCHEDULABLE and (not entry.rules or entry.rules & interested):
                self._move(entry)

    def retry_stale(self, seconds: float) -> None:
        """Try those again that have waited long: a safety net, should the rules' events miss something."""
        for entry in self._pods.values():
            if entry.where == UNSCHEDULABLE and self._now() - entry.failed_at >= seconds:
                self._move(entry)

    def _move(self, entry: QueuedPod) -> None:
        due = entry.failed_at + entry.backoff_seconds
        if due <= self._now():
            self._activate(entry)
            return
        entry.where, entry.ticket = BACKOFF, next(self._numbers)
        heapq.heappush(self._backoff, (due, entry.ticket, meta.uid(entry.pod)))
        self._filled.set()


def _differs(old: Object, new: Object) -> bool:
    """But for what reports write: status, and metadata that says who wrote when."""
    return (old["spec"] != new["spec"] or meta.labels(old) != meta.labels(new)
            or meta.annotations(old) != meta.annotations(new))
