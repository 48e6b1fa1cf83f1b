"""Times: RFC 3339 in JSON, seconds since 1970 (and nanoseconds, for MicroTime) in protobuf."""

from __future__ import annotations

from datetime import datetime, timedelta

from sampan.api import clock
from sampan.api.protobuf.wire import VARINT, tag, varint

_EPOCH = datetime(1970, 1, 1)  # UTC throughout; without a zone isoformat adds no offset
_SECONDS, _NANOS = tag(1, VARINT), tag(2, VARINT)


def time(seconds: int) -> str:
    """Raises: OverflowError for a year beyond 9999."""
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat(timespec='seconds')}Z"


def micro_time(seconds: int, nanos: int) -> str:
    """Raises: OverflowError."""
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    return f"{moment.isoformat(timespec='microseconds')}Z"


def encode(text: str) -> bytes:
    """Of both forms; Time has no fraction to begin with. Raises: ValueError."""
    since = clock.parse(text).replace(tzinfo=None) - _EPOCH
    nanos = since.microseconds * 1000
    return b"".join((_SECONDS, varint(since.days * 86400 + since.seconds), _NANOS, varint(nanos)))
