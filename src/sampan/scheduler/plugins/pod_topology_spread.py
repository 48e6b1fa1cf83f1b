"""Pods of a kind should be spread evenly over nodes, zones, …: by explicit constraints, or by default.

The skew of a place is its number of matching pods minus that of the emptiest place.  ``DoNotSchedule`` forbids a
placement that would make the skew exceed ``maxSkew``; ``ScheduleAnyway`` only prefers less.  A pod without constraints
that belongs to a Service or ReplicaSet is spread over hosts and zones in the second way.
Upstream: ``plugins/podtopologyspread``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from sampan.api.selectors import LabelSelector, from_label_selector
from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.counts import MatchCount
from sampan.scheduler.framework import MAX_SCORE, Event, Filter, Reason
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.plugins.node_affinity import required
from sampan.scheduler.pod_info import Object, PodInfo
from sampan.scheduler.terms import tolerates

SKEWED = (Reason("node(s) didn't match pod topology spread constraints"),)
NO_LABEL = (Reason("node(s) didn't match pod topology spread constraints (missing required label)", resolvable=False),)
HOSTNAME = "kubernetes.io/hostname"
DEFAULTS = ((HOSTNAME, 3), ("topology.kubernetes.io/zone", 5))


@dataclass(frozen=True, slots=True)
class Constraint:
    topology_key: str
    max_skew: int
    min_domains: int
    hard: bool
    selector: LabelSelector
    key: str
    ignores_affinity: bool = False
    honors_taints: bool = False

    @classmethod
    def of(cls, spec: Object, pod: PodInfo) -> Constraint:
        selector = spec.get("labelSelector")
        extra = [{"key": k, "operator": "In", "values": [pod.labels[k]]}
                 for k in spec.get("matchLabelKeys") or () if k in pod.labels]
        if selector is not None and extra:
            selector = selector | {"matchExpressions": [*(selector.get("matchExpressions") or ()), *extra]}
        key = f"spread {pod.namespace} " + orjson.dumps(selector, option=orjson.OPT_SORT_KEYS).decode()
        return cls(spec["topologyKey"], spec["maxSkew"], spec.get("minDomains") or 1,
                   spec.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule", from_label_selector(selector),
                   key, spec.get("nodeAffinityPolicy") == "Ignore", spec.get("nodeTaintsPolicy") == "Honor")


def _picks(namespace: str, selector: LabelSelector, pod: PodInfo) -> bool:
    return pod.namespace == namespace and not pod.terminating and selector.matches(pod.labels)


def _count(constraint: Constraint, pod: PodInfo, cluster: ClusterState) -> MatchCount:
    return cluster.counts.of(constraint.key, partial(_picks, pod.namespace, constraint.selector))


class PodTopologySpread:
    name = "PodTopologySpread"
    weight = 2
    events = frozenset({Event.NODE_ADDED, Event.NODE_LABELS, Event.NODE_TAINTS, Event.POD_ADDED, Event.POD_LABELS,
                        Event.POD_REMOVED})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        constraints = [c for c in _explicit(pod) if c.hard]
        if not constraints:
            return None
        checks = [(c, *_room(c, constraints, pod, cluster)) for c in constraints]

        def check(node: NodeInfo) -> Sequence[Reason] | None:
            for constraint, totals, most in checks:
                value = node.labels.get(constraint.topology_key)
                if value is None:
                    return NO_LABEL
                if totals[value] > most:
                    return SKEWED
            return None

        return check

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        explicit = _explicit(pod)
        soft = [c for c in explicit if not c.hard] if explicit else _by_default(pod, cluster)
        if not soft:
            return None
        raw: list[float | None] = [0.0] * len(nodes)
        for constraint in soft:
            _add_skew(raw, constraint, pod, cluster, nodes, must_have_label=bool(explicit))
        return _less_is_better(raw)


def _explicit(pod: PodInfo) -> list[Constraint]:
    return [Constraint.of(spec, pod) for spec in pod.spec.get("topologySpreadConstraints") or ()]


def _by_default(pod: PodInfo, cluster: ClusterState) -> list[Constraint]:
    selectors = cluster.spread_selectors(pod)
    if not selectors:
        return []
    merged: Object = {
        "matchLabels": {k: v for s in selectors for k, v in (s.get("matchLabels") or {}).items()},
        "matchExpressions": [e for s in selectors for e in s.get("matchExpressions") or ()],
    }
    return [Constraint.of({"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "ScheduleAnyway",
                           "labelSelector": merged}, pod) for key, skew in DEFAULTS]


def _room(constraint: Constraint, together: Sequence[Constraint], pod: PodInfo,
          cluster: ClusterState) -> tuple[Counter[str], int]:
    """Pods per place, and up to how many a place may have now to take this one as well."""
    key, count = constraint.topology_key, _count(constraint, pod, cluster)
    if _all_nodes_count(constraint, pod, cluster) and len(together) == 1:
        places, totals = cluster.topology_values(key), count.by_topology(key)
    else:
        matches = None if constraint.ignores_affinity else required(pod)
        eligible = [node for node in cluster.node_list if all(c.topology_key in node.labels for c in together)
                    and (matches is None or matches(node)) and _tolerable(constraint, pod, node)]
        places = Counter(node.labels[key] for node in eligible)
        totals = count.sum_over(key, eligible)
    least = min((totals[value] for value in places), default=0)
    if len(places) < constraint.min_domains:
        least = 0
    itself = 1 if constraint.selector.matches(pod.labels) else 0
    return totals, constraint.max_skew + least - itself


def _all_nodes_count(constraint: Constraint, pod: PodInfo, cluster: ClusterState) -> bool:
    return (constraint.ignores_affinity or required(pod) is None) and not constraint.honors_taints


def _tolerable(constraint: Constraint, pod: PodInfo, node: NodeInfo) -> bool:
    return not constraint.honors_taints or all(tolerates(pod.tolerations, taint) for taint in node.hard_taints)


def _add_skew(raw: list[float | None], constraint: Constraint, pod: PodInfo, cluster: ClusterState,
              nodes: Sequence[NodeInfo], *, must_have_label: bool) -> None:
    """A place's pods, weighted by how many places there are: one pod more matters less among many."""
    key, base = constraint.topology_key, constraint.max_skew - 1
    found = _count(constraint, pod, cluster).by_topology(key)
    values = [node.labels.get(key) for node in nodes]
    factor = math.log(len(set(values) - {None}) + 2)
    penalty = {value: found[value] * factor + base for value in set(values) if value is not None}
    if must_have_label:
        raw[:] = [None if before is None or value is None else before + penalty[value]
                  for before, value in zip(raw, values, strict=True)]
    else:
        raw[:] = [before if before is None or value is None else before + penalty[value]
                  for before, value in zip(raw, values, strict=True)]


def _less_is_better(raw: Sequence[float | None]) -> list[float]:
    """None (a node without the label) gets nothing."""
    rounded = [None if value is None else round(value) for value in raw]
    known = [value for value in rounded if value is not None]
    least, most = min(known, default=0), max(known, default=0)
    if most == 0:
        return [0.0 if value is None else float(MAX_SCORE) for value in rounded]
    return [0.0 if value is None else float(MAX_SCORE * (most + least - value) // most) for value in rounded]
