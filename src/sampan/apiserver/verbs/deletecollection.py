"""DELETE of a collection: each selected object is deleted on its own; the answer is the list of them.

Upstream: ``registry/generic/registry/store.go`` (DeleteCollection).
"""

from __future__ import annotations

from sampan.api import meta
from sampan.api.errors import NotFound
from sampan.api.http import Response
from sampan.apiserver.call import Call
from sampan.apiserver.delete_options import delete_options
from sampan.apiserver.objects import decode
from sampan.apiserver.respond import dict_response
from sampan.apiserver.selection import selection
from sampan.apiserver.verbs.delete import delete_object
from sampan.apiserver.verbs.list import find, list_options


async def deletecollection(call: Call) -> Response:
    """What disappears meanwhile counts as deleted. Raises: ApiError."""
    wanted = delete_options(call.request)
    listed = await find(call, selection(call), list_options(call))
    deleted = []
    for entry in listed.entries:
        obj = decode(call.resource, entry)
        try:
            await delete_object(call, meta.name(obj), wanted)
        except NotFound:
            continue
        deleted.append(obj)
    resource = call.resource
    answer = {
        "kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": listed.metadata(), "items": deleted,
    }
    return dict_response(call.request, answer, 200, call.output(transforms=False))
