"""PUT of an object, or of one of its subresources ``status``, ``finalize``, ``ephemeralcontainers``, ``resize``."""

from __future__ import annotations

from typing import Any

from sampan.api.errors import BadRequest, Conflict, NotFound
from sampan.api.http import Response
from sampan.apiserver.body import read_object
from sampan.apiserver.call import Call
from sampan.apiserver.options import WriteOptions, write_options
from sampan.apiserver.verbs.create import written_response
from sampan.apiserver.write import Written, create_object, modify

Object = dict[str, Any]


async def update(call: Call) -> Response:
    """Raises: NotFound, Conflict, Invalid, ApiError."""
    options = write_options(call.request, "UpdateOptions")
    first: Object | None = fresh(call, options)

    def make(old: Object) -> Object:
        # prepare_for_update changes the object in place, so a second attempt starts from the bytes again
        nonlocal first
        obj, first = first or fresh(call, options), None
        inherit_version(call, obj, old)
        return obj

    try:
        return written_response(call, await modify(call, make, options))
    except NotFound:
        if not call.kind.create_on_update or call.subresource:
            raise
    return written_response(call, await _create(call, fresh(call, options), options))


def fresh(call: Call, options: WriteOptions) -> Object:
    """The body as an object with defaults, checked against the URL. Raises: BadRequest."""
    obj = read_object(call, options.field_validation)
    metadata = obj.setdefault("metadata", {})
    name = metadata.get("name") or ""
    if name and name != call.name:
        raise BadRequest(
            f"the name of the object ({name}) does not match the name on the URL ({call.name})"
        )
    if not name:
        raise BadRequest(f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided")
    if call.namespace and metadata.setdefault("namespace", call.namespace) != call.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    call.kind.default(obj)
    return obj


def inherit_version(call: Call, obj: Object, old: Object) -> None:
    """No resourceVersion in a PUT means: whatever is there now."""
    if not obj["metadata"].get("resourceVersion"):
        obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]


async def _create(call: Call, obj: Object, options: WriteOptions) -> Written:
    """PUT of a name that is not there yet, for the few kinds that allow it; needs the right to create, too."""
    if obj["metadata"].pop("resourceVersion", None):
        raise Conflict.of(call.resource, call.name)
    call.server.authorize_create(call)
    return await create_object(call, obj, options)
