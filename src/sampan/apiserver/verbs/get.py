"""GET of one object: its stored bytes with the revision spliced in."""

from __future__ import annotations

from sampan.api.http import Response
from sampan.apiserver import options
from sampan.apiserver.call import Call
from sampan.apiserver.objects import too_large
from sampan.apiserver.respond import entry_response


async def get(call: Call) -> Response:
    """Raises: NotFound."""
    if call.request.query:
        check_resource_version(call)
    return entry_response(call, await call.server.objects.entry(call.resource, call.name, call.namespace))


def check_resource_version(call: Call) -> None:
    """``resourceVersion=N`` means "not older than N", and everything we read is the newest. Raises: Timeout."""
    asked = options.revision(call.request.param("resourceVersion"))
    current = call.server.objects.store.revision
    if asked > current:
        raise too_large(asked, current)
