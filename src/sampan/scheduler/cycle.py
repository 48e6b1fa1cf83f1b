"""One pod's decision: filter, score, choose. Pure: it reads the cluster's state and changes nothing.

In a large cluster not every node is looked at: enough that fit are enough, and the next pod starts where this one
stopped, so that all nodes get their turn.  Upstream: ``pkg/scheduler/schedule_one.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.diagnosis import Diagnosis, Unschedulable
from sampan.scheduler.framework import Filter, FilterRule, Reason, Rejection, ScoreRule
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo

LEAST_NODES_TO_FIND = 100
LEAST_PERCENTAGE = 5


@dataclass(frozen=True, slots=True)
class Placement:
    node_name: str
    next_start: int  # where in the list of nodes the next pod's search begins


def nodes_to_find(total: int) -> int:
    """How many fitting nodes are enough: all of 100, half of a few hundred, one in ten of 5,000."""
    if total <= LEAST_NODES_TO_FIND:
        return total
    percentage = max(LEAST_PERCENTAGE, 50 - total // 125)
    return max(LEAST_NODES_TO_FIND, total * percentage // 100)


def place(pod: PodInfo, cluster: ClusterState, filters: Sequence[FilterRule], scores: Sequence[ScoreRule],
          start: int, pick: Callable[[Sequence[str]], str]) -> Placement:
    """The best node; ``pick`` chooses among equals. Raises: Unschedulable."""
    nodes = cluster.node_list
    never = pod.spec.get("preemptionPolicy") == "Never"
    if not nodes:
        raise Unschedulable(Diagnosis(0))
    checks: list[tuple[str, Filter]] = []
    for rule in filters:
        try:
            check = rule.filter(pod, cluster)
        except Rejection as rejection:
            why = Diagnosis(len(nodes), {}, frozenset({rule.name}), str(rejection), never)
            raise Unschedulable(why) from rejection
        if check is not None:
            checks.append((rule.name, check))
    fitting, next_start, turned_away, rules = _fitting(nodes, checks, start % len(nodes))
    if not fitting:
        raise Unschedulable(Diagnosis(len(nodes), turned_away, frozenset(rules), "", never))
    if len(fitting) == 1:
        return Placement(fitting[0].name, next_start)
    return Placement(pick(_best(pod, cluster, fitting, scores)), next_start)


def _fitting(nodes: Sequence[NodeInfo], checks: Sequence[tuple[str, Filter]], start: int) -> tuple[
        list[NodeInfo], int, dict[str, Sequence[Reason]], set[str]]:
    enough, total = nodes_to_find(len(nodes)), len(nodes)
    fitting: list[NodeInfo] = []
    turned_away: dict[str, Sequence[Reason]] = {}
    rules: set[str] = set()
    looked_at = 0
    for looked_at in range(1, total + 1):
        node = nodes[(start + looked_at - 1) % total]
        for name, check in checks:
            reasons = check(node)
            if reasons:
                turned_away[node.name] = reasons
                rules.add(name)
                break
        else:
            fitting.append(node)
            if len(fitting) >= enough:
                break
    return fitting, (start + looked_at) % total, turned_away, rules


def _best(pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo], rules: Sequence[ScoreRule]) -> list[str]:
    totals = [0.0] * len(nodes)
    for rule in rules:
        scores = rule.score(pod, cluster, nodes)
        if scores is not None:
            weight = rule.weight
            totals = [total + weight * score for total, score in zip(totals, scores, strict=True)]
    most = max(totals)
    return [node.name for node, total in zip(nodes, totals, strict=True) if total == most]
