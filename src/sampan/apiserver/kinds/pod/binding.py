"""pods/binding: the scheduler's one write, and pods/eviction: a deletion that asks first.

Both are pure: the verb reads the Pod, calls one of these, and writes what comes back.
Upstream: ``pkg/registry/core/pod/storage`` (``BindingREST``, ``EvictionREST``).
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from sampan.api.clock import rfc3339
from sampan.api.errors import BadRequest, Conflict, FieldError, Invalid
from sampan.api.meta import name, set_condition
from sampan.api.resources import BINDINGS, PODS

Object = dict[str, Any]


def bind(pod: Object, binding: Object, now: datetime) -> Object:
    """The Pod with the binding's node. Raises: Invalid, Conflict (being deleted, gated, or bound already)."""
    target = binding.get("target") or {}
    _validate(binding, target)
    _refuse_if_not_bindable(pod, binding)
    bound = copy.deepcopy(pod)
    bound["spec"]["nodeName"] = target["name"]
    wanted = binding.get("metadata") or {}
    for key in ("annotations", "labels"):
        if wanted.get(key):
            bound["metadata"][key] = {**(bound["metadata"].get(key) or {}), **wanted[key]}
    status = bound.setdefault("status", {})
    status.pop("nominatedNodeName", None)
    set_condition(status.setdefault("conditions", []), {"type": "PodScheduled", "status": "True"}, now)
    for each in status["conditions"]:
        if each["type"] == "PodScheduled":  # what was said while it could not be scheduled no longer holds
            each.pop("reason", None)
            each.pop("message", None)
            each.setdefault("lastProbeTime", None)
    return bound


def _validate(binding: Object, target: Object) -> None:
    errors = []
    if target.get("kind") not in (None, "", "Node"):
        errors.append(FieldError.not_supported("target.kind", target["kind"], ["Node", "<empty>"]))
    if not target.get("name"):
        errors.append(FieldError.required("target.name"))
    if errors:
        raise Invalid.of(BINDINGS, name(binding), errors)


def _refuse_if_not_bindable(pod: Object, binding: Object) -> None:
    metadata, node = pod["metadata"], (pod.get("spec") or {}).get("nodeName")
    wanted_uid = (binding.get("metadata") or {}).get("uid")
    why = ""
    if wanted_uid and wanted_uid != metadata.get("uid"):
        why = f"Precondition failed: UID in precondition: {wanted_uid}, UID in object meta: {metadata.get('uid')}"
    elif metadata.get("deletionTimestamp"):
        why = f"pod {name(pod)} is being deleted, cannot be assigned to a host"
    elif node:
        why = f'pod {name(pod)} is already assigned to node "{node}"'
    elif pod["spec"].get("schedulingGates"):
        why = f"pod {name(pod)} has non-empty .spec.schedulingGates"
    if why:
        error = Conflict.of(PODS, name(pod), why)
        error.status["message"] = f'Operation cannot be fulfilled on pods/binding "{name(pod)}": {why}'
        error.status["details"]["kind"] = "pods/binding"
        raise error


def validate_eviction(eviction: Object, pod_name: str) -> None:
    """Raises: BadRequest when the Eviction names another Pod than the path."""
    if name(eviction) != pod_name:
        raise BadRequest("name in URL does not match name in Eviction object")


def marked_for_eviction(pod: Object, now: datetime) -> Object:
    """The Pod with the condition that tells controllers it was evicted, not failed. Written before the deletion."""
    marked = copy.deepcopy(pod)
    conditions = marked.setdefault("status", {}).setdefault("conditions", [])
    set_condition(conditions, {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                               "message": "Eviction API: evicting", "lastTransitionTime": rfc3339(now)}, now)
    return marked
