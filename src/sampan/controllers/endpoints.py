"""The older form of a Service's endpoints: one object for all, addresses grouped by the ports they share.

Kept for programs that still read it; at most 1,000 addresses.  Upstream: ``pkg/controller/endpoint``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sampan.api import meta
from sampan.api.errors import AlreadyExists, ApiError, NotFound
from sampan.api.resources import ENDPOINTS, PODS, SERVICES
from sampan.client.queue import WorkQueue
from sampan.controllers import ownership, podstate, service_ports
from sampan.controllers.base import Context
from sampan.controllers.endpointslice.endpoint import ports_of
from sampan.controllers.service_watch import pods_of, wake_on_changes

Object = dict[str, Any]

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MAX_ADDRESSES = 1000
HEADLESS = "service.kubernetes.io/headless"


def plan(service: Object, pods: Iterable[Object], current: Object | None) -> Object | None:
    """The object as it should be written; None when it is right already."""
    subsets, cut = subsets_of(service, pods)
    labels = {k: v for k, v in meta.labels(service).items() if k != HEADLESS} | {MANAGED_BY: "endpoint-controller"}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    annotations = {k: v for k, v in meta.annotations(current or {}).items() if k != OVER_CAPACITY}
    if cut:
        annotations[OVER_CAPACITY] = "truncated"
    if (current is not None and (current.get("subsets") or []) == subsets and meta.labels(current) == labels
            and meta.annotations(current) == annotations):
        return None
    base = (current or {}).get("metadata") or {"name": meta.name(service), "namespace": meta.namespace(service)}
    metadata = base | {"labels": labels}
    if annotations or "annotations" in base:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}


def subsets_of(service: Object, pods: Iterable[Object]) -> tuple[list[Object], bool]:
    """Sorted, so that equal states are equal objects; and whether addresses had to be left out."""
    anyway = bool(service["spec"].get("publishNotReadyAddresses"))
    family = (service["spec"].get("ipFamilies") or ["IPv4"])[0]
    ready: dict[Any, list[Object]] = {}
    not_ready: dict[Any, list[Object]] = {}
    chosen = [pod for pod in pods if service_ports.belongs(pod, terminating=anyway)]
    chosen.sort(key=lambda pod: (not podstate.is_ready(pod), meta.key(pod)))  # the cut spares the ready ones
    for pod in chosen[:MAX_ADDRESSES]:
        ports = ports_of(pod, service)
        if not ports and service["spec"].get("clusterIP") != "None":
            continue
        into = ready if anyway or podstate.is_ready(pod) else not_ready
        into.setdefault(ports, []).extend(_address(pod, service, ip) for ip in service_ports.pod_ips(pod, family)[:1])
    result = []
    for ports in sorted({*ready, *not_ready}):
        subset: Object = {}
        for name, group in (("addresses", ready), ("notReadyAddresses", not_ready)):
            if group.get(ports):
                subset[name] = sorted(group[ports], key=lambda address: str(address["ip"]))
        if ports:
            subset["ports"] = [{k: v for k, v in port if v != ""} for port in ports]
        result.append(subset)
    return result, len(chosen) > MAX_ADDRESSES


def _address(pod: Object, service: Object, ip: str) -> Object:
    address: Object = {"ip": ip}
    own = service_ports.hostname(pod, service)
    if own:
        address["hostname"] = own
    if podstate.node_name(pod):
        address["nodeName"] = podstate.node_name(pod)
    address["targetRef"] = {"kind": "Pod", "namespace": meta.namespace(pod), "name": meta.name(pod),
                            "uid": meta.uid(pod)}
    return address


class EndpointsController:
    name = "endpoint-controller"
    workers = 5

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._services = context.informers.informer(SERVICES)
        self._pods = context.informers.informer(PODS)
        self._endpoints = context.informers.informer(ENDPOINTS)
        wake_on_changes(self._services, self._pods, self.queue)
        self._endpoints.on_change(lambda old, new: self.queue.add(meta.key(new or old or {})))

    async def reconcile(self, key: str) -> float | None:
        service, current = self._services.get(key), self._endpoints.get(key)
        if service is None:
            await self._delete(current)
            return None
        if service_ports.selected(service) is None:
            return None
        wanted = plan(service, pods_of(service, self._pods), current)
        if wanted is None:
            return None
        try:
            if current is None:
                await self._context.client.create(ENDPOINTS, wanted)
            else:
                await self._context.client.update(ENDPOINTS, wanted)
        except AlreadyExists:
            return 0.005  # the cache was behind
        except ApiError as error:
            if not ownership.namespace_terminating(error):
                raise
        return None

    async def _delete(self, current: Object | None) -> None:
        """The Service is gone; what carries no label of ours was made by hand and may serve on."""
        if current is None or meta.labels(current).get(MANAGED_BY) != "endpoint-controller":
            return
        try:
            await self._context.client.delete(ENDPOINTS, meta.name(current), meta.namespace(current),
                                              uid=meta.uid(current))
        except NotFound:
            return
