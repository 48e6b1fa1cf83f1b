"""``nodeSelector`` and node affinity: labels (or the name) that a node must or should have.

Upstream: ``plugins/nodeaffinity``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import Event, Filter, Reason, normalize
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import Object, PodInfo
from sampan.scheduler.terms import NodeTerm

NO_MATCH = (Reason("node(s) didn't match Pod's node affinity/selector", resolvable=False),)


def _affinity(pod: PodInfo) -> Object:
    return (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}


def required(pod: PodInfo) -> Callable[[NodeInfo], bool] | None:
    """Does a node have what the pod must have?  None: it asks for nothing."""
    selector = (pod.spec.get("nodeSelector") or {}).items()
    wanted = _affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    if not selector and wanted is None:
        return None
    terms = [NodeTerm.of(term) for term in (wanted or {}).get("nodeSelectorTerms") or ()]

    def check(node: NodeInfo) -> bool:
        if not selector <= node.labels.items():
            return False
        return wanted is None or any(term.matches(node.name, node.labels) for term in terms)

    return check


class NodeAffinity:
    name = "NodeAffinity"
    weight = 2
    events = frozenset({Event.NODE_ADDED, Event.NODE_LABELS})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        check = required(pod)
        if check is None:
            return None
        return lambda node: None if check(node) else NO_MATCH

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        preferred = _affinity(pod).get("preferredDuringSchedulingIgnoredDuringExecution")
        if not preferred:
            return None
        terms = [(NodeTerm.of(p["preference"]), p["weight"]) for p in preferred]
        # An empty preference matches everything: all alike, so it need not be counted.
        return normalize([sum(w for term, w in terms if term.matches(node.name, node.labels)) for node in nodes])
