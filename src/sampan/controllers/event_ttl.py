"""Events live for an hour. Upstream's store forgets them by itself (an etcd lease); here they are swept.

They are read page by page, straight from the server: a cache of events would cost more than the events are worth.
Upstream: ``--event-ttl`` of kube-apiserver.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import Expired, NotFound
from sampan.api.resources import CORE_EVENTS
from sampan.client.queue import WorkQueue
from sampan.controllers.base import Context

Object = dict[str, Any]

PAGE = 500
EVERY_FRACTION = 12  # of the time to live: five minutes for an hour


def plan(events: Iterable[Object], ttl_seconds: float, now: datetime) -> list[Object]:
    """Those whose last sign of life is too long ago."""
    limit = now - timedelta(seconds=ttl_seconds)
    return [event for event in events if last_seen(event) < limit]


def last_seen(event: Object) -> datetime:
    series = event.get("series") or {}
    stamps = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"),
              meta.metadata(event).get("creationTimestamp"))
    return max(clock.parse(stamp) for stamp in stamps if stamp)


class EventTtlController:
    name = "event-ttl-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self.queue.add_after("sweep", self._every_seconds)

    @property
    def _every_seconds(self) -> float:
        return self._context.config.event_ttl_seconds / EVERY_FRACTION

    async def reconcile(self, key: str) -> float | None:
        token = ""
        while True:
            try:
                page = await self._context.client.list(CORE_EVENTS, limit=PAGE, continue_=token)
            except Expired:
                break  # the rest comes with the next sweep
            await self._delete(page["items"])
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                break
        return self._every_seconds

    async def _delete(self, events: list[Object]) -> None:
        for event in plan(events, self._context.config.event_ttl_seconds, self._context.now()):
            try:
                await self._context.client.delete(CORE_EVENTS, meta.name(event), meta.namespace(event))
            except NotFound:
                continue
