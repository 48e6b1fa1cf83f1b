"""From the bytes of a request to an object: media type (JSON, YAML, protobuf), the right kind, known fields.

Upstream: ``staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json``, ``endpoints/handlers/rest.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import body, meta, schema
from sampan.api.errors import ApiError, BadRequest, FieldError, Invalid, UnsupportedMediaType
from sampan.api.http import Request
from sampan.api.resources import Resource
from sampan.apiserver.call import Call
from sampan.apiserver.negotiation import JSON, PROTOBUF, YAML

Object = dict[str, Any]

_ACCEPTED = (JSON, YAML, PROTOBUF)


def media_type(request: Request) -> str:
    """JSON where the client says nothing. Raises: UnsupportedMediaType."""
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower() or JSON
    if media not in _ACCEPTED:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(_ACCEPTED)
        )
    return media


def read_object(call: Call, field_validation: str, resource: Resource | None = None) -> Object:
    """The body as an object of the call's resource (or another's, for subresources). Unknown fields become warnings.

    Raises: UnsupportedMediaType, BadRequest.
    """
    wanted = resource or call.resource
    media = media_type(call.request)
    if not call.request.body:
        raise BadRequest("the request has no body")
    type_ = schema.type_for(wanted.api_version, wanted.kind)
    if media == PROTOBUF:
        sent = identified(_of_protobuf(call.request.body, wanted.api_version, wanted.kind), wanted)
        obj, warnings = schema.decode(sent, type_, field_validation=field_validation)
    else:
        obj, warnings = schema.decode_body(
            call.request.body, type_, content_type=media, field_validation=field_validation
        )
    call.warnings += warnings
    return identified(obj, wanted)


def identified(obj: Object, wanted: Resource) -> Object:
    """With apiVersion and kind; absent ones are what the URL says. Raises: BadRequest."""
    version, kind = obj.setdefault("apiVersion", wanted.api_version), obj.setdefault("kind", wanted.kind)
    if kind != wanted.kind:
        raise BadRequest(f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {wanted.kind}: '
                         f"the kind in the data ({kind}) does not match the expected kind ({wanted.kind})")
    if version != wanted.api_version:
        raise BadRequest(f"the API version in the data ({version}) does not match the expected API version "
                         f"({wanted.api_version})")
    return obj


def parse_any(request: Request) -> Any:
    """The body as it is: patches and DeleteOptions. Raises: BadRequest."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == PROTOBUF:
        return _of_protobuf(request.body, "v1", "DeleteOptions")
    try:
        if body.is_yaml(request.headers.get("content-type", "")):
            return body.parse_yaml(request.body)[0]
        return body.parse_json(request.body)
    except body.BodyError as error:
        raise BadRequest(f"error decoding the body: {error}") from error


def _of_protobuf(data: bytes, api_version: str, kind: str) -> Object:
    """The object of a body; what it is called if the body does not say. Raises: BadRequest."""
    from sampan.api.protobuf.envelope import unwrap  # only who sends protobuf needs it
    from sampan.api.protobuf.wire import ProtobufError

    try:
        return unwrap(data, api_version, kind)
    except ProtobufError as error:
        raise BadRequest(f"unable to decode the protobuf body: {error}") from error


def patched(call: Call, obj: Object, resource: Resource, field_validation: str) -> Object:
    """The result of a patch, with only known fields. Raises: BadRequest, Invalid."""
    mistakes = _mistakes(obj, resource)
    if mistakes and field_validation == schema.STRICT:
        text = f"strict decoding error: {', '.join(mistakes)}"
        shown = call.request.body.decode("utf-8", "replace")
        error = Invalid(f' "" is invalid: patch: Invalid value: {shown}: {text}')
        error.status["details"] = {"causes": [FieldError.invalid("patch", shown, text).cause()]}
        raise error
    if field_validation == schema.WARN:
        call.warnings += mistakes
    return identified(obj, resource)


def applied(call: Call, obj: Object, resource: Resource) -> Object:
    """The body of a server-side apply: an unknown field has no owner, so it is always refused. Raises: ApiError."""
    mistakes = _mistakes(obj, resource)
    if mistakes:
        where = f"{call.namespace}/{meta.name(obj)}; {resource.api_version}, Kind={resource.kind}"
        why = ", ".join(f".{text.partition(chr(34))[2].rstrip(chr(34))}: field not declared in schema"
                        if text.startswith("unknown field") else text for text in mistakes)
        raise ApiError(f"failed to create typed patch object ({where}): {why}")
    return identified(obj, resource)


def _mistakes(obj: Object, resource: Resource) -> list[str]:
    try:
        return schema.mistakes_in(obj, schema.type_for(resource.api_version, resource.kind))
    except schema.DecodeError as error:
        raise BadRequest(str(error)) from error
