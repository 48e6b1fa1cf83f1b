"""Role and ClusterRole. Nobody may write a rule that he does not hold himself, unless he may ``escalate``.

Upstream: ``pkg/registry/rbac/{role,clusterrole}``, ``pkg/apis/rbac/validation``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError, Forbidden
from sampan.apiserver.kinds.base import CREATED_AT, NAME, Context, Kind, Object
from sampan.apiserver.kinds.escalation import confirm_no_escalation, may, namespace_of
from sampan.apiserver.kinds.rules import label_selector


class RoleKind(Kind):
    create_on_update = True
    columns = (NAME, CREATED_AT)

    def name_problems(self, name: str) -> list[str]:
        return names.path_segment(name)

    def validate_object(self, obj: Object) -> list[FieldError]:
        return [error for i, rule in enumerate(obj.get("rules") or ())
                for error in _rule(rule, self.resource.namespaced, f"rules[{i}]")]

    async def check(self, obj: Object, old: Object | None, ctx: Context) -> None:
        """Raises: Forbidden."""
        if old is not None and obj.get("rules") == old.get("rules") \
                and obj.get("aggregationRule") == old.get("aggregationRule"):
            return
        if ctx.authorizer is None or may("escalate", self.resource, obj, ctx):
            return
        confirm_no_escalation(obj.get("rules") or [], self.resource, obj, ctx)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), obj["metadata"].get("creationTimestamp")]


class ClusterRoleKind(RoleKind):
    def validate_object(self, obj: Object) -> list[FieldError]:
        errors = super().validate_object(obj)
        aggregation = obj.get("aggregationRule")
        if aggregation is not None and not aggregation.get("clusterRoleSelectors"):
            errors.append(FieldError.required(
                "aggregationRule.clusterRoleSelectors",
                "at least one clusterRoleSelector required if aggregationRule is non-nil"))
        for i, selector in enumerate((aggregation or {}).get("clusterRoleSelectors") or ()):
            errors += label_selector(selector, f"aggregationRule.clusterRoleSelectors[{i}]")
        return errors

    async def check(self, obj: Object, old: Object | None, ctx: Context) -> None:
        """Who writes an aggregation rule may get any rule whatever. Raises: Forbidden."""
        await super().check(obj, old, ctx)
        aggregation = obj.get("aggregationRule")
        if not aggregation or ctx.authorizer is None or aggregation == (old or {}).get("aggregationRule"):
            return
        if may("escalate", self.resource, obj, ctx) or _holds_everything(ctx, namespace_of(obj)):
            return
        raise Forbidden.of(self.resource, obj["metadata"].get("name", ""),
                           "must have cluster-admin privileges to use the aggregationRule")


_EVERYTHING = ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]})


def _holds_everything(ctx: Context, namespace: str) -> bool:
    from sampan.auth.rules import covers

    assert ctx.authorizer is not None
    held = ctx.authorizer.rules_for(ctx.user, namespace)
    return not covers([*held.resource_rules, *held.non_resource_rules], _EVERYTHING)


def _rule(rule: Object, namespaced: bool, path: str) -> list[FieldError]:
    errors = []
    if not rule.get("verbs"):
        errors.append(FieldError.required(f"{path}.verbs", "verbs must contain at least one value"))
    if rule.get("nonResourceURLs"):
        if namespaced:
            errors.append(FieldError.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"],
                                             "namespaced rules cannot apply to non-resource URLs"))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            errors.append(FieldError.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"],
                                             "rules cannot apply to both regular resources and non-resource URLs"))
        return errors
    if not rule.get("apiGroups"):
        errors.append(FieldError.required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(FieldError.required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors
