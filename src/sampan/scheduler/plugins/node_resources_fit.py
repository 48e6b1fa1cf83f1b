"""Requests must fit into what the node has left; among nodes that fit, the emptier is better.

Requests count, not use; a request above the node's whole capacity could not be helped by other pods leaving.
Upstream: ``plugins/noderesources/{fit,least_allocated}.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import MAX_SCORE, Event, Filter, Reason
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo

TOO_MANY_PODS = Reason("Too many pods")


class NodeResourcesFit:
    name = "NodeResourcesFit"
    weight = 1
    events = frozenset({Event.NODE_ADDED, Event.NODE_ALLOCATABLE, Event.POD_REMOVED})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        cpu, memory = pod.cpu_millicores, pod.memory_bytes
        others = {name: n for name, n in pod.requests.items() if name not in ("cpu", "memory")}

        def check(node: NodeInfo) -> Sequence[Reason] | None:
            if (len(node.pods) < node.pods_limit
                    and (not cpu or node.taken_cpu + cpu <= node.cpu_millicores)
                    and (not memory or node.taken_memory + memory <= node.memory_bytes)
                    and (not others or all(node.requested[name] + amount <= node.allocatable.get(name, 0)
                                           for name, amount in others.items()))):
                return None
            return _shortages(pod, node)

        return check

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        """The mean of the free shares of CPU and memory, in percent. Written out: it runs for every node of a pod."""
        cpu, memory, scores = pod.least_cpu, pod.least_memory, []
        for node in nodes:
            free_cpu = node.cpu_millicores - node.least_cpu - cpu
            free_memory = node.memory_bytes - node.least_memory - memory
            score = free_cpu * MAX_SCORE // node.cpu_millicores if free_cpu > 0 else 0
            if free_memory > 0:
                score += free_memory * MAX_SCORE // node.memory_bytes
            scores.append(score // 2)
        return scores


def _shortages(pod: PodInfo, node: NodeInfo) -> list[Reason]:
    """All that is missing, not only the first: the message counts nodes per reason."""
    reasons = [TOO_MANY_PODS] if len(node.pods) >= node.pods_limit else []
    for name, amount in pod.requests.items():
        room = node.allocatable.get(name, 0)
        if node.requested[name] + amount > room:
            reasons.append(Reason(f"Insufficient {name}", resolvable=amount <= room))
    return reasons

