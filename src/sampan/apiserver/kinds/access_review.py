"""May somebody do something?  The four access reviews: ``kubectl auth can-i``, and what webhooks ask. Never stored.

Upstream: ``pkg/registry/authorization``.
"""

from __future__ import annotations

from typing import Any

from sampan.api.errors import FieldError, Invalid, ServiceUnavailable
from sampan.apiserver.kinds.base import Context, Kind, Object
from sampan.auth.authorize import Attributes, Authorizer
from sampan.auth.user import UserInfo


class SelfSubjectAccessReviewKind(Kind):
    """What may I do?"""

    virtual = True

    async def answer(self, obj: Object, ctx: Context) -> Object:
        spec = obj.get("spec") or {}
        self._refuse(obj, self.problems(spec))
        return obj | {"status": decide(spec, self.user(spec, ctx), _authorizer(ctx))}

    def user(self, spec: Object, ctx: Context) -> UserInfo:
        return ctx.user

    def problems(self, spec: Object) -> list[FieldError]:
        return _one_kind_of_attributes(spec)

    def _refuse(self, obj: Object, errors: list[FieldError]) -> None:
        """Raises: Invalid."""
        if errors:
            raise Invalid.of(self.resource, (obj.get("metadata") or {}).get("name", ""), errors)


class SubjectAccessReviewKind(SelfSubjectAccessReviewKind):
    """What may he do?"""

    def user(self, spec: Object, ctx: Context) -> UserInfo:
        extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
        return UserInfo(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()), extra)

    def problems(self, spec: Object) -> list[FieldError]:
        errors = super().problems(spec)
        if not spec.get("user") and not spec.get("groups"):
            errors.append(FieldError.invalid("spec.user", "", "at least one of user or group must be specified"))
        return errors


class LocalSubjectAccessReviewKind(SubjectAccessReviewKind):
    """What may he do in this namespace?"""

    async def answer(self, obj: Object, ctx: Context) -> Object:
        asked = ((obj.get("spec") or {}).get("resourceAttributes") or {}).get("namespace") or ""
        if (obj.get("spec") or {}).get("nonResourceAttributes"):
            self._refuse(obj, [FieldError.invalid("spec.nonResourceAttributes", obj["spec"]["nonResourceAttributes"],
                                                  "disallowed on this kind of request")])
        if asked != ctx.namespace:
            self._refuse(obj, [FieldError.invalid("spec.resourceAttributes.namespace", asked,
                                                  "must match metadata.namespace")])
        return await super().answer(obj, ctx)


class SelfSubjectRulesReviewKind(Kind):
    """All that I may do in a namespace: ``kubectl auth can-i --list``."""

    virtual = True

    async def answer(self, obj: Object, ctx: Context) -> Object:
        namespace = (obj.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise Invalid.of(self.resource, "", [FieldError.required("spec.namespace", "no namespace on request")])
        rules = _authorizer(ctx).rules_for(ctx.user, namespace)
        status: Object = {"resourceRules": list(rules.resource_rules),
                          "nonResourceRules": list(rules.non_resource_rules), "incomplete": rules.incomplete}
        if rules.error:
            status["evaluationError"] = rules.error
        return obj | {"status": status}


def decide(spec: Object, user: UserInfo, authorizer: Authorizer) -> Object:
    """The ``status`` of an access review."""
    decision = authorizer.authorize(_attributes(spec, user))
    status: Object = {"allowed": decision.allowed}
    return status | ({"reason": decision.reason} if decision.reason else {})


def _attributes(spec: Object, user: UserInfo) -> Attributes:
    path: dict[str, Any] | None = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(user, path.get("verb") or "", path=path.get("path") or "")
    asked = spec.get("resourceAttributes") or {}
    return Attributes(user, asked.get("verb") or "", asked.get("group") or "", asked.get("resource") or "",
                      asked.get("subresource") or "", asked.get("namespace") or "", asked.get("name") or "")


def _one_kind_of_attributes(spec: Object) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        return [FieldError.invalid("spec.nonResourceAttributes", path,
                                   "cannot be specified in combination with resourceAttributes")]
    if resource is None and path is None:
        return [FieldError.invalid("spec.resourceAttributes", None,
                                   "exactly one of nonResourceAttributes or resourceAttributes must be specified")]
    return []


def _authorizer(ctx: Context) -> Authorizer:
    """Raises: ServiceUnavailable."""
    if ctx.authorizer is None:
        raise ServiceUnavailable("this server authorizes nothing")
    return ctx.authorizer
