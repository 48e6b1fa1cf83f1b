"""Answers: stored bytes as they are where possible, else as Table, metadata only, YAML, protobuf, or indented.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`` and ``response.go``.
"""

from __future__ import annotations

from typing import Any

import orjson

from sampan.api.encoding import with_revision
from sampan.api.errors import ApiError
from sampan.api.http import Request, Response
from sampan.apiserver import table
from sampan.apiserver.call import Call
from sampan.apiserver.negotiation import JSON, PLAIN, PROTOBUF, YAML, Output
from sampan.apiserver.objects import decode
from sampan.store.base import Entry

Object = dict[str, Any]

_HUMANS = ("curl/", "Wget/", "Mozilla/")


def entry_response(call: Call, entry: Entry, status: int = 200) -> Response:
    """One stored object; not decoded unless the client wants another form."""
    output = call.output()
    as_stored = output is PLAIN or (output.media == JSON and not output.transform)
    if as_stored and not call.kind.converted and not wants_indent(call.request):
        return Response(status, {"Content-Type": JSON}, with_revision(entry.value, entry.revision))
    return object_response(call, decode(call.resource, entry), status)


def object_response(call: Call, obj: Object, status: int = 200) -> Response:
    """One object that exists as a dict: of the call's own resource, or a ``Scale``, ``Status`` or the like."""
    output = call.output()
    if output.transform == "Table":
        if obj.get("kind") == call.resource.kind:
            obj = table.of_objects(call, [obj], output.version, obj["metadata"].get("resourceVersion", ""))
    elif output.transform:
        obj = partial_metadata(obj, output.version)
    return dict_response(call.request, obj, status, output)


def partial_metadata(obj: Object, version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def dict_response(request: Request, obj: Object, status: int = 200, output: Output = PLAIN) -> Response:
    """Any JSON value, in the asked media type."""
    if output.media == YAML:
        return Response(status, {"Content-Type": YAML}, to_yaml(obj))
    if output.media == PROTOBUF:
        from sampan.apiserver import protobuf_answer  # seldom asked for

        return Response(status, {"Content-Type": PROTOBUF}, protobuf_answer.whole(obj))
    body = orjson.dumps(obj, option=orjson.OPT_INDENT_2 if wants_indent(request) else None)
    return Response(status, {"Content-Type": JSON}, body)


def wants_indent(request: Request) -> bool:
    """``?pretty=1``, or somebody looks at it with curl or a browser."""
    if request.query:
        pretty = request.param("pretty")
        if pretty:
            return pretty.lower() in ("1", "true")
    return request.headers.get("user-agent", "").startswith(_HUMANS)


def to_yaml(obj: Object) -> bytes:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(obj, Dumper=dumper, default_flow_style=False, allow_unicode=True)
    return text.encode()


def error_response(error: ApiError, request: Request | None = None) -> Response:
    """The ``Status`` body of a refusal; 429 and 503 say when to come back."""
    headers = {"Content-Type": JSON}
    if error.retry_after_seconds:
        headers["Retry-After"] = str(error.retry_after_seconds)
    indent = orjson.OPT_INDENT_2 if request is not None and wants_indent(request) else None
    return Response(error.code, headers, orjson.dumps(error.status, option=indent))


def success(details: Object) -> Object:
    """The ``Status`` of a delete that leaves no object to show."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def warning_headers(warnings: list[str]) -> list[str]:
    """One ``299 - "text"`` for each distinct warning."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
               for text in dict.fromkeys(warnings))
    return [f'299 - "{text}"' for text in escaped]
