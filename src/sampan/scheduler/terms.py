"""Conditions from a pod's spec, compiled once: node selectors, pod (anti-)affinity terms, tolerations.

Upstream: ``component-helpers/scheduling/corev1``, ``pkg/scheduler/framework/types.go`` (AffinityTerm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sampan.api.selectors import LabelSelector, Requirement, from_label_selector

Object = dict[str, Any]

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


def requirements(expressions: Sequence[Object] | None) -> tuple[Requirement, ...]:
    return tuple(Requirement(e["key"], _OPERATORS[e["operator"]], tuple(e.get("values") or ()))
                 for e in expressions or ())


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """All of these must hold: on the node's labels, and on its name (``matchFields``)."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]

    @classmethod
    def of(cls, term: Object) -> NodeTerm:
        return cls(requirements(term.get("matchExpressions")), requirements(term.get("matchFields")))

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """An empty term matches nothing."""
        if not self.labels and not self.fields:
            return False
        return (all(r.matches(labels) for r in self.labels)
                and all(r.matches({"metadata.name": name}) for r in self.fields))


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods that a pod wants near, or away, in one topology. ``key`` identifies the set of pods it picks."""

    topology_key: str
    selector: LabelSelector
    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None
    key: str
    weight: int = 0

    @classmethod
    def of(cls, term: Object, pod: Object, weight: int = 0) -> PodTerm:
        """``matchLabelKeys`` become part of the selector, with the pod's own values."""
        metadata = pod["metadata"]
        labels = metadata.get("labels") or {}
        selector = dict(term.get("labelSelector") or {}) if term.get("labelSelector") is not None else None
        if selector is not None:
            extra = [{"key": k, "operator": "In", "values": [labels[k]]}
                     for k in term.get("matchLabelKeys") or () if k in labels]
            extra += [{"key": k, "operator": "NotIn", "values": [labels[k]]}
                      for k in term.get("mismatchLabelKeys") or () if k in labels]
            selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *extra]
        chosen = term.get("namespaceSelector")
        named = frozenset(term.get("namespaces") or (() if chosen is not None else (metadata.get("namespace", ""),)))
        key = orjson.dumps([sorted(named), chosen, selector], option=orjson.OPT_SORT_KEYS).decode()
        return cls(term["topologyKey"], from_label_selector(selector), named,
                   from_label_selector(chosen) if chosen is not None else None, key, weight)

    def matches(self, namespace: str, labels: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
        if namespace not in self.namespaces and (
                self.namespace_selector is None or not self.namespace_selector.matches(namespace_labels)):
            return False
        return self.selector.matches(labels)


def tolerates(tolerations: Sequence[Object], taint: Object) -> bool:
    """Does one of them cover the taint?  An empty key with ``Exists`` covers all, an empty effect every effect."""
    return any(_tolerates(t, taint) for t in tolerations)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator, value = toleration.get("operator") or "Equal", taint.get("value") or ""
    if operator == "Exists":
        return True
    if operator in ("Lt", "Gt"):
        return _compares(operator, toleration.get("value") or "", value)
    return bool(toleration.get("key")) and (toleration.get("value") or "") == value


def _compares(operator: str, wanted: str, value: str) -> bool:
    """The taint's number must be below (``Lt``) or above (``Gt``) the toleration's."""
    try:
        return int(value) < int(wanted) if operator == "Lt" else int(value) > int(wanted)
    except ValueError:
        return False
