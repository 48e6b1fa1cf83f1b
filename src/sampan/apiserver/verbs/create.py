"""POST to a collection: a new object, or the answer of a resource that is a question (reviews)."""

from __future__ import annotations

from sampan.api.http import Response
from sampan.apiserver.body import read_object
from sampan.apiserver.call import Call
from sampan.apiserver.options import write_options
from sampan.apiserver.respond import entry_response, object_response
from sampan.apiserver.write import Written, create_object, identify


async def create(call: Call) -> Response:
    """Raises: AlreadyExists, Invalid, ApiError."""
    options = write_options(call.request, "CreateOptions")
    obj = read_object(call, options.field_validation)
    if call.kind.virtual:
        identify(call, obj)
        context = call.context(options.as_object(), dry_run=options.dry_run)
        return object_response(call, await call.kind.answer(obj, context), 201)
    call.kind.default(obj)
    return written_response(call, await create_object(call, obj, options))


def written_response(call: Call, written: Written) -> Response:
    """The object as it is now, or as a dry run would have left it."""
    status = 201 if written.created else 200
    if written.entry is None:
        return object_response(call, written.obj, status)
    return entry_response(call, written.entry, status)
