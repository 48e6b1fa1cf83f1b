"""ReplicaSet. Upstream: ``pkg/registry/apps/replicaset``, ``pkg/apis/apps/validation``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Kind, Object
from sampan.apiserver.kinds.pod.template import default_template, validate_selected_template
from sampan.apiserver.kinds.rules import immutable, non_negative
from sampan.apiserver.kinds.table import age, container_names, selector_text

_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")


class ReplicaSetKind(Kind):
    has_generation = True
    columns = (
        NAME, Column("Desired", "integer", description="Number of desired pods."),
        Column("Current", "integer", description="Number of observed pods."),
        Column("Ready", "integer", description="Number of pods with a Ready condition."), AGE,
        Column("Containers", priority=1, description="Names of each container in the template."),
        Column("Images", priority=1, description="Images referenced by each container in the template."),
        Column("Selector", priority=1, description="Label selector for pods."),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        default_template(spec.setdefault("template", {}))

    def prepare_for_create(self, obj: Object, ctx: Any) -> None:
        super().prepare_for_create(obj, ctx)
        obj["status"] = {"replicas": 0}

    def validate_object(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = non_negative(spec.get("replicas"), "spec.replicas")
        errors += non_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
        return errors + validate_selected_template(spec, "replicaset")

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        if subresource == "status":
            status = obj.get("status") or {}
            return [error for key in _COUNTS for error in non_negative(status.get(key), f"status.{key}")]
        return self.validate_object(obj) + immutable(
            obj["spec"].get("selector"), old["spec"].get("selector"), "spec.selector")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        containers, images = container_names(spec.get("template") or {})
        return [obj["metadata"].get("name", ""), spec.get("replicas", 0), status.get("replicas", 0),
                status.get("readyReplicas", 0), age(obj, now), containers, images, selector_text(spec.get("selector"))]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return super().selectable_fields(obj) | {
            "status.replicas": str((obj.get("status") or {}).get("replicas", 0))}
