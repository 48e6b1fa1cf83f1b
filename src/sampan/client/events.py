"""Events: what ``kubectl describe`` shows at the end. Told by the way, so never at the caller's cost.

``event()`` only puts into a bounded queue.  The correlator (pure, ``Correlator.fold``) decides what to write: the same
message about the same object again raises ``count`` and ``lastTimestamp`` of the event that is there; more than ten
different messages for one reason within ten minutes are folded into one; an object that emits more than a burst of 25
plus one per five minutes is cut off.

Upstream: ``client-go/tools/record`` (event.go, events_cache.go).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from sampan.api import clock
from sampan.api.errors import AlreadyExists, ApiError, NotFound
from sampan.api.resources import CORE_EVENTS
from sampan.client.correlator import Correlator, Occurrence
from sampan.client.rest import Client, Object

log = logging.getLogger(__name__)

QUEUE_SIZE = 1000
TRIES = 5
RETRY_SECONDS = 1.0


class EventRecorder:
    """Speaks for one component (``kubelet`` on ``host``). Must be used on a running event loop."""

    def __init__(
        self, client: Client, component: str, host: str = "", *, now: Callable[[], datetime] = clock.now,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._now = now
        self._sleep = sleep
        self._queue: asyncio.Queue[Occurrence] = asyncio.Queue(QUEUE_SIZE)
        self._correlator = Correlator()
        self._task: asyncio.Task[None] | None = None
        self._dropped = 0

    def event(self, obj: Object, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Record; ``type`` is ``Normal`` or ``Warning``, ``field_path`` such as ``spec.containers{web}``.

        Returns at once; when the server can't keep up the event is lost, and that is all.
        """
        try:
            self._queue.put_nowait(Occurrence(reference(obj, field_path), type, reason, message[:1024], self._now()))
        except asyncio.QueueFull:
            self._dropped += 1
            if self._dropped % 100 == 1:
                log.warning("dropped events component=%s total=%d", self._component, self._dropped)
        except Exception:  # an object without a name, say: no reason to fail whoever wanted to tell of it
            log.exception("event not recorded reason=%s", reason)
        else:
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name=f"events of {self._component}")

    async def flush(self) -> None:
        """Wait until everything recorded so far has been written or given up."""
        await self._queue.join()

    async def close(self) -> None:
        """Stop; what is still queued is lost."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            occurrence = await self._queue.get()
            try:
                await self._record(occurrence)
            except Exception:
                log.exception("event not written reason=%s", occurrence.reason)
            finally:
                self._queue.task_done()

    async def _record(self, occurrence: Occurrence) -> None:
        """Try again while the server can't be reached; a refusal is final (the namespace may be going away)."""
        folded = self._correlator.fold(occurrence)
        if folded is None:
            return
        for attempt in range(TRIES):
            try:
                return await self._write(folded)
            except ApiError as error:
                if error.code < 500 and error.code != 429:
                    log.debug("event refused reason=%s error=%s", occurrence.reason, error)
                    return
                log.debug("event not written yet reason=%s error=%s", occurrence.reason, error)
            await self._sleep(RETRY_SECONDS * 2**attempt)

    async def _write(self, occurrence: Occurrence) -> None:
        known = self._correlator.written(occurrence)
        namespace = occurrence.regarding.get("namespace") or "default"
        if known is not None:
            name, count = known
            patch = {"count": count + 1, "lastTimestamp": clock.rfc3339(occurrence.at), "message": occurrence.message}
            try:
                await self._client.patch(CORE_EVENTS, name, patch, namespace)
                self._correlator.remember(occurrence, name, count + 1)
                return
            except NotFound:
                pass  # its time to live (one hour) was over
        event = event_object(occurrence, namespace, self._component, self._host)
        with contextlib.suppress(AlreadyExists):  # a try before this one got through, its answer did not
            await self._client.create(CORE_EVENTS, event, namespace)
        self._correlator.remember(occurrence, event["metadata"]["name"], 1)


def reference(obj: Object, field_path: str = "") -> dict[str, str]:
    """An ObjectReference to ``obj``, which needs kind and apiVersion."""
    metadata = obj["metadata"]
    fields = {
        "kind": obj["kind"], "namespace": metadata.get("namespace"), "name": metadata["name"],
        "uid": metadata.get("uid"), "apiVersion": obj["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion"), "fieldPath": field_path,
    }
    return {name: value for name, value in fields.items() if value}


def event_object(occurrence: Occurrence, namespace: str, component: str, host: str) -> Object:
    """A core/v1 Event that stands for one occurrence; its name is the object's and the time in nanoseconds, in hex."""
    at = clock.rfc3339(occurrence.at)
    source = {"component": component, "host": host} if host else {"component": component}
    stamp = int(occurrence.at.timestamp() * 1_000_000) * 1000 + occurrence.sequence % 1000
    return {
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": f"{occurrence.regarding['name']}.{stamp:x}", "namespace": namespace},
        "involvedObject": occurrence.regarding, "reason": occurrence.reason, "message": occurrence.message,
        "source": source, "firstTimestamp": at, "lastTimestamp": at, "count": 1, "type": occurrence.type,
        "eventTime": None, "reportingComponent": component, "reportingInstance": host,
    }
