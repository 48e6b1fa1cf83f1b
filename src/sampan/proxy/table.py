"""From Services and EndpointSlices to what must be forwarded where. Pure.

One ``ServicePort`` says everything about one port of one Service: the addresses it answers on, the endpoints behind
it, and the rules of choice between them.  Only what is ready counts; an endpoint that is shutting down but still
serving is used when there is no ready one (so that a rolling update of a Local Service loses nothing).

Upstream: pkg/proxy (servicechangetracker.go, endpointslicecache.go, topology.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
#: A Service or slice with one of these labels is somebody else's to forward.
SKIP_LABELS = ("service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name")
DEFAULT_AFFINITY_SECONDS = 10800


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where a connection can go. ``local``: the pod runs on this node."""

    address: str
    port: int
    local: bool = False


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service. ``endpoints`` is for the policy Cluster, ``local_endpoints`` for the policy Local."""

    service: str  # "namespace/name"
    name: str
    protocol: str  # "tcp", "udp" or "sctp"
    port: int
    cluster_ips: tuple[str, ...]
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    node_port: int = 0
    endpoints: tuple[Endpoint, ...] = ()
    local_endpoints: tuple[Endpoint, ...] = ()
    internal_local: bool = False
    external_local: bool = False
    affinity_seconds: int = 0
    source_ranges: tuple[str, ...] = ()
    health_check_node_port: int = 0

    @property
    def internal_endpoints(self) -> tuple[Endpoint, ...]:
        """Where the Service's own address leads."""
        return self.local_endpoints if self.internal_local else self.endpoints

    @property
    def external_endpoints(self) -> tuple[Endpoint, ...]:
        """Where node ports and external addresses lead whoever comes from outside the cluster."""
        return self.local_endpoints if self.external_local else self.endpoints


Table = Mapping[str, tuple[ServicePort, ...]]


def service_ports(service: Object | None, slices: Iterable[Object], node_name: str) -> tuple[ServicePort, ...]:
    """What to forward for one Service, given its slices; nothing when it has no address of its own (headless,
    ExternalName, not yet allocated) or is not ours to forward."""
    if service is None or not is_forwarded(service):
        return ()
    meta, spec = service["metadata"], service["spec"]
    slices = [s for s in slices if s.get("addressType", "IPv4") == "IPv4" and not _is_skipped(s)]
    return tuple(
        _service_port(f"{meta['namespace']}/{meta['name']}", service, spec, port, slices, node_name)
        for port in spec.get("ports") or ()
    )


def is_forwarded(service: Object) -> bool:
    spec = service["spec"]
    cluster_ip = spec.get("clusterIP") or ""
    return cluster_ip not in ("", "None") and spec.get("type") != "ExternalName" and not _is_skipped(service)


def service_of(endpoint_slice: Object) -> str:
    """The key of the Service that a slice belongs to, or ``""``."""
    meta = endpoint_slice["metadata"]
    name = (meta.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return f"{meta['namespace']}/{name}" if name else ""


def _is_skipped(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return any(label in labels for label in SKIP_LABELS)


def _service_port(
    key: str, service: Object, spec: Object, port: Object, slices: list[Object], node_name: str
) -> ServicePort:
    protocol = (port.get("protocol") or "TCP").lower()
    found = _candidates(slices, port.get("name") or "", protocol, node_name)
    return ServicePort(
        service=key,
        name=port.get("name") or "",
        protocol=protocol,
        port=port["port"],
        cluster_ips=_ipv4(spec.get("clusterIPs") or [spec["clusterIP"]]),
        external_ips=_ipv4(spec.get("externalIPs") or ()),
        load_balancer_ips=_ipv4(_load_balancer_ips(service)),
        node_port=port.get("nodePort") or 0,
        endpoints=_usable(found),
        local_endpoints=_usable([c for c in found if c[0].local]),
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=spec.get("externalTrafficPolicy") == "Local",
        affinity_seconds=_affinity_seconds(spec),
        source_ranges=_ipv4(r.strip() for r in spec.get("loadBalancerSourceRanges") or ()),
        health_check_node_port=spec.get("healthCheckNodePort") or 0,
    )


Candidate = tuple[Endpoint, bool, bool]  # the endpoint, ready, serving though terminating


def _candidates(slices: list[Object], port_name: str, protocol: str, node_name: str) -> list[Candidate]:
    found: dict[tuple[str, int], Candidate] = {}
    for endpoint_slice in slices:
        for port in endpoint_slice.get("ports") or ():
            named = (port.get("name") or "") == port_name and (port.get("protocol") or "TCP").lower() == protocol
            if not named or not port.get("port"):
                continue
            for endpoint in endpoint_slice.get("endpoints") or ():
                candidate = _candidate(endpoint, port["port"], node_name)
                place = (candidate[0].address, candidate[0].port)
                # The same pod may stand in two slices for a moment; the better state of the two counts.
                if place not in found or candidate[1:] > found[place][1:]:
                    found[place] = candidate
    return sorted(found.values())


def _candidate(endpoint: Object, port: int, node_name: str) -> Candidate:
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = ready if conditions.get("serving") is None else conditions["serving"]
    local = bool(node_name) and endpoint.get("nodeName") == node_name
    return Endpoint(endpoint["addresses"][0], port, local), ready, bool(serving and conditions.get("terminating"))


def _usable(candidates: list[Candidate]) -> tuple[Endpoint, ...]:
    ready = tuple(endpoint for endpoint, is_ready, _ in candidates if is_ready)
    return ready or tuple(endpoint for endpoint, _, is_leaving in candidates if is_leaving)


def _load_balancer_ips(service: Object) -> list[str]:
    """Only addresses in mode VIP: the others are proxies, which the traffic must really visit."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [i["ip"] for i in ingress if i.get("ip") and i.get("ipMode", "VIP") == "VIP"]


def _affinity_seconds(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return client_ip.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS


def _ipv4(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if ":" not in a)
