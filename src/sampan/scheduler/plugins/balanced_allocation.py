"""CPU and memory should be used up evenly: a node with much of one and none of the other is of no use to anybody.

Upstream: ``plugins/noderesources/balanced_allocation.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import MAX_SCORE
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo


class BalancedAllocation:
    name = "NodeResourcesBalancedAllocation"
    weight = 1

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        cpu, memory = pod.cpu_millicores, pod.memory_bytes
        if not cpu and not memory:
            return None  # it would make no difference anywhere
        scores = []
        for node in nodes:
            if not node.cpu_millicores or not node.memory_bytes:
                scores.append(MAX_SCORE)  # one resource alone is always in balance
                continue
            distance = (node.taken_cpu + cpu) / node.cpu_millicores - (node.taken_memory + memory) / node.memory_bytes
            # The standard deviation of two values is half their distance. What fits is never above 1.
            scores.append(int(MAX_SCORE - abs(distance) * MAX_SCORE / 2))
        return scores
