"""Taints keep pods away unless tolerated: ``NoSchedule`` and ``NoExecute`` forbid, ``PreferNoSchedule`` only counts.

Upstream: ``plugins/tainttoleration``.
"""

from __future__ import annotations

from collections.abc import Sequence

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import Event, Filter, Reason, normalize
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo
from sampan.scheduler.terms import tolerates

# Which taint is not said: with a key in the text, a cluster of many taints gave endless messages.
UNTOLERATED = (Reason("node(s) had untolerated taint(s)", resolvable=False),)


class TaintToleration:
    name = "TaintToleration"
    weight = 3
    events = frozenset({Event.NODE_ADDED, Event.NODE_TAINTS})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        if not cluster.tainted:
            return None
        tolerations = pod.tolerations

        def check(node: NodeInfo) -> Sequence[Reason] | None:
            if not node.hard_taints or all(tolerates(tolerations, taint) for taint in node.hard_taints):
                return None
            return UNTOLERATED

        return check

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        if not any(node.soft_taints for node in nodes):
            return None  # all alike
        mild = [t for t in pod.tolerations if t.get("effect") in (None, "", "PreferNoSchedule")]
        raw = [sum(not tolerates(mild, taint) for taint in node.soft_taints) for node in nodes]
        return normalize(raw, reverse=True)
