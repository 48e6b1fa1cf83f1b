"""The scale subresource: one small object through which an autoscaler or ``kubectl scale`` sets replicas.

Upstream: ``pkg/registry/apps/deployment/storage`` (``ScaleREST``), ``autoscaling/v1`` ``Scale``.
"""

from __future__ import annotations

import copy
from typing import Any

from sampan.api.errors import FieldError
from sampan.api.selectors import from_label_selector
from sampan.apiserver.kinds.rules import non_negative

Object = dict[str, Any]
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def to_scale(obj: Object) -> Object:
    """The Scale of a Deployment or ReplicaSet."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return {
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {key: obj["metadata"][key] for key in _METADATA if key in obj["metadata"]},
        "spec": {"replicas": spec.get("replicas", 0)} if spec.get("replicas") else {},
        "status": {"replicas": status.get("replicas", 0), "selector": str(from_label_selector(spec.get("selector")))},
    }


def from_scale(obj: Object, scale: Object) -> Object:
    """The object with the Scale's replicas, and its resourceVersion if it names one; ``obj`` is not changed."""
    scaled = copy.deepcopy(obj)
    scaled["spec"]["replicas"] = (scale.get("spec") or {}).get("replicas") or 0
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version:
        scaled["metadata"]["resourceVersion"] = version
    return scaled


def validate_scale(scale: Object) -> list[FieldError]:
    return non_negative((scale.get("spec") or {}).get("replicas"), "spec.replicas")
