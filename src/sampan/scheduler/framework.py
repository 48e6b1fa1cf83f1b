"""What a scheduling rule is: it rules nodes out (filter), or prefers some (score), or both.

A rule is asked once per pod and answers with a small function for the nodes: what depends on the pod alone is worked
out once, and a rule that has nothing to say about this pod costs nothing per node.

Upstream: ``staging/src/k8s.io/kube-scheduler/framework/interface.go`` (PreFilter, Filter, PreScore, Score).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo

MAX_SCORE = 100


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a node is ruled out, in upstream's words. ``resolvable``: could it help if other pods went away?"""

    text: str
    resolvable: bool = True


class Rejection(Exception):
    """No node at all can take the pod; the text says why."""


#: None: the node passes this rule.
Filter = Callable[[NodeInfo], Sequence[Reason] | None]


class Event(enum.Enum):
    """What can happen in the cluster that may let a waiting pod fit."""

    NODE_ADDED = enum.auto()
    NODE_ALLOCATABLE = enum.auto()
    NODE_LABELS = enum.auto()
    NODE_TAINTS = enum.auto()
    POD_ADDED = enum.auto()  # one that runs on a node
    POD_LABELS = enum.auto()
    POD_REMOVED = enum.auto()
    NAMESPACE_LABELS = enum.auto()


class FilterRule(Protocol):
    name: str
    events: frozenset[Event]  # after which of these a pod that this rule turned away is worth another try

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        """None: no opinion on this pod. Raises: Rejection."""
        ...


class ScoreRule(Protocol):
    name: str
    weight: int

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        """One number from 0 to 100 per node; None: no opinion on this pod."""
        ...


def normalize(raw: Sequence[float], *, reverse: bool = False) -> list[float]:
    """Stretch so that the largest becomes 100; ``reverse`` makes less be better."""
    most = max(raw, default=0)
    if most == 0:
        return [float(MAX_SCORE if reverse else 0)] * len(raw)
    scaled = [MAX_SCORE * value // most for value in raw]
    return [MAX_SCORE - value for value in scaled] if reverse else scaled
