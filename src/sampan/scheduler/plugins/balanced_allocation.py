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
        return [_balance(node.taken_cpu + cpu, node.cpu_millicores, node.taken_memory + memory, node.memory_bytes)
                for node in nodes]


def _balance(cpu: int, cpu_capacity: int, memory: int, memory_capacity: int) -> int:
    """100 minus the standard deviation of the two fractions, which for two values is half their distance."""
    if not cpu_capacity or not memory_capacity:
        return MAX_SCORE  # one resource alone is always in balance
    distance = abs(min(cpu / cpu_capacity, 1) - min(memory / memory_capacity, 1))
    return int((1 - distance / 2) * MAX_SCORE)
