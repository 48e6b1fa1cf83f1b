"""The namespaces every cluster has. They are put back should anybody manage to remove one.

Upstream: ``pkg/controlplane/controller/systemnamespaces``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import AlreadyExists
from sampan.api.resources import NAMESPACES
from sampan.client.queue import WorkQueue
from sampan.controllers.base import Context, gvk

Object = dict[str, Any]

# In the order in which they are needed: default holds the kubernetes Service, the rest can come a moment later.
NAMES = ("default", "kube-system", "kube-node-lease", "kube-public")


class InitialNamespacesController:
    name = "system-namespaces-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._namespaces = context.informers.informer(NAMESPACES)
        self._namespaces.on_change(self._changed)
        for name in NAMES:
            self.queue.add(name)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None and meta.name(old) in NAMES:
            self.queue.add(meta.name(old))

    async def reconcile(self, key: str) -> float | None:
        if self._namespaces.get(key) is None:
            try:
                await self._context.client.create(NAMESPACES, {**gvk(NAMESPACES), "metadata": {"name": key}})
            except AlreadyExists:
                return None
        return None
