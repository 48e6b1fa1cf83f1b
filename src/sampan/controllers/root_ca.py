"""Every namespace has a ConfigMap ``kube-root-ca.crt``: by it pods know the API server when they see it.

Upstream: ``pkg/controller/certificates/rootcacertpublisher``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import AlreadyExists, ApiError
from sampan.api.resources import CONFIGMAPS, NAMESPACES
from sampan.client.queue import WorkQueue
from sampan.controllers import ownership
from sampan.controllers.base import Context, gvk
from sampan.controllers.serviceaccount import is_active

Object = dict[str, Any]

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters.")


def plan(namespace: str, current: Object | None, root_ca_pem: str) -> Object | None:
    """The ConfigMap as it should be written; None when it is right."""
    data, annotations = {"ca.crt": root_ca_pem}, {"kubernetes.io/description": DESCRIPTION}
    if current is None:
        metadata = {"name": NAME, "namespace": namespace, "annotations": annotations}
        return {**gvk(CONFIGMAPS), "metadata": metadata, "data": data}
    if current.get("data") == data and annotations.items() <= meta.annotations(current).items():
        return None
    metadata = current["metadata"] | {"annotations": meta.annotations(current) | annotations}
    return {k: v for k, v in current.items() if k != "binaryData"} | {"metadata": metadata, "data": data}


class RootCaController:
    name = "root-ca-cert-publisher"
    workers = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._namespaces = context.informers.informer(NAMESPACES)
        self._maps = context.informers.informer(CONFIGMAPS)
        self._namespaces.on_change(lambda old, new: self.queue.add(meta.name(new or old or {})))
        self._maps.on_change(self._map_changed)

    def _map_changed(self, old: Object | None, new: Object | None) -> None:
        changed = new or old or {}
        if meta.name(changed) == NAME:
            self.queue.add(meta.namespace(changed))

    async def reconcile(self, key: str) -> float | None:
        if not is_active(self._namespaces.get(key)):
            return None
        current = self._maps.get(f"{key}/{NAME}")
        wanted = plan(key, current, self._context.config.root_ca_pem)
        if wanted is None:
            return None
        try:
            if current is None:
                await self._context.client.create(CONFIGMAPS, wanted)
            else:
                await self._context.client.update(CONFIGMAPS, wanted)
        except AlreadyExists:
            return None  # the cache was behind; its event brings us back
        except ApiError as error:
            if not ownership.namespace_terminating(error) and error.code != 404:
                raise
        return None
