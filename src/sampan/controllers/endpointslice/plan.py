"""Which slices of a Service to create, change and delete, with as few writes as can be.

Every change of a slice goes to every node, so what is right stays where it is: departed endpoints are taken out of
their slices, changed ones are changed in place, and new ones go into slices that are written anyway, then into the
fullest that has room, then into new slices.  Upstream: ``staging/src/k8s.io/endpointslice/reconciler.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sampan.api import meta
from sampan.controllers import service_ports
from sampan.controllers.endpointslice.endpoint import Ports, endpoint_of, ports_key, ports_of, same

Object = dict[str, Any]

MAX_ENDPOINTS = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"


@dataclass(frozen=True, slots=True)
class Plan:
    create: tuple[Object, ...] = ()
    update: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()


def plan(service: Object, pods: Iterable[Object], slices: Sequence[Object], zones: Mapping[str, str]) -> Plan:
    """``pods`` match the selector; ``slices`` are the ones we manage for the Service; ``zones`` by node name."""
    create, update, delete = [], [], []
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    candidates = [pod for pod in pods if service_ports.belongs(pod, terminating=True)]
    for family in families:
        groups = _groups(service, candidates, zones, family)
        mine = [s for s in slices if s.get("addressType") == family]
        made, changed, gone = _reuse(service, *_reconcile(service, family, groups, mine))
        create += made
        update += changed
        delete += gone
    delete += [s for s in slices if s.get("addressType") not in families]
    return Plan(tuple(create), tuple(update), tuple(delete))


def _groups(service: Object, pods: Iterable[Object], zones: Mapping[str, str],
            family: str) -> dict[Ports, dict[str, Object]]:
    """Endpoints by their ports, then by the pod's uid."""
    groups: dict[Ports, dict[str, Object]] = {}
    for pod in pods:
        if service_ports.pod_ips(pod, family):
            zone = zones.get(pod["spec"].get("nodeName") or "", "")
            endpoint = endpoint_of(pod, service, zone, family)
            groups.setdefault(ports_of(pod, service), {})[meta.uid(pod)] = endpoint
    return groups


def _reconcile(service: Object, family: str, groups: Mapping[Ports, dict[str, Object]],
               slices: Sequence[Object]) -> tuple[list[Object], list[Object], list[Object]]:
    create: list[Object] = []
    update: list[Object] = []
    delete: list[Object] = []
    by_ports: dict[frozenset[Any], list[Object]] = {}
    for item in slices:
        by_ports.setdefault(ports_key(item.get("ports")), []).append(item)
    # No endpoint at all is also an answer: an empty slice says that somebody has looked.
    for ports, wanted in (groups or {(): {}}).items():
        listed = [dict(port) for port in ports]
        mine = by_ports.pop(ports_key(listed), [])
        made, changed, gone = _fill(service, family, listed, dict(wanted), mine)
        create += made
        update += changed
        delete += gone
    delete += [item for rest in by_ports.values() for item in rest]
    return create, update, delete


def _reuse(service: Object, create: list[Object], update: list[Object],
           delete: list[Object]) -> tuple[list[Object], list[Object], list[Object]]:
    """A new slice takes the place, and the name, of one that would be deleted: one write instead of two.

    Not the place of one that an earlier Service of this name has left: the garbage collector is after those.
    """
    ours = [item for item in delete if (meta.controller_of(item) or {}).get("uid") == meta.uid(service)]
    pairs = list(zip(create, ours, strict=False))
    kept = [old for _, old in pairs]
    replaced = [old | {"ports": new["ports"], "endpoints": new["endpoints"],
                       "metadata": old["metadata"] | {"labels": new["metadata"]["labels"]}} for new, old in pairs]
    return create[len(pairs):], update + replaced, [item for item in delete if item not in kept]


def _fill(service: Object, family: str, ports: list[Object], wanted: dict[str, Object],
          slices: Sequence[Object]) -> tuple[list[Object], list[Object], list[Object]]:
    keep_one_empty = not wanted
    drafts = [_Draft(service, item) for item in slices]
    for draft in drafts:
        draft.keep(wanted)
    waiting = list(wanted.values())
    for draft in sorted(drafts, key=lambda d: (not d.changed, -len(d.endpoints))):
        if waiting and (draft.endpoints or draft.changed or not keep_one_empty):
            waiting = draft.take(waiting)
    create = []
    while waiting:
        create.append(new_slice(service, family, ports, waiting[:MAX_ENDPOINTS]))
        waiting = waiting[MAX_ENDPOINTS:]
    empty = [draft for draft in drafts if not draft.endpoints]
    if keep_one_empty and not create:
        if not drafts:
            create.append(new_slice(service, family, ports, []))
        elif len(empty) == len(drafts):
            empty = empty[1:]
    update = [draft.result() for draft in drafts if draft.differs() and draft not in empty]
    return create, update, [draft.item for draft in empty]


class _Draft:
    """One existing slice while it is being decided on."""

    def __init__(self, service: Object, item: Object) -> None:
        self.item, self.changed = item, False
        self.endpoints: list[Object] = []
        self._labels = slice_labels(service)

    def keep(self, wanted: dict[str, Object]) -> None:
        """Takes its endpoints out of ``wanted``; each pod stays in one slice only."""
        for endpoint in self.item.get("endpoints") or ():
            fresh = wanted.pop((endpoint.get("targetRef") or {}).get("uid", ""), None)
            if fresh is None:
                self.changed = True
                continue
            self.changed = self.changed or not same(endpoint, fresh)
            self.endpoints.append(fresh)

    def take(self, waiting: list[Object]) -> list[Object]:
        room = MAX_ENDPOINTS - len(self.endpoints)
        if room > 0 and waiting:
            self.endpoints += waiting[:room]
            self.changed = True
        return waiting[max(room, 0):]

    def differs(self) -> bool:
        return self.changed or meta.labels(self.item) != self._labels

    def result(self) -> Object:
        return self.item | {"endpoints": self.endpoints,
                            "metadata": self.item["metadata"] | {"labels": self._labels}}


def slice_labels(service: Object) -> dict[str, str]:
    """The Service's own labels, and those by which everybody finds the slices."""
    labels = {k: v for k, v in meta.labels(service).items() if k not in (SERVICE_NAME, MANAGED_BY, HEADLESS)}
    labels |= {SERVICE_NAME: meta.name(service), MANAGED_BY: MANAGER}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return labels


def new_slice(service: Object, family: str, ports: list[Object], endpoints: list[Object]) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"generateName": f"{meta.name(service)}-", "namespace": meta.namespace(service),
                     "labels": slice_labels(service), "ownerReferences": [meta.owner_reference(service)]},
        "addressType": family, "ports": ports, "endpoints": endpoints,
    }
