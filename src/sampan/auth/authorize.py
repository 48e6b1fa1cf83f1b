"""The question "may this caller do that?" as a value, and who may answer it.

An authorizer allows or has no opinion; a chain of them allows as soon as one does (upstream's "Node,RBAC" mode).
Upstream: ``staging/src/k8s.io/apiserver/pkg/authorization``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sampan.auth.user import UserInfo


@dataclass(frozen=True, slots=True)
class Attributes:
    """One request, as authorization sees it. ``path`` is set, ``resource`` empty, for paths such as ``/healthz``."""

    user: UserInfo
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)

    @property
    def combined_resource(self) -> str:
        """``pods`` or ``pods/log``, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str = ""


NO_OPINION = Decision(False)


@dataclass(frozen=True, slots=True)
class SubjectRules:
    """What a SelfSubjectRulesReview reports. ``incomplete`` when some authorizer can't enumerate."""

    resource_rules: tuple[dict[str, Any], ...] = ()
    non_resource_rules: tuple[dict[str, Any], ...] = ()
    incomplete: bool = False
    error: str = ""


class Authorizer(Protocol):
    def authorize(self, attributes: Attributes) -> Decision: ...

    def rules_for(self, user: UserInfo, namespace: str) -> SubjectRules:
        """All that ``user`` may do in ``namespace``."""
        ...


@dataclass(frozen=True, slots=True)
class Chain:
    """Several authorizers as one: the first that allows decides; the reasons of the others are joined."""

    authorizers: Sequence[Authorizer]

    def authorize(self, attributes: Attributes) -> Decision:
        reasons = []
        for authorizer in self.authorizers:
            decision = authorizer.authorize(attributes)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons))

    def rules_for(self, user: UserInfo, namespace: str) -> SubjectRules:
        parts = [authorizer.rules_for(user, namespace) for authorizer in self.authorizers]
        return SubjectRules(
            tuple(rule for part in parts for rule in part.resource_rules),
            tuple(rule for part in parts for rule in part.non_resource_rules),
            any(part.incomplete for part in parts),
            "; ".join(part.error for part in parts if part.error),
        )


def forbidden_message(attributes: Attributes, reason: str = "") -> str:
    """Upstream's text of a 403: ``User "x" cannot get resource "pods" in API group "" in the namespace "default"``."""
    user = f'User "{attributes.user.name}" cannot {attributes.verb}'
    if not attributes.is_resource:
        text = f'{user} path "{attributes.path}"'
    else:
        where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
        text = f'{user} resource "{attributes.combined_resource}" in API group "{attributes.group}" {where}'
    return f"{text}: {reason}" if reason else text
