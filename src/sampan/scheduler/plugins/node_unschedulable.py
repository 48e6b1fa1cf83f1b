"""``kubectl cordon``: no new pods, but for those that tolerate just that.  Upstream: ``plugins/nodeunschedulable``."""

from __future__ import annotations

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import Event, Filter, Reason
from sampan.scheduler.pod_info import PodInfo
from sampan.scheduler.terms import tolerates

UNSCHEDULABLE = (Reason("node(s) were unschedulable", resolvable=False),)
TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class NodeUnschedulable:
    name = "NodeUnschedulable"
    events = frozenset({Event.NODE_ADDED, Event.NODE_TAINTS})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        if not cluster.cordoned or tolerates(pod.tolerations, TAINT):
            return None
        return lambda node: UNSCHEDULABLE if node.unschedulable else None
