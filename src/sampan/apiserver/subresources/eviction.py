"""``pods/eviction``: please go.  What ``kubectl drain`` uses; a deletion that a PodDisruptionBudget may refuse.

There are no PodDisruptionBudgets yet, so an eviction is a deletion with the eviction's own options.

Upstream: ``pkg/registry/core/pod/storage/eviction.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sampan.api.errors import BadRequest
from sampan.api.http import Response
from sampan.api.resources import Resource
from sampan.apiserver import delete_options
from sampan.apiserver.body import read_object
from sampan.apiserver.call import Call
from sampan.apiserver.options import write_options
from sampan.apiserver.respond import object_response
from sampan.apiserver.verbs.delete import delete_object

Object = dict[str, Any]

EVICTIONS = Resource("policy", "v1", "evictions", "Eviction")


async def evict(call: Call) -> Response:
    """Raises: NotFound, Conflict, BadRequest."""
    options = write_options(call.request, "CreateOptions")
    eviction = read_object(call, options.field_validation, EVICTIONS)
    name = (eviction.get("metadata") or {}).get("name") or call.name
    if name != call.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    wanted = delete_options.read(eviction.get("deleteOptions") or {})
    if options.dry_run:
        wanted = replace(wanted, dry_run=True)
    pods = replace(call, info=replace(call.info, subresource=""))
    await delete_object(pods, call.name, wanted)
    return object_response(call, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                                  "code": 201}, 201)
