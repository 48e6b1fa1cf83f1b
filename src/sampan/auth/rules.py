"""One PolicyRule: what it allows, and whether a set of rules covers another.

Covering is how escalation is prevented: nobody may grant what he does not hold.
Upstream: ``pkg/apis/rbac/v1/evaluation_helpers.go``, ``component-helpers/auth/rbac/validation/policy_comparator.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sampan.api.errors import quote
from sampan.auth.authorize import Attributes

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """A PolicyRule made ready for asking."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> Rule:
        def strings(key: str) -> frozenset[str]:
            return frozenset(rule.get(key) or ())

        return cls(strings("verbs"), strings("apiGroups"), strings("resources"), strings("resourceNames"),
                   tuple(rule.get("nonResourceURLs") or ()))

    def allows(self, asked: Attributes) -> bool:
        """Cheapest question first: most rules are about another group."""
        if not asked.resource:
            return bool(self.paths) and self._verb_matches(asked) and any(
                _path_matches(pattern, asked.path) for pattern in self.paths)
        if asked.group not in self.groups and ALL not in self.groups:
            return False
        return self._verb_matches(asked) and self._resource_matches(asked) and (
            not self.names or asked.name in self.names)

    def _verb_matches(self, asked: Attributes) -> bool:
        return asked.verb in self.verbs or ALL in self.verbs

    def _resource_matches(self, asked: Attributes) -> bool:
        """``pods/log`` is matched by ``pods/log``, ``*/log`` and ``*``; ``pods`` does not match ``pods/log``."""
        if not asked.subresource:
            return asked.resource in self.resources or ALL in self.resources
        return (asked.combined_resource in self.resources or f"*/{asked.subresource}" in self.resources
                or ALL in self.resources)


def _path_matches(pattern: str, path: str) -> bool:
    """A trailing ``*`` stands for anything."""
    if pattern in (ALL, path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


def covers(owned: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The parts of ``wanted`` that ``owned`` does not hold, as small rules; empty when all is held."""
    held = [Rule.of(rule) for rule in owned]
    return [atom for rule in wanted for atom in _atoms(rule) if not any(_covers(h, Rule.of(atom)) for h in held)]


def _atoms(rule: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A rule taken apart: one verb, one group, one resource, one name each."""
    verbs: Sequence[str] = rule.get("verbs") or ()
    for verb, group, resource in product(verbs, rule.get("apiGroups") or (), rule.get("resources") or ()):
        atom = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
        for name in rule.get("resourceNames") or [None]:
            yield atom | ({"resourceNames": [name]} if name is not None else {})
    for verb, url in product(verbs, rule.get("nonResourceURLs") or ()):
        yield {"verbs": [verb], "nonResourceURLs": [url]}


def _covers(held: Rule, atom: Rule) -> bool:
    if ALL not in held.verbs and not atom.verbs <= held.verbs:
        return False
    if atom.paths:
        return any(_path_matches(pattern, atom.paths[0]) for pattern in held.paths)
    if ALL not in held.groups and not atom.groups <= held.groups:
        return False
    (resource,) = atom.resources
    same = ALL in held.resources or resource in held.resources \
        or ("/" in resource and f"*/{resource.partition('/')[2]}" in held.resources)
    return same and (not held.names or (bool(atom.names) and atom.names <= held.names))


def describe(rules: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rules as messages show them, equal ones but for the verb on one line, sorted."""
    merged: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for rule in rules:
        identity = tuple(tuple(rule.get(key) or ()) for key in _SHOWN)
        verbs = merged.setdefault(identity, [])
        verbs += [verb for verb in rule["verbs"] if verb not in verbs]
    return sorted(_describe(identity, verbs) for identity, verbs in merged.items())


_SHOWN = ("apiGroups", "resources", "resourceNames", "nonResourceURLs")
_LABELS = ("APIGroups", "Resources", "ResourceNames", "NonResourceURLs")


def _describe(identity: tuple[tuple[str, ...], ...], verbs: list[str]) -> str:
    parts = [(label, values) for label, values in zip(_LABELS, identity, strict=True) if values]
    parts.append(("Verbs", tuple(verbs)))
    return "{" + ", ".join(f"{label}:[{' '.join(quote(v) for v in values)}]" for label, values in parts) + "}"
