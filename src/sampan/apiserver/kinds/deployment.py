"""Deployment. Upstream: ``pkg/registry/apps/deployment``, ``pkg/apis/apps/{v1/defaults,validation}``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Context, Kind, Object, keep
from sampan.apiserver.kinds.pod.kind import env_warnings
from sampan.apiserver.kinds.pod.template import default_template, validate_selected_template
from sampan.apiserver.kinds.rules import immutable, non_negative
from sampan.apiserver.kinds.table import age, container_names, selector_text

_PERCENT = re.compile(r"[0-9]+%")


class DeploymentKind(Kind):
    has_generation = True
    columns = (
        NAME, Column("Ready", description="Number of the pod with ready state"),
        Column("Up-to-date", description="Number of pods that have the desired template."),
        Column("Available", description="Number of available pods, ready for at least minReadySeconds."), AGE,
        Column("Containers", priority=1, description="Names of each container in the template."),
        Column("Images", priority=1, description="Images referenced by each container in the template."),
        Column("Selector", priority=1, description="Label selector for pods."),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for key, value in (("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)):
            if spec.get(key) is None:
                spec[key] = value
        strategy = spec["strategy"] = spec.get("strategy") or {}
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
            for key in ("maxUnavailable", "maxSurge"):
                if rolling.get(key) is None:
                    rolling[key] = "25%"
        default_template(spec.setdefault("template", {}))

    def prepare_for_update(self, obj: Object, old: Object, ctx: Context, subresource: str = "") -> None:
        super().prepare_for_update(obj, old, ctx, subresource)
        if subresource == "status":
            keep(obj["metadata"], old["metadata"], "labels")

    def bumps_generation(self, obj: Object, old: Object) -> bool:
        """Annotations count too: the controller copies them to ReplicaSets."""
        return super().bumps_generation(obj, old) or (
            (obj["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {}))

    def validate_object(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = non_negative(spec.get("replicas"), "spec.replicas") + validate_selected_template(spec, "deployment")
        errors += _strategy(spec.get("strategy") or {}, "spec.strategy")
        errors += non_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
        errors += non_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")
        deadline = spec.get("progressDeadlineSeconds")
        errors += non_negative(deadline, "spec.progressDeadlineSeconds")
        if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
            errors.append(FieldError.invalid(
                "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
        return errors

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return _status(obj.get("status") or {})
        return self.validate_object(obj) + immutable(
            obj["spec"].get("selector"), old["spec"].get("selector"), "spec.selector")

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return env_warnings(obj["spec"]["template"].get("spec") or {}, "spec.template.spec")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        containers, images = container_names(spec.get("template") or {})
        return [obj["metadata"].get("name", ""), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
                status.get("updatedReplicas", 0), status.get("availableReplicas", 0), age(obj, now), containers,
                images, selector_text(spec.get("selector"))]


def _strategy(strategy: Object, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        return [FieldError.forbidden(f"{path}.rollingUpdate",
                                     "may not be specified when strategy `type` is 'Recreate'")]
    if kind != "RollingUpdate":
        return [FieldError.not_supported(f"{path}.type", kind or "", ["Recreate", "RollingUpdate"])]
    unavailable, surge, at = (rolling or {}).get("maxUnavailable"), (rolling or {}).get("maxSurge"), \
        f"{path}.rollingUpdate"
    errors = int_or_percent(unavailable, f"{at}.maxUnavailable") + int_or_percent(surge, f"{at}.maxSurge")
    if not errors and _amount(unavailable) == 0 and _amount(surge) == 0:
        errors.append(FieldError.invalid(f"{at}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    if not errors and isinstance(unavailable, str) and _amount(unavailable) > 100:
        errors.append(FieldError.invalid(f"{at}.maxUnavailable", unavailable, "must not be greater than 100%"))
    return errors


def int_or_percent(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str):
        if _PERCENT.fullmatch(value):
            return []
        return [FieldError.invalid(path, value, "a valid percent string must be a numeric string followed by an ending "
                                   "'%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')")]
    return non_negative(value, path)


def _amount(value: Any) -> int:
    return int(value.rstrip("%")) if isinstance(value, str) else int(value or 0)


def _status(status: Object) -> list[FieldError]:
    errors = [error for key in ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas",
                                "availableReplicas", "unavailableReplicas")
              for error in non_negative(status.get(key), f"status.{key}")]
    total = status.get("replicas", 0)
    for key in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        if status.get(key, 0) > total:
            errors.append(FieldError.invalid(f"status.{key}", status[key], "cannot be greater than status.replicas"))
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        errors.append(FieldError.invalid("status.availableReplicas", status["availableReplicas"],
                                         "cannot be greater than readyReplicas"))
    return errors
