"""Role-based access control: bindings give a subject the rules of a role, everywhere or in one namespace.

Bindings are indexed by subject, so a decision looks only at the few that concern the caller: his name and his groups.
The index follows the objects; roles are looked up when asked, so a role may come after its binding.

Upstream: ``plugin/pkg/auth/authorizer/rbac/rbac.go``, ``pkg/registry/rbac/validation/rule.go``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sampan.api.meta import name, namespace
from sampan.api.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, Resource
from sampan.auth.authorize import NO_OPINION, Attributes, Authorizer, Decision, SubjectRules
from sampan.auth.objects import Objects
from sampan.auth.rules import Rule
from sampan.auth.user import MASTERS_GROUP, UserInfo, service_account_name

__all__ = ["Attributes", "Authorizer", "Decision", "Rbac"]

Object = dict[str, Any]
Subject = tuple[str, str]  # ("User" or "Group", name); ServiceAccounts are users by their full name
RoleKey = tuple[str, str]  # (namespace, name); namespace "" for a ClusterRole


@dataclass(frozen=True, slots=True)
class Grant:
    """One subject's share of one binding. ``scope`` is the namespace, "" for all."""

    scope: str
    binding: str
    subject: Subject
    role: RoleKey

    def reason(self) -> str:
        role_namespace, role_name = self.role
        role = f'Role "{role_name}/{role_namespace}"' if role_namespace else f'ClusterRole "{role_name}"'
        binding = f'RoleBinding "{self.binding}/{self.scope}"' if self.scope else f'ClusterRoleBinding "{self.binding}"'
        return f'RBAC: allowed by {binding} of {role} to {self.subject[0]} "{self.subject[1]}"'


class Rbac:
    """The authorizer. It follows ``objects``, which must offer roles, bindings and their changes."""

    def __init__(self, objects: Objects) -> None:
        self._grants: dict[tuple[str, Subject], dict[str, Grant]] = defaultdict(dict)
        self._rules: dict[RoleKey, tuple[tuple[Rule, Object], ...]] = {}
        for resource in (ROLES, CLUSTERROLES):
            objects.on_change(resource, self._role_changed)
            for role in objects.list(resource):
                self._role_changed(None, role)
        for resource in (ROLEBINDINGS, CLUSTERROLEBINDINGS):
            objects.on_change(resource, self._binding_changed)
            for binding in objects.list(resource):
                self._binding_changed(None, binding)

    def authorize(self, attributes: Attributes) -> Decision:
        user = attributes.user
        if MASTERS_GROUP in user.groups:
            return Decision(True)
        missing: list[str] = []
        for grant in self._grants_of(user, attributes.namespace):
            rules = self._rules.get(grant.role)
            if rules is None:
                missing.append(_not_found(grant.role))
                continue
            for rule, _ in rules:
                if rule.allows(attributes):
                    return Decision(True, grant.reason())
        return Decision(False, f"RBAC: {_listed(missing)}") if missing else NO_OPINION

    def rules_for(self, user: UserInfo, namespace: str) -> SubjectRules:
        """In the shape of SelfSubjectRulesReview's status; also what a user may grant to others."""
        if MASTERS_GROUP in user.groups:
            return SubjectRules(({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},),
                                ({"verbs": ["*"], "nonResourceURLs": ["*"]},))
        resources, paths, missing = [], [], []
        for grant in self._grants_of(user, namespace):
            rules = self._rules.get(grant.role)
            if rules is None:
                missing.append(_not_found(grant.role))
            for _, rule in rules or ():
                if rule.get("resources"):
                    resources.append({key: rule[key] for key in _RESOURCE_RULE if rule.get(key)})
                elif not grant.scope:
                    paths.append({key: rule[key] for key in ("verbs", "nonResourceURLs") if rule.get(key)})
        return SubjectRules(tuple(resources), tuple(paths), bool(missing), _listed(missing) if missing else "")

    def _grants_of(self, user: UserInfo, scope: str) -> Iterator[Grant]:
        """Cluster-wide ones first, as upstream; a RoleBinding counts only in its namespace."""
        subjects: list[Subject] = [("User", user.name), *(("Group", group) for group in user.groups)]
        for where in ("", scope) if scope else ("",):
            for subject in subjects:
                grants = self._grants.get((where, subject))
                if grants:
                    yield from grants.values()

    def _role_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            assert old is not None
            self._rules.pop((namespace(old), name(old)), None)
        else:
            self._rules[namespace(new), name(new)] = tuple((Rule.of(r), r) for r in new.get("rules") or ())

    def _binding_changed(self, old: Object | None, new: Object | None) -> None:
        for grant in _grants(old) if old else ():
            at = (grant.scope, grant.subject)
            self._grants[at].pop(grant.binding, None)
            if not self._grants[at]:
                del self._grants[at]
        for grant in _grants(new) if new else ():
            self._grants[grant.scope, grant.subject][grant.binding] = grant


_RESOURCE_RULE = ("verbs", "apiGroups", "resources", "resourceNames")


def _grants(binding: Object) -> Iterator[Grant]:
    scope, reference = namespace(binding), binding.get("roleRef") or {}
    role = (scope if reference.get("kind") == "Role" else "", reference.get("name") or "")
    for subject in dict.fromkeys(_subject(s, scope) for s in binding.get("subjects") or ()):
        if subject:
            yield Grant(scope, name(binding), subject, role)


def _subject(subject: Object, scope: str) -> Subject | None:
    kind, subject_name = subject.get("kind"), subject.get("name") or ""
    if kind == "ServiceAccount":
        where = subject.get("namespace") or scope
        return ("User", service_account_name(where, subject_name)) if where else None
    return (kind, subject_name) if kind in ("User", "Group") else None


def _not_found(role: RoleKey) -> str:
    resource: Resource = ROLES if role[0] else CLUSTERROLES
    return f'{resource.singular}.{resource.group} "{role[1]}" not found'


def _listed(texts: list[str]) -> str:
    unique = list(dict.fromkeys(texts))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
