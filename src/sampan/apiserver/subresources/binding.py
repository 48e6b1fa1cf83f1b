"""``pods/binding``: the scheduler's one write.  It sets ``spec.nodeName`` once and the condition PodScheduled.

Upstream: ``pkg/registry/core/pod/storage/storage.go`` (BindingREST).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import BadRequest, Conflict, FieldError, Invalid
from sampan.api.http import Response
from sampan.api.resources import BINDINGS, PODS
from sampan.apiserver.body import read_object
from sampan.apiserver.call import Call
from sampan.apiserver.options import write_options
from sampan.apiserver.respond import object_response
from sampan.apiserver.write import modify, precondition

Object = dict[str, Any]


async def bind(call: Call) -> Response:
    """Raises: Conflict when the Pod has a node already, or is being deleted."""
    options = write_options(call.request, "CreateOptions")
    binding = read_object(call, options.field_validation, BINDINGS)
    metadata = binding.setdefault("metadata", {})
    name = call.name or metadata.get("name", "")
    if metadata.get("name") and metadata["name"] != name:
        raise BadRequest(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    check(binding, name)
    pods = replace(call, resource=PODS, info=replace(call.info, name=name, resource="pods", subresource="binding"))
    await modify(pods, lambda pod: bound(pod, binding), options)
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return object_response(call, status, 201)


def check(binding: Object, name: str) -> None:
    """Raises: Invalid."""
    target = binding.get("target") or {}
    errors = []
    if target.get("kind", "Node") not in ("", "Node"):
        errors.append(FieldError.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(FieldError.required("target.name", ""))
    if errors:
        raise Invalid.of(BINDINGS, name, errors)


def bound(pod: Object, binding: Object) -> Object:
    """The Pod on its node. Raises: Conflict."""
    name, node = meta.name(pod), binding["target"]["name"]
    uid = binding["metadata"].get("uid")
    if uid and uid != meta.uid(pod):
        raise Conflict.of(PODS, name, precondition("UID", uid, meta.uid(pod)))
    if meta.is_deleted(pod):
        raise Conflict.of(PODS, name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod["spec"]
    if spec.get("nodeName"):
        raise Conflict.of(PODS, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise Conflict.of(PODS, name, f"pod {name} has non-empty .spec.schedulingGates")
    annotations = {**meta.annotations(pod), **(binding["metadata"].get("annotations") or {})}
    metadata = {**pod["metadata"], "annotations": annotations} if annotations else {**pod["metadata"]}
    conditions = [{**condition} for condition in (pod.get("status") or {}).get("conditions") or ()]
    meta.set_condition(conditions, {"type": "PodScheduled", "status": "True"}, clock.now())
    status = {**(pod.get("status") or {}), "conditions": [
        {k: v for k, v in c.items() if c.get("type") != "PodScheduled" or k not in ("reason", "message")}
        for c in conditions
    ]}
    return {**pod, "metadata": metadata, "spec": {**spec, "nodeName": node}, "status": status}
