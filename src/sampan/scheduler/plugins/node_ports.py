"""Two pods can't have the same ``hostPort`` on a node, unless on different addresses or protocols.

Upstream: ``plugins/nodeports``, ``HostPortInfo``.
"""

from __future__ import annotations

from collections.abc import Iterable

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import Event, Filter, Reason
from sampan.scheduler.pod_info import HostPort, PodInfo

TAKEN = (Reason("node(s) didn't have free ports for the requested pod ports"),)
ANY = "0.0.0.0"


def conflicts(wanted: Iterable[HostPort], taken: Iterable[HostPort]) -> bool:
    """``0.0.0.0`` meets every address."""
    listed = list(taken)
    return any(protocol == other_protocol and port == other_port and (address == other or ANY in (address, other))
               for address, protocol, port in wanted for other, other_protocol, other_port in listed)


class NodePorts:
    name = "NodePorts"
    events = frozenset({Event.NODE_ADDED, Event.POD_REMOVED})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        wanted = pod.host_ports
        if not wanted:
            return None
        return lambda node: TAKEN if node.host_ports and conflicts(wanted, node.host_ports) else None
