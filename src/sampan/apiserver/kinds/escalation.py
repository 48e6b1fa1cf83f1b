"""Nobody may grant what he does not hold: the check that Roles and bindings share.

Upstream: ``pkg/registry/rbac/escalation_check.go``, ``pkg/registry/rbac/validation/rule.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sampan.api.errors import Forbidden, quote
from sampan.api.resources import Resource
from sampan.apiserver.kinds.base import Context
from sampan.auth.authorize import Attributes
from sampan.auth.rules import covers, describe
from sampan.auth.user import MASTERS_GROUP

Object = dict[str, Any]


def namespace_of(obj: Object) -> str:
    return str(obj["metadata"].get("namespace") or "")


def may(verb: str, resource: Resource, obj: Object, ctx: Context, name: str | None = None) -> bool:
    """Whether the caller holds ``escalate`` or ``bind`` on the role."""
    if MASTERS_GROUP in ctx.user.groups:
        return True
    if ctx.authorizer is None:
        return False
    asked = Attributes(ctx.user, verb, resource.group, resource.plural, "", namespace_of(obj),
                       obj["metadata"].get("name", "") if name is None else name)
    return ctx.authorizer.authorize(asked).allowed


def confirm_no_escalation(rules: Sequence[Object], resource: Resource, obj: Object, ctx: Context) -> None:
    """Raises: Forbidden, with the rules that the caller does not hold."""
    assert ctx.authorizer is not None
    held = ctx.authorizer.rules_for(ctx.user, namespace_of(obj))
    missing = covers([*held.resource_rules, *held.non_resource_rules], rules)
    if not missing:
        return
    groups = " ".join(quote(group) for group in ctx.user.groups)
    text = (f"user {quote(ctx.user.name)} (groups=[{groups}]) is attempting to grant RBAC permissions not currently "
            "held:\n" + "\n".join(describe(missing)))
    if held.error:
        text += f"; resolution errors: {held.error}"
    raise Forbidden.of(resource, obj["metadata"].get("name", ""), text)
