"""What a terminating namespace says about what still holds it up.

Upstream: ``pkg/controller/namespace/deletion/status_condition_utils.go``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sampan.api import clock, meta

Object = dict[str, Any]

FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure":
        ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure":
        ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


@dataclass(frozen=True, slots=True)
class Remaining:
    """What was still there after deletion was asked for: counts by group resource (``pods.``) and by finalizer."""

    resources: Mapping[str, int] = field(default_factory=dict)
    finalizers: Mapping[str, int] = field(default_factory=dict)
    failures: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        return not self.resources and not self.failures


def remaining(found: Mapping[str, Sequence[Object]], failures: Sequence[str]) -> Remaining:
    """``found`` maps a group resource to the objects that are left."""
    finalizers = Counter(f for items in found.values() for item in items for f in meta.finalizers(item))
    return Remaining({name: len(items) for name, items in found.items() if items}, finalizers, failures)


def conditions(before: Sequence[Object], left: Remaining, now: datetime) -> list[Object]:
    """All five. They are first written when something holds the deletion up; then they are kept true."""
    wrong = {}
    if left.failures:
        wrong["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", _failures(left.failures))
    if left.resources:
        listed = ", ".join(f"{name} has {n} resource instances" for name, n in sorted(left.resources.items()))
        wrong["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {listed}")
    if left.finalizers:
        listed = ", ".join(f"{name} in {n} resource instances" for name, n in sorted(left.finalizers.items()))
        wrong["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {listed}")
    result = [dict(c) for c in before]
    for type, fine in FINE.items():
        reason, message = wrong.get(type, fine)
        _set(result, {"type": type, "status": "True" if type in wrong else "False", "reason": reason,
                      "message": message}, now)
    return result


def _failures(texts: Sequence[str]) -> str:
    return f"Failed to delete all resource types, {len(texts)} remaining: {', '.join(sorted(texts))}"


def _set(result: list[Object], fresh: Object, now: datetime) -> None:
    for index, old in enumerate(result):
        if old["type"] == fresh["type"]:
            if any(old.get(k) != fresh[k] for k in ("status", "reason", "message")):
                result[index] = fresh | {"lastTransitionTime": clock.rfc3339(now)}
            return
    result.append(fresh | {"lastTransitionTime": clock.rfc3339(now)})
