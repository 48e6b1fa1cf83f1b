"""DELETE of a collection: each selected object is deleted on its own; the answer is the list of them.

Some are deleted at a time, because writes that come together share one commit of the store.

Upstream: ``registry/generic/registry/store.go`` (DeleteCollection).
"""

from __future__ import annotations

import asyncio
from typing import Any

from sampan.api import meta
from sampan.api.errors import NotFound
from sampan.api.http import Response
from sampan.apiserver.call import Call
from sampan.apiserver.delete_options import DeleteOptions, delete_options
from sampan.apiserver.objects import decode
from sampan.apiserver.respond import dict_response
from sampan.apiserver.selection import selection
from sampan.apiserver.verbs.delete import delete_object
from sampan.apiserver.verbs.list import find, list_options

Object = dict[str, Any]

TOGETHER = 32


async def deletecollection(call: Call) -> Response:
    """What disappears meanwhile counts as deleted. Raises: ApiError."""
    wanted = delete_options(call.request)
    listed = await find(call, selection(call), list_options(call))
    deleted: list[Object] = []
    for start in range(0, len(listed.entries), TOGETHER):
        objs = [decode(call.resource, entry) for entry in listed.entries[start:start + TOGETHER]]
        gone = await asyncio.gather(*(_delete(call, obj, wanted) for obj in objs))
        deleted += [obj for obj, was_there in zip(objs, gone, strict=True) if was_there]
    resource = call.resource
    answer = {
        "kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": listed.metadata(), "items": deleted,
    }
    return dict_response(call.request, answer, 200, call.output(transforms=False))


async def _delete(call: Call, obj: Object, wanted: DeleteOptions) -> bool:
    """False if it was gone already."""
    try:
        await delete_object(call, meta.name(obj), wanted)
    except NotFound:
        return False
    return True
