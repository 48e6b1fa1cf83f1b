"""Which pod is deleted first when there are too many: the one that will be missed least.

In this order: without a node before placed; Pending before Unknown before Running; not ready before ready; lower
deletion cost; on the node with more of its like (spread); ready for a shorter time; restarted more; younger.  Times are
compared by order of magnitude only, so that the victims are not always the youngest.
Upstream: ``ActivePodsWithRanks`` in ``pkg/controller/controller_utils.go``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sampan.api import clock, meta
from sampan.controllers import podstate

Object = dict[str, Any]

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def choose(pods: Sequence[Object], count: int, related: Iterable[Object], now: datetime) -> list[Object]:
    """The ``count`` pods to delete. ``related`` are the active pods of all sibling ReplicaSets, for spreading."""
    if count >= len(pods):
        return list(pods)
    crowd = Counter(podstate.node_name(pod) for pod in related if podstate.is_active(pod))
    return sorted(pods, key=lambda pod: _rank(pod, crowd, now))[:count]


def _rank(pod: Object, crowd: Counter[str], now: datetime) -> tuple[Any, ...]:
    node, ready = podstate.node_name(pod), podstate.is_ready(pod)
    return (
        bool(node), _PHASES.get(podstate.phase(pod), 3), ready, deletion_cost(pod), -crowd[node],
        _magnitude(podstate.ready_since(pod), now) if ready else 0,
        -podstate.restarts(pod), _magnitude(_created(pod), now), meta.uid(pod),
    )


def deletion_cost(pod: Object) -> int:
    try:
        return int(meta.annotations(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _created(pod: Object) -> datetime | None:
    stamp = meta.metadata(pod).get("creationTimestamp")
    return clock.parse(stamp) if stamp else None


def _magnitude(since: datetime | None, now: datetime) -> int:
    """The binary order of magnitude of an age in nanoseconds; unknown or in the future counts as just now."""
    if since is None:
        return -1
    nanoseconds = int((now - since).total_seconds() * 1e9)
    return -1 if nanoseconds <= 0 else nanoseconds.bit_length() - 1
