"""RoleBinding and ClusterRoleBinding. The role of a binding never changes; who binds must hold it or may ``bind`` it.

Upstream: ``pkg/registry/rbac/{rolebinding,clusterrolebinding}``, ``pkg/apis/rbac/{v1/defaults,validation}``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError, NotFound
from sampan.api.resources import CLUSTERROLES, RBAC_GROUP, ROLES, Resource
from sampan.apiserver.kinds.base import AGE, NAME, Column, Context, Kind, Object
from sampan.apiserver.kinds.escalation import confirm_no_escalation, may
from sampan.apiserver.kinds.rules import checked, one_of
from sampan.apiserver.kinds.table import age
from sampan.auth.user import MASTERS_GROUP


class RoleBindingKind(Kind):
    create_on_update = True
    columns = (NAME, Column("Role", description="The role that is bound."), AGE,
               Column("Users", priority=1, description="Users in the binding."),
               Column("Groups", priority=1, description="Groups in the binding."),
               Column("ServiceAccounts", priority=1, description="ServiceAccounts in the binding."))

    def default(self, obj: Object) -> None:
        reference = obj.setdefault("roleRef", {})
        reference["apiGroup"] = reference.get("apiGroup") or RBAC_GROUP
        for subject in obj.get("subjects") or ():
            if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = RBAC_GROUP

    def name_problems(self, name: str) -> list[str]:
        return names.path_segment(name)

    def validate_object(self, obj: Object) -> list[FieldError]:
        reference, errors = obj.get("roleRef") or {}, []
        if reference.get("apiGroup") != RBAC_GROUP:
            errors.append(FieldError.not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), [RBAC_GROUP]))
        kinds = ["Role", "ClusterRole"] if self.resource.namespaced else ["ClusterRole"]
        if reference.get("kind") not in kinds:
            errors.append(FieldError.not_supported("roleRef.kind", reference.get("kind", ""), kinds))
        errors += checked(reference.get("name"), names.path_segment, "roleRef.name", required=True)
        for i, subject in enumerate(obj.get("subjects") or ()):
            errors += _subject(subject, self.resource.namespaced, f"subjects[{i}]")
        return errors

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        errors = self.validate_object(obj)
        if obj.get("roleRef") != old.get("roleRef"):
            errors.append(FieldError.invalid("roleRef", obj.get("roleRef"), "cannot change roleRef"))
        return errors

    async def check(self, obj: Object, old: Object | None, ctx: Context) -> None:
        """Raises: Forbidden; NotFound when the role that the caller would have to hold does not exist."""
        if ctx.authorizer is None or MASTERS_GROUP in ctx.user.groups:
            return
        if old is not None and (obj.get("roleRef"), obj.get("subjects")) == (old.get("roleRef"), old.get("subjects")):
            return
        reference = obj["roleRef"]
        role_resource: Resource = ROLES if reference["kind"] == "Role" else CLUSTERROLES
        if may("bind", role_resource, obj, ctx, reference["name"]):
            return
        where = obj["metadata"].get("namespace") if role_resource.namespaced else None
        role = await ctx.server.get_object(role_resource, reference["name"], where)
        if role is None:
            raise NotFound.of(role_resource, reference["name"])
        confirm_no_escalation(role.get("rules") or [], self.resource, obj, ctx)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        reference = obj.get("roleRef") or {}
        subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
        for each in obj.get("subjects") or ():
            name = each.get("name", "")
            subjects.setdefault(each.get("kind", ""), []).append(
                f"{each.get('namespace', '')}/{name}" if each.get("kind") == "ServiceAccount" else name)
        return [obj["metadata"].get("name", ""), f"{reference.get('kind', '')}/{reference.get('name', '')}",
                age(obj, now), *(", ".join(subjects[kind]) for kind in ("User", "Group", "ServiceAccount"))]


class ClusterRoleBindingKind(RoleBindingKind):
    pass


def _subject(subject: Object, namespaced: bool, path: str) -> list[FieldError]:
    kind, group = subject.get("kind") or "", subject.get("apiGroup") or ""
    errors = [] if subject.get("name") else [FieldError.required(f"{path}.name")]
    if kind == "ServiceAccount":
        errors += checked(subject.get("name"), names.dns_subdomain, f"{path}.name")
        if group:
            errors.append(FieldError.not_supported(f"{path}.apiGroup", group, [""]))
        if not namespaced and not subject.get("namespace"):
            errors.append(FieldError.required(f"{path}.namespace"))
        return errors
    if kind in ("User", "Group"):
        if group != RBAC_GROUP:
            errors.append(FieldError.not_supported(f"{path}.apiGroup", group, [RBAC_GROUP]))
        return errors
    return errors + (one_of(kind, ("ServiceAccount", "User", "Group"), f"{path}.kind")
                     or [FieldError.not_supported(f"{path}.kind", kind, ["ServiceAccount", "User", "Group"])])
