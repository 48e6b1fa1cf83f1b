"""PATCH: json, merge, strategic merge, or server-side apply.

The patch is applied to the object as it is; if somebody else writes meanwhile it is applied again to the newer one, so
a patch conflicts only when it names a resourceVersion itself.  An apply may create the object.

Upstream: ``endpoints/handlers/patch.go``; KEP-555 (server-side apply).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sampan.api import apply, clock, jsonpatch, mergepatch, schema, strategicpatch
from sampan.api.errors import BadRequest, Conflict, NotFound, UnsupportedMediaType
from sampan.api.http import Response
from sampan.api.resources import Resource
from sampan.apiserver.body import applied, parse_any, patched
from sampan.apiserver.call import Call
from sampan.apiserver.options import WriteOptions, write_options
from sampan.apiserver.verbs.create import written_response
from sampan.apiserver.write import Written, create_object, modify

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
SERVED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


@dataclass(frozen=True, slots=True)
class Patch:
    media: str
    value: Any


async def patch(call: Call) -> Response:
    """Raises: NotFound, Conflict, Invalid, ApiError."""
    wanted = patch_of(call)
    applying = wanted.media == APPLY_PATCH
    options = write_options(call.request, "PatchOptions", applying)
    operation = "Apply" if applying else "Update"

    def make(old: Object) -> Object:
        obj = apply_patch(call, wanted, old, options, call.resource)
        if not obj["metadata"].get("resourceVersion"):
            obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        call.kind.default(obj)
        return obj

    try:
        return written_response(call, await modify(call, make, options, operation=operation))
    except NotFound:
        if not applying or call.subresource:
            raise
    return written_response(call, await _create(call, wanted, options))


def patch_of(call: Call) -> Patch:
    """The body, parsed. Raises: UnsupportedMediaType, BadRequest."""
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in SERVED:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(SERVED)
        )
    value = parse_any(call.request)
    if media == JSON_PATCH:
        if not isinstance(value, list):
            raise BadRequest("error decoding patch: json patch must be a list of operations")
    elif not isinstance(value, dict):
        raise BadRequest("error decoding patch: the patch must be an object")
    if media == APPLY_PATCH:
        _check_applied(call, value)
    return Patch(media, value)


def _check_applied(call: Call, body: Object) -> None:
    """Raises: BadRequest."""
    metadata = body.setdefault("metadata", {})
    if metadata.get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    if metadata.setdefault("name", call.name) != call.name:
        raise BadRequest(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.name})"
        )
    if call.namespace and metadata.setdefault("namespace", call.namespace) != call.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def apply_patch(call: Call, wanted: Patch, old: Object, options: WriteOptions, resource: Resource) -> Object:
    """``old`` with the patch, as a fresh object with only known fields. Raises: ApiError."""
    type_ = schema.type_for(resource.api_version, resource.kind)
    if wanted.media == APPLY_PATCH:
        return apply.apply_patch(
            old, applied(call, wanted.value, resource), type_, options.field_manager, options.force, clock.now(),
            call.subresource,
        )
    if wanted.media == JSON_PATCH:
        result = jsonpatch.apply(old, wanted.value)
    elif wanted.media == MERGE_PATCH:
        result = mergepatch.apply(old, wanted.value)
    else:
        result = strategicpatch.apply(old, wanted.value, type_)
    if not isinstance(result, dict):
        raise BadRequest("the patched value is not an object")
    result.setdefault("metadata", {})
    return patched(call, result, resource, options.field_validation)


async def _create(call: Call, wanted: Patch, options: WriteOptions) -> Written:
    """Apply of a name that is not there yet; needs the right to create, too."""
    body = applied(call, wanted.value, call.resource)
    if body["metadata"].get("resourceVersion"):
        raise Conflict.of(call.resource, call.name)
    if uid := body["metadata"].get("uid"):
        raise Conflict.of(call.resource, call.name, f"uid mismatch: the provided object specified uid {uid}, and no "
                          "existing object was found")
    call.server.authorize_create(call)
    type_ = schema.type_for(call.resource.api_version, call.resource.kind)
    obj = apply.apply_patch(None, body, type_, options.field_manager, options.force, clock.now(), "")
    call.kind.default(obj)
    return await create_object(call, obj, options, operation="Apply")


