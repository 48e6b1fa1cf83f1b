"""``deployments/scale``: a workload as a number, so that ``kubectl scale`` and autoscalers need not know its kind.

Upstream: ``pkg/registry/apps/deployment/storage`` (ScaleREST).
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import FieldError, Invalid
from sampan.api.http import Response
from sampan.api.resources import Resource
from sampan.api.selectors import from_label_selector
from sampan.apiserver.body import read_object
from sampan.apiserver.call import Call
from sampan.apiserver.objects import decode
from sampan.apiserver.options import write_options
from sampan.apiserver.respond import object_response
from sampan.apiserver.verbs.patch import apply_patch, patch_of
from sampan.apiserver.write import check_identity, modify

Object = dict[str, Any]

SCALES = Resource("autoscaling", "v1", "scales", "Scale")
_SHOWN_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


async def get(call: Call) -> Response:
    entry = await call.server.objects.entry(call.resource, call.name, call.namespace)
    return object_response(call, to_scale(decode(call.resource, entry)))


async def update(call: Call) -> Response:
    options = write_options(call.request, "UpdateOptions")
    scale = read_object(call, options.field_validation, SCALES)

    def make(old: Object) -> Object:
        check_identity(call, {"metadata": scale.get("metadata") or {}}, old)
        return with_replicas(old, scale)

    return object_response(call, to_scale((await modify(call, make, options)).obj))


async def patch(call: Call) -> Response:
    options = write_options(call.request, "PatchOptions")
    wanted = patch_of(call)

    def make(old: Object) -> Object:
        scale = apply_patch(call, wanted, to_scale(old), options, SCALES)
        check_identity(call, scale, old)
        return with_replicas(old, scale)

    return object_response(call, to_scale((await modify(call, make, options)).obj))


def to_scale(obj: Object) -> Object:
    """The Scale of a Deployment or ReplicaSet."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return {
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {key: obj["metadata"][key] for key in _SHOWN_METADATA if key in obj["metadata"]},
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
        "status": {"replicas": status.get("replicas", 0), "selector": str(from_label_selector(spec.get("selector")))},
    }


def with_replicas(obj: Object, scale: Object) -> Object:
    """The workload with the Scale's number; ``obj`` is not changed. Raises: Invalid."""
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        error = FieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise Invalid.of(SCALES, meta.name(obj), [error])
    return {**obj, "metadata": {**obj["metadata"]}, "spec": {**obj["spec"], "replicas": replicas}}
