"""Refusals: one exception per reason that callers branch on, each carrying a full ``Status`` object.

A handler raises; one boundary turns ``error.status`` into the response body.  A client turns the body back with
``ApiError.from_status``.  ``FieldError`` is one line of an ``Invalid``: its text and its entry in ``details.causes``.

Upstream: apimachinery/pkg/api/errors, apimachinery/pkg/util/validation/field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sampan.api.resources import Resource

Status = dict[str, Any]

_BODY = {
    "FieldValueNotFound": "Not found",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueTooFew": "Too few",
    "FieldValueTypeInvalid": "Invalid value",
    "FieldValueTooShort": "Too short",
    "InternalError": "Internal error",
}
#: For these the value is never shown: it is absent, or too long.
_WITHOUT_VALUE = {"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "FieldValueTooShort",
                  "InternalError"}


def quote(text: str) -> str:
    """Go's ``%q`` for what occurs in messages: double quotes, with quotes and control characters escaped."""
    return orjson.dumps(text).decode()


def _shown(value: Any) -> str:
    """A value as upstream prints it: scalars plain, strings quoted, the rest as JSON."""
    if isinstance(value, str):
        return quote(value)
    return orjson.dumps(value, default=str).decode()


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field. ``type`` is the cause's reason, such as ``FieldValueInvalid``."""

    type: str
    field: str
    detail: str = ""
    bad_value: Any = ""

    @classmethod
    def required(cls, field: str, detail: str = "") -> FieldError:
        return cls("FieldValueRequired", field, detail)

    @classmethod
    def invalid(cls, field: str, value: Any, detail: str) -> FieldError:
        return cls("FieldValueInvalid", field, detail, value)

    @classmethod
    def type_invalid(cls, field: str, value: Any, detail: str) -> FieldError:
        return cls("FieldValueTypeInvalid", field, detail, value)

    @classmethod
    def not_supported(cls, field: str, value: Any, supported: Iterable[str]) -> FieldError:
        listed = ", ".join(quote(s) for s in supported)
        return cls("FieldValueNotSupported", field, f"supported values: {listed}" if listed else "", value)

    @classmethod
    def not_found(cls, field: str, value: Any) -> FieldError:
        return cls("FieldValueNotFound", field, "", value)

    @classmethod
    def duplicate(cls, field: str, value: Any) -> FieldError:
        return cls("FieldValueDuplicate", field, "", value)

    @classmethod
    def forbidden(cls, field: str, detail: str) -> FieldError:
        return cls("FieldValueForbidden", field, detail)

    @classmethod
    def too_long(cls, field: str, value: Any, max: int) -> FieldError:
        del value  # never shown: it may be megabytes
        return cls("FieldValueTooLong", field, f"may not be more than {max} byte{'' if max == 1 else 's'}")

    @classmethod
    def too_many(cls, field: str, count: int, max: int) -> FieldError:
        return cls("FieldValueTooMany", field, f"must have at most {max} item{'' if max == 1 else 's'}", count)

    @classmethod
    def internal(cls, field: str, detail: str) -> FieldError:
        return cls("InternalError", field, detail)

    @property
    def body(self) -> str:
        """The message without the field's name."""
        text = _BODY[self.type]
        if self.type not in _WITHOUT_VALUE:
            text += f": {_shown(self.bad_value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def cause(self) -> dict[str, str]:
        """The entry for ``details.causes``."""
        return {"reason": self.type, "message": self.body, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def aggregate(errors: Iterable[object]) -> str:
    """Several errors as one text: equal ones once, ``[a, b]`` when more than one."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


class ApiError(Exception):
    """A refused request. ``code`` is the HTTP code, ``reason`` the machine-readable word, ``status`` the body."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str = "", *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status: Status = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": self.reason,
        }
        if details:
            self.status["details"] = details
        self.status["code"] = self.code

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))

    @property
    def causes(self) -> Sequence[dict[str, str]]:
        causes: Sequence[dict[str, str]] = (self.status.get("details") or {}).get("causes") or ()
        return causes

    @property
    def retry_after_seconds(self) -> int:
        """When to try again, 0 for unsaid; the server sends it as the ``Retry-After`` header as well."""
        return int((self.status.get("details") or {}).get("retryAfterSeconds") or 0)

    @classmethod
    def from_status(cls, status: Status) -> ApiError:
        """The exception for a ``Status`` body: by its reason, else by its code."""
        reason, code = str(status.get("reason") or ""), int(status.get("code") or 500)
        kind = _BY_REASON.get(reason) or _BY_CODE.get(code, ApiError)
        error = kind.__new__(kind)
        Exception.__init__(error, str(status.get("message") or reason or f"status code {code}"))
        error.status, error.code, error.reason = status, code, reason
        return error


