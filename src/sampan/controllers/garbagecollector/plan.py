"""What to do with one object, given what became of its owners.

Upstream: ``attemptToDeleteItem`` in ``pkg/controller/garbagecollector/garbagecollector.go``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sampan.api import meta
from sampan.controllers.garbagecollector.graph import FOREGROUND, ORPHAN

Object = dict[str, Any]


class Owner(enum.Enum):
    """``WAITING`` is deleted in the foreground and waits for us. ``UNKNOWN`` is of a kind that nobody serves."""

    SOLID = enum.auto()
    ABSENT = enum.auto()
    WAITING = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Plan:
    """Nothing, or one of: delete with a policy, or drop some owner references (after ``unblock``)."""

    delete: str = ""
    drop: frozenset[str] = frozenset()  # uids of owners to forget


def plan(obj: Object, owners: Mapping[str, Owner], dependents_waiting: bool, has_dependents: bool) -> Plan:
    """``owners`` maps each owner's uid to what it is; ``dependents_waiting``: one of ours waits in the foreground."""
    states = set(owners.values())
    if not owners or states == {Owner.SOLID}:
        return Plan()
    if Owner.UNKNOWN in states and Owner.SOLID not in states:
        return Plan()  # it may well exist: deleting on a guess could not be undone
    if Owner.SOLID in states:
        drop = frozenset(uid for uid, state in owners.items() if state in (Owner.ABSENT, Owner.WAITING))
        return Plan(drop=drop)
    if Owner.WAITING in states and has_dependents:
        # Two that own each other would wait for ever: then ours must not hold its owner up any longer.
        return Plan(delete="Foreground", drop=frozenset() if not dependents_waiting else _waiting(owners))
    return Plan(delete=_own_policy(obj))


def _waiting(owners: Mapping[str, Owner]) -> frozenset[str]:
    return frozenset(uid for uid, state in owners.items() if state is Owner.WAITING)


def _own_policy(obj: Object) -> str:
    """What was asked for when the object itself was deleted, else background."""
    finalizers: Sequence[str] = meta.finalizers(obj)
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"


def without_owners(obj: Object, uids: frozenset[str]) -> Object:
    """A merge patch; bound to the version it was decided on."""
    kept = [ref for ref in meta.owner_references(obj) if ref["uid"] not in uids]
    return {"metadata": {"resourceVersion": meta.resource_version(obj), "uid": meta.uid(obj),
                         "ownerReferences": kept or None}}


def without_finalizer(obj: Object, finalizer: str) -> Object:
    kept = [name for name in meta.finalizers(obj) if name != finalizer]
    return {"metadata": {"resourceVersion": meta.resource_version(obj), "uid": meta.uid(obj),
                         "finalizers": kept or None}}
