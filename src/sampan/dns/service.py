"""The ``kube-dns`` Service: the object that everybody looks for.

Sampan's DNS needs it neither for answering nor for being found (``run.py``), but the kubelet's ``resolv.conf``, Helm
charts, network policies and people know DNS by this name, and a real kube-proxy forwards by it.  It has no selector:
its endpoints are the nodes themselves, one EndpointSlice for each.

Upstream: kubeadm's CoreDNS addon (cmd/kubeadm/app/phases/addons/dns).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sampan.api.errors import AlreadyExists, Conflict, NotFound
from sampan.api.resources import ENDPOINTSLICES, SERVICES, Resource

if TYPE_CHECKING:
    from sampan.client.rest import Client

Object = dict[str, Any]
NAMESPACE, NAME = "kube-system", "kube-dns"
MANAGED_BY = "sampan-dns"
PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))
ATTEMPTS = 5


def service(cluster_ip: str) -> Object:
    labels = {"k8s-app": NAME, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [{"name": name, "port": 53, "protocol": protocol, "targetPort": 53} for name, protocol in PORTS],
        },
    }


def endpoint_slice(node: str, address: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{NAME}-{node}",
            "namespace": NAMESPACE,
            "labels": {
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
            },
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [address], "nodeName": node, "conditions": {"ready": True, "serving": True}}
        ],
        "ports": [{"name": name, "port": 53, "protocol": protocol} for name, protocol in PORTS],
    }


async def ensure(client: Client, cluster_ip: str, nodes: Mapping[str, str]) -> None:
    """Make the Service at that address and a slice for each node (name -> address). A second call changes nothing.

    Raises: ApiError, as when the address is outside the cluster's range or another Service has it.
    """
    await _create_or_update(client, SERVICES, service(cluster_ip))
    for node, address in nodes.items():
        await _create_or_update(client, ENDPOINTSLICES, endpoint_slice(node, address))


async def remove_node(client: Client, node: str) -> None:
    """Take a node's slice away. A second call does nothing."""
    try:
        await client.delete(ENDPOINTSLICES, f"{NAME}-{node}", NAMESPACE)
    except NotFound:
        return


async def _create_or_update(client: Client, resource: Resource, wanted: Object) -> None:
    for attempt in range(ATTEMPTS):
        try:
            live = await client.get(resource, wanted["metadata"]["name"], NAMESPACE)
        except NotFound:
            try:
                await client.create(resource, wanted, NAMESPACE)
                return
            except AlreadyExists:  # another node's agent was quicker
                continue
        if contains(live, wanted):
            return
        try:
            await client.update(resource, merged(live, wanted))
            return
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise


def contains(live: Any, wanted: Any) -> bool:
    """Whether ``live`` says all that ``wanted`` says; defaults and what others added do not matter."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(key in live and contains(live[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        same = isinstance(live, list) and len(live) == len(wanted)
        return same and all(contains(a, b) for a, b in zip(live, wanted, strict=True))
    return bool(live == wanted)


def merged(live: Object, wanted: Object) -> Object:
    """``live`` with what ``wanted`` says; lists are taken whole."""
    both = {key: merged(live[key], value) if isinstance(value, dict) and isinstance(live.get(key), dict) else value
            for key, value in wanted.items()}
    return {**live, **both}
