"""How many replicas each ReplicaSet of a Deployment may have at this moment.

The promises: never more than ``replicas + maxSurge`` pods, never fewer available than ``replicas - maxUnavailable``.
``maxSurge`` rounds up, ``maxUnavailable`` down; both zero would never move, so then one may be unavailable.
Upstream: ``pkg/controller/deployment/{rolling,sync}.go``, ``util/deployment_util.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sampan.controllers.deployment import revisions

Object = dict[str, Any]


def replicas(obj: Object) -> int:
    """``spec.replicas``; 1 where it is not set."""
    wanted = obj["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def counted(obj: Object, field: str) -> int:
    """A count in the status; 0 where it is not set."""
    return int((obj.get("status") or {}).get(field) or 0)


def total(sets: Iterable[Object]) -> int:
    return sum(replicas(rs) for rs in sets)


def available(sets: Iterable[Object]) -> int:
    return sum(counted(rs, "availableReplicas") for rs in sets)


def scaled_value(value: int | str | None, whole: int, *, up: bool) -> int:
    """An absolute number, or ``"25%"`` of ``whole``, rounded up or down."""
    if value is None:
        return 0
    if isinstance(value, str) and value.endswith("%"):
        percent = int(value[:-1]) * whole
        return -(-percent // 100) if up else percent // 100
    return int(value)


def is_rolling(deployment: Object) -> bool:
    return ((deployment["spec"].get("strategy") or {}).get("type") or "RollingUpdate") == "RollingUpdate"


def _fenceposts(deployment: Object) -> tuple[int, int]:
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    wanted = replicas(deployment)
    surge = scaled_value(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def max_surge(deployment: Object) -> int:
    return _fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    if not is_rolling(deployment) or replicas(deployment) == 0:
        return 0
    return min(_fenceposts(deployment)[1], replicas(deployment))


def new_set_replicas(deployment: Object, everything: Sequence[Object], current: int) -> int:
    """What the new ReplicaSet, now at ``current``, may grow to. ``everything`` includes it."""
    wanted = replicas(deployment)
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - total(everything)
    return current if room <= 0 else current + min(room, wanted - current)


def unhealthy_to_remove(old: Sequence[Object], most: int) -> dict[str, int]:
    """New sizes of old ReplicaSets without their pods that are not available: those serve nobody, so they go first."""
    sizes: dict[str, int] = {}
    for rs in revisions.by_age(old):
        size, spare = replicas(rs), replicas(rs) - counted(rs, "availableReplicas")
        if most <= 0 or size == 0 or spare <= 0:
            continue
        cut = min(most, spare)
        sizes[rs["metadata"]["name"]] = size - cut
        most -= cut
    return sizes


def old_set_sizes(deployment: Object, old: Sequence[Object], new: Object) -> dict[str, int]:
    """New sizes of old ReplicaSets in a rolling update; those that stay are left out."""
    if total(old) == 0:
        return {}
    least = replicas(deployment) - max_unavailable(deployment)
    waiting = replicas(new) - counted(new, "availableReplicas")
    spare = total(old) + replicas(new) - least - waiting
    if spare <= 0:
        return {}
    sizes = unhealthy_to_remove(old, spare)
    cut = available(old) + counted(new, "availableReplicas") - least
    for rs in revisions.by_age(old):
        size = sizes.get(rs["metadata"]["name"], replicas(rs))
        if cut <= 0:
            break
        step = min(size, cut)
        if step:
            sizes[rs["metadata"]["name"]] = size - step
            cut -= step
    return sizes


def active(sets: Iterable[Object]) -> list[Object]:
    return [rs for rs in sets if replicas(rs) > 0]


def active_or_latest(new: Object | None, old: Sequence[Object]) -> Object | None:
    """The only ReplicaSet with replicas; the newest when none has any; None when several have."""
    everything = [*old, new] if new is not None else list(old)
    running = active(everything)
    if len(running) == 1:
        return running[0]
    if running or not everything:
        return None
    return new if new is not None else revisions.by_age(old)[-1]


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """Has the new ReplicaSet taken over completely?"""
    wanted = replicas(deployment)
    return (new is not None and revisions.number_annotation(new, revisions.DESIRED_REPLICAS) == wanted
            and replicas(new) == wanted and counted(new, "availableReplicas") == wanted)


def proportional_sizes(deployment: Object, sets: Sequence[Object]) -> dict[str, int]:
    """Sizes when the Deployment is scaled in the middle of a rollout: each grows or shrinks by its share.

    What rounding leaves over goes to the largest, newest first when growing, oldest first when shrinking.
    """
    wanted = replicas(deployment)
    to_add = (wanted + max_surge(deployment) if wanted > 0 else 0) - total(sets)
    aged = revisions.by_age(sets)
    if to_add > 0:
        aged.reverse()
    ordered = sorted(aged, key=replicas, reverse=True)
    added, sizes = 0, {}
    for rs in ordered:
        share = _share(deployment, rs, to_add, added)
        added += share
        sizes[rs["metadata"]["name"]] = replicas(rs) + share
    if ordered and to_add:
        largest = ordered[0]["metadata"]["name"]
        sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _share(deployment: Object, rs: Object, to_add: int, added: int) -> int:
    if replicas(rs) == 0 or to_add in (0, added):
        return 0
    left = to_add - added
    fraction = _fraction(deployment, rs)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(deployment: Object, rs: Object) -> int:
    size = replicas(rs)
    if replicas(deployment) == 0:
        return -size
    before = revisions.number_annotation(rs, revisions.MAX_REPLICAS) or counted(deployment, "replicas")
    if before == 0:
        return 0
    most = replicas(deployment) + max_surge(deployment)
    return (2 * size * most + before) // (2 * before) - size  # rounded half up
