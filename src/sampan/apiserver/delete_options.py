"""``DeleteOptions``: in the body, else in the query.

Upstream: ``meta/v1.DeleteOptions``, ``apimachinery/pkg/apis/meta/v1/validation``, ``endpoints/handlers/delete.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sampan.api.errors import BadRequest, FieldError
from sampan.api.http import Request
from sampan.apiserver import options
from sampan.apiserver.body import parse_any

Object = dict[str, Any]

POLICIES = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """None means: not said. ``propagation_policy`` already holds what the old ``orphanDependents`` says."""

    grace_period_seconds: int | None = None
    propagation_policy: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
    legacy_cascade: bool = False

    def as_object(self) -> Object:
        """As admission and kinds see them."""
        out: Object = {}
        if self.grace_period_seconds is not None:
            out["gracePeriodSeconds"] = self.grace_period_seconds
        if self.propagation_policy:
            out["propagationPolicy"] = self.propagation_policy
        if self.dry_run:
            out["dryRun"] = ["All"]
        return out


def delete_options(request: Request) -> DeleteOptions:
    """Raises: BadRequest, Invalid."""
    if not request.body:
        return read(_of_query(request)) if request.query else DeleteOptions()
    value = parse_any(request)
    if not isinstance(value, dict) or value.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f"the body of a delete must be DeleteOptions, got {_kind(value)}")
    if request.query and request.param("dryRun") and "dryRun" not in value:
        value["dryRun"] = [v for key, v in request.query if key == "dryRun"]
    return read(value)


def _kind(value: Any) -> str:
    return str(value.get("kind", "an object without kind")) if isinstance(value, dict) else type(value).__name__


def _of_query(request: Request) -> Object:
    out: Object = {}
    if grace := request.param("gracePeriodSeconds"):
        out["gracePeriodSeconds"] = options.integer("gracePeriodSeconds", grace)
    if policy := request.param("propagationPolicy"):
        out["propagationPolicy"] = policy
    if orphan := request.param("orphanDependents"):
        out["orphanDependents"] = options.boolean(orphan)
    out["dryRun"] = [value for key, value in request.query if key == "dryRun"]
    return out


def read(value: Object) -> DeleteOptions:
    """Checks a ``DeleteOptions`` object. Raises: Invalid, BadRequest."""
    policy, orphan = value.get("propagationPolicy") or "", value.get("orphanDependents")
    dry_run, preconditions = value.get("dryRun") or [], value.get("preconditions") or {}
    grace = value.get("gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int)):
        raise BadRequest(f"gracePeriodSeconds must be an integer, got {grace!r}")
    errors = options.check_dry_run(dry_run)
    if policy and orphan is not None:
        errors.append(FieldError.invalid(
            "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy and policy not in POLICIES:
        errors.append(FieldError.not_supported("propagationPolicy", policy, (*POLICIES, "nil")))
    options.refuse("DeleteOptions", errors)
    if orphan is True:
        policy = "Orphan"
    return DeleteOptions(
        max(grace, 0) if grace is not None else None, policy, preconditions.get("uid") or "",
        preconditions.get("resourceVersion") or "", bool(dry_run), orphan is False,
    )
