"""The Service ``default/kubernetes``: how pods find the API server.

It has no selector, because the API server is not a pod; its endpoints are the server's own address, written here.
Upstream: ``pkg/controlplane/controller/kubernetesservice``, ``pkg/controlplane/reconcilers``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import AlreadyExists, ApiError
from sampan.api.resources import ENDPOINTS, ENDPOINTSLICES, SERVICES, Resource
from sampan.client.queue import WorkQueue
from sampan.controllers.base import Context, KubernetesService, gvk

Object = dict[str, Any]

KEY = "default/kubernetes"
LABELS = {"component": "apiserver", "provider": "kubernetes"}
NO_MIRROR = {"endpointslice.kubernetes.io/skip-mirror": "true"}  # the slice is written here, not copied


def service(wanted: KubernetesService) -> Object:
    return {
        **gvk(SERVICES), "metadata": {"name": "kubernetes", "namespace": "default", "labels": LABELS},
        "spec": {"type": "ClusterIP", "clusterIP": wanted.cluster_ip, "clusterIPs": [wanted.cluster_ip],
                 "ipFamilies": [_family(wanted.cluster_ip)], "ipFamilyPolicy": "SingleStack",
                 "sessionAffinity": "None",
                 "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": wanted.port}]},
    }


def endpoints(wanted: KubernetesService) -> Object:
    return {
        **gvk(ENDPOINTS), "metadata": {"name": "kubernetes", "namespace": "default", "labels": NO_MIRROR},
        "subsets": [{"addresses": [{"ip": wanted.address}],
                     "ports": [{"name": "https", "port": wanted.port, "protocol": "TCP"}]}],
    }


def endpoint_slice(wanted: KubernetesService) -> Object:
    return {
        **gvk(ENDPOINTSLICES),
        "metadata": {"name": "kubernetes", "namespace": "default",
                     "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": _family(wanted.address),
        "endpoints": [{"addresses": [wanted.address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": wanted.port, "protocol": "TCP"}],
    }


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def corrected(current: Object, wanted: Object) -> Object | None:
    """``current`` with what must be so; None when it is so. Labels of others stay."""
    fresh = current | {part: value for part, value in wanted.items() if part not in ("metadata", "spec")}
    labels = meta.labels(current) | meta.labels(wanted)
    fresh["metadata"] = current["metadata"] | {"labels": labels}
    if "spec" in wanted:
        fresh["spec"] = current["spec"] | {"ports": wanted["spec"]["ports"], "type": wanted["spec"]["type"]}
    return None if fresh == current else fresh


class KubernetesServiceController:
    name = "kubernetes-service-controller"
    workers = 1

    def __init__(self, context: Context, wanted: KubernetesService) -> None:
        self._context, self._wanted = context, wanted
        self.queue: WorkQueue[str] = WorkQueue()
        self._parts = ((SERVICES, service(wanted)), (ENDPOINTSLICES, endpoint_slice(wanted)),
                       (ENDPOINTS, endpoints(wanted)))
        for resource, _ in self._parts:
            context.informers.informer(resource).on_change(self._changed)
        self.queue.add(KEY)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if meta.key(new or old or {}) == KEY:
            self.queue.add(KEY)

    async def reconcile(self, key: str) -> float | None:
        for resource, wanted in self._parts:
            if not await self._ensure(resource, wanted):
                return 0.005
        return None

    async def _ensure(self, resource: Resource, wanted: Object) -> bool:
        current = self._context.informers.informer(resource).get(KEY)
        try:
            if current is None:
                await self._context.client.create(resource, wanted)
                return True
            fresh = corrected(current, wanted)
            if fresh is not None:
                await self._context.client.update(resource, fresh)
        except AlreadyExists:
            return False  # the cache was behind
        except ApiError as error:
            if error.code == 404:
                return False  # the namespace is being made at this moment
            raise
        return True
