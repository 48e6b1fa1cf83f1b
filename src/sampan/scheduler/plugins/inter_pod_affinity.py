"""Pods that want to be near other pods, or away from them, in a topology (node, zone, …).

Four questions decide a node: does a pod that is there keep this one away; does this one keep away from what is there;
is there what it must be near; and, to score, how much do both sides like it.
Upstream: ``plugins/interpodaffinity``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.counts import MatchCount
from sampan.scheduler.framework import MAX_SCORE, Event, Filter, Reason
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo
from sampan.scheduler.terms import PodTerm

NOT_NEAR = (Reason("node(s) didn't match pod affinity rules", resolvable=False),)
TOO_NEAR = (Reason("node(s) didn't match pod anti-affinity rules"),)
UNWELCOME = (Reason("node(s) didn't satisfy existing pods anti-affinity rules"),)
HARD_AFFINITY_WEIGHT = 1  # a pod that must be near this one also likes to have it near

Topology = Counter[tuple[str, str]]
Check = Callable[[NodeInfo], Sequence[Reason] | None]


def _matches(terms: Sequence[PodTerm], cluster: ClusterState, pod: PodInfo) -> bool:
    labels = cluster.namespace_labels.get(pod.namespace, {})
    return all(term.matches(pod.namespace, pod.labels, labels) for term in terms)


def _count(terms: Sequence[PodTerm], cluster: ClusterState) -> MatchCount:
    """The pods that match all the terms at once."""
    return cluster.counts.of("affinity " + " ".join(term.key for term in terms), partial(_matches, terms, cluster))


class InterPodAffinity:
    name = "InterPodAffinity"
    weight = 2
    events = frozenset({Event.NODE_ADDED, Event.NODE_LABELS, Event.POD_ADDED, Event.POD_LABELS, Event.POD_REMOVED,
                        Event.NAMESPACE_LABELS})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        checks = [check for check in (_near(pod, cluster), _away(pod, cluster), _welcome(pod, cluster)) if check]
        if not checks:
            return None

        def check_all(node: NodeInfo) -> Sequence[Reason] | None:
            for check in checks:
                reasons = check(node)
                if reasons:
                    return reasons
            return None

        return check_all

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        liked: Topology = Counter()
        for sign, terms in ((1, pod.preferred_terms), (-1, pod.preferred_anti_terms)):
            for term in terms:
                for value, count in _count((term,), cluster).by_topology(term.topology_key).items():
                    liked[term.topology_key, value] += sign * term.weight * count
        _count_what_others_like(pod, cluster, liked)
        if not liked:
            return None
        raw = [sum(weight for (key, value), weight in liked.items() if node.labels.get(key) == value)
               for node in nodes] if len(liked) < 8 else _look_up(liked, nodes)
        least, most = min(raw), max(raw)
        return [MAX_SCORE * (value - least) // (most - least) if most > least else 0 for value in raw]


def _look_up(liked: Topology, nodes: Sequence[NodeInfo]) -> list[int]:
    keys = {key for key, _ in liked}
    return [sum(liked[key, node.labels[key]] for key in keys if (key, node.labels.get(key)) in liked)
            for node in nodes]


def _near(pod: PodInfo, cluster: ClusterState) -> Check | None:
    if not pod.terms:
        return None
    count = _count(pod.terms, cluster)
    wanted = [(term.topology_key, count.by_topology(term.topology_key)) for term in pod.terms]
    # The first of a group that wants to be together has nobody to be near to: it may go anywhere.
    first = count.total == 0 and _matches(pod.terms, cluster, pod)

    def check(node: NodeInfo) -> Sequence[Reason] | None:
        for key, totals in wanted:
            value = node.labels.get(key)
            if value is None or (not first and totals[value] <= 0):
                return NOT_NEAR
        return None

    return check


def _away(pod: PodInfo, cluster: ClusterState) -> Check | None:
    if not pod.anti_terms:
        return None
    unwanted = [(term.topology_key, _count((term,), cluster).by_topology(term.topology_key))
                for term in pod.anti_terms]

    def check(node: NodeInfo) -> Sequence[Reason] | None:
        for key, totals in unwanted:
            value = node.labels.get(key)
            if value is not None and totals[value] > 0:
                return TOO_NEAR
        return None

    return check


def _welcome(pod: PodInfo, cluster: ClusterState) -> Check | None:
    labels = cluster.namespace_labels.get(pod.namespace, {})
    unwelcome: set[tuple[str, str]] = set()
    for node in cluster.with_anti_terms.values():
        for other in node.with_anti_terms.values():
            for term in other.anti_terms:
                if term.topology_key in node.labels and term.matches(pod.namespace, pod.labels, labels):
                    unwelcome.add((term.topology_key, node.labels[term.topology_key]))
    if not unwelcome:
        return None
    keys = {key for key, _ in unwelcome}

    def check(node: NodeInfo) -> Sequence[Reason] | None:
        return UNWELCOME if any((key, node.labels.get(key)) in unwelcome for key in keys) else None

    return check


def _count_what_others_like(pod: PodInfo, cluster: ClusterState, liked: Topology) -> None:
    labels = cluster.namespace_labels.get(pod.namespace, {})
    for node in cluster.with_affinity.values():
        for other in node.with_affinity.values():
            for sign, terms in ((1, other.preferred_terms), (-1, other.preferred_anti_terms), (1, other.terms)):
                for term in terms:
                    value = node.labels.get(term.topology_key)
                    if value is not None and term.matches(pod.namespace, pod.labels, labels):
                        liked[term.topology_key, value] += sign * (term.weight or HARD_AFFINITY_WEIGHT)