def _details(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return details | {"kind": resource.plural} | more


class NotFound(ApiError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, resource: Resource, name: str) -> NotFound:
        return cls(f"{resource.group_resource} {quote(name)} not found", details=_details(resource, name))


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, resource: Resource, name: str) -> AlreadyExists:
        return cls(f"{resource.group_resource} {quote(name)} already exists", details=_details(resource, name))

    @classmethod
    def generated(cls, resource: Resource, name: str) -> AlreadyExists:
        """For ``generateName``: the random name was taken, the client may simply try again."""
        return cls(f"{resource.group_resource} {quote(name)} already exists, the server was not able to generate "
                   "a unique name for the object", details=_details(resource, name, retryAfterSeconds=1))


class Conflict(ApiError):
    code, reason = 409, "Conflict"
    MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"

    @classmethod
    def of(cls, resource: Resource, name: str, why: str = MODIFIED) -> Conflict:
        return cls(f"Operation cannot be fulfilled on {resource.group_resource} {quote(name)}: {why}",
                   details=_details(resource, name))


class Expired(ApiError):
    code, reason = 410, "Expired"


class Invalid(ApiError):
    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, resource: Resource, name: str, causes: Sequence[FieldError]) -> Invalid:
        kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        text = f"{kind} {quote(name)} is invalid"
        details = _details(resource, name, causes=[error.cause() for error in causes]) | {"kind": resource.kind}
        return cls(f"{text}: {aggregate(causes)}" if causes else text, details=details)


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"

    @classmethod
    def of(cls, resource: Resource, name: str, why: str) -> Forbidden:
        whom = f"{resource.group_resource} {quote(name)}" if name else resource.group_resource
        return cls(f"{whom} is forbidden: {why}", details=_details(resource, name))


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"

    @classmethod
    def of(cls, resource: Resource, verb: str) -> MethodNotAllowed:
        return cls(f"{verb} is not supported on resources of kind {quote(resource.group_resource)}",
                   details=_details(resource, ""))


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"

    def __init__(self, message: str, retry_after_seconds: int = 0, causes: Sequence[dict[str, str]] = ()) -> None:
        details: dict[str, Any] = {"causes": list(causes)} if causes else {}
        if retry_after_seconds:
            details["retryAfterSeconds"] = retry_after_seconds
        super().__init__(message, details=details)


class InternalError(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(f"Internal error occurred: {message}", details={"causes": [{"message": message}]})


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"

    def __init__(self, message: str, retry_after_seconds: int = 0) -> None:
        details = {"retryAfterSeconds": retry_after_seconds} if retry_after_seconds else None
        super().__init__(f"Timeout: {message}", details=details)


_KINDS: tuple[type[ApiError], ...] = (
    NotFound, Conflict, AlreadyExists, Expired, Invalid, Forbidden, Unauthorized, BadRequest, MethodNotAllowed,
    NotAcceptable, RequestEntityTooLarge, UnsupportedMediaType, TooManyRequests, InternalError, ServiceUnavailable,
    Timeout,
)
_BY_REASON: dict[str, type[ApiError]] = {kind.reason: kind for kind in _KINDS} | {"Gone": Expired}
_BY_CODE: dict[int, type[ApiError]] = {kind.code: kind for kind in reversed(_KINDS)}  # 409 alone means Conflict
