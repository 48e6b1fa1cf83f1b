"""The shell around the slices of a Service.

Slices get generated names, so creating one twice is possible where the cache has not shown the first: until it shows
every write of ours, nothing more is written for that Service.  Upstream: ``pkg/controller/endpointslice``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import ApiError, NotFound
from sampan.api.resources import ENDPOINTSLICES, NODES, PODS, SERVICES
from sampan.client.queue import WorkQueue
from sampan.controllers import ownership, service_ports
from sampan.controllers.base import Context
from sampan.controllers.endpointslice.endpoint import ZONE
from sampan.controllers.endpointslice.plan import MANAGED_BY, MANAGER, SERVICE_NAME, plan
from sampan.controllers.service_watch import pods_of, wake_on_changes

Object = dict[str, Any]

BY_SERVICE = "service-name"


class EndpointSliceController:
    name = "endpointslice-controller"
    workers = 5

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._services = context.informers.informer(SERVICES)
        self._pods = context.informers.informer(PODS)
        self._nodes = context.informers.informer(NODES)
        self._slices = context.informers.informer(ENDPOINTSLICES)
        self._slices.add_index(BY_SERVICE, _service_key)
        self._written: dict[str, dict[str, int]] = {}  # Service -> slice -> the revision that the cache must reach
        wake_on_changes(self._services, self._pods, self.queue)
        self._slices.on_change(self._slice_changed)
        self._nodes.on_change(self._node_changed)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for item in (old, new):
            for key in _service_key(item) if item is not None else ():
                if new is None and old is not None:
                    self._written.get(key, {}).pop(meta.name(old), None)
                self.queue.add(key)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and meta.labels(old).get(ZONE) == meta.labels(new).get(ZONE):
            return
        if ZONE in meta.labels(new or {}) or ZONE in meta.labels(old or {}):
            for service in self._services.list():
                self.queue.add(meta.key(service))

    async def reconcile(self, key: str) -> float | None:
        service = self._services.get(key)
        if service is None or service_ports.selected(service) is None or meta.is_deleted(service):
            self._written.pop(key, None)
            return None  # the garbage collector deletes the slices of a Service that is gone
        if not self._caught_up(key):
            return None  # the slice's event brings us back
        zones = {meta.name(node): meta.labels(node)[ZONE] for node in self._nodes.list()
                 if ZONE in meta.labels(node)}
        decided = plan(service, pods_of(service, self._pods), self._slices.by_index(BY_SERVICE, key), zones)
        try:
            for item in decided.create:
                self._note(key, await self._context.client.create(ENDPOINTSLICES, item))
            for item in decided.update:
                self._note(key, await self._context.client.update(ENDPOINTSLICES, item))
            for item in decided.delete:
                await self._delete(item)
        except ApiError as error:
            if ownership.namespace_terminating(error):
                return None
            raise
        return None

    def _note(self, key: str, item: Object) -> None:
        self._written.setdefault(key, {})[meta.name(item)] = int(meta.resource_version(item))

    def _caught_up(self, key: str) -> bool:
        waiting, namespace = self._written.get(key, {}), key.partition("/")[0]
        for name, revision in list(waiting.items()):
            seen = self._slices.get(f"{namespace}/{name}")
            if seen is not None and int(meta.resource_version(seen)) >= revision:
                del waiting[name]
        # Deleted before it was ever seen: the cache has gone past it, and it will not come.
        now = int(self._slices.resource_version or 0)
        return all(revision <= now for revision in waiting.values())

    async def _delete(self, item: Object) -> None:
        try:
            await self._context.client.delete(ENDPOINTSLICES, meta.name(item), meta.namespace(item))
        except NotFound:
            return


def _service_key(item: Object) -> list[str]:
    labels = meta.labels(item)
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_NAME not in labels:
        return []
    return [f"{meta.namespace(item)}/{labels[SERVICE_NAME]}"]
