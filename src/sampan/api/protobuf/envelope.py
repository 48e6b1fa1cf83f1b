"""What is sent: four bytes of magic, then a message with the kind and, as bytes, the object.

``unwrap`` and ``wrap`` are the way into this package.

Upstream: ``staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf``, ``runtime.Unknown``.
"""

from __future__ import annotations

from typing import Any

from sampan.api.protobuf import decode, encode, table
from sampan.api.protobuf.wire import LENGTH, MAGIC, ProtobufError, block, read_varint, skip

Object = dict[str, Any]
_TYPE_META, _RAW, _ENCODING = 1, 2, 3
_API_VERSION, _KIND = 1, 2


def unwrap(data: bytes, api_version: str = "", kind: str = "", *, depth: int = 0) -> Object:
    """The object of a body, with apiVersion and kind, those given where the body has none.

    Raises: ProtobufError.
    """
    if not data.startswith(MAGIC):
        raise ProtobufError("the provided data does not appear to be a protobuf message, expected prefix "
                            f"[{' '.join(map(str, MAGIC))}]")
    try:
        outer = _blocks(data, len(MAGIC), len(data))
        if outer.get(_ENCODING):
            raise ProtobufError(f"contentEncoding {outer[_ENCODING].decode()!r} is not supported")
        named = _blocks(outer.get(_TYPE_META, b""), 0, len(outer.get(_TYPE_META, b"")))
        api_version = named.get(_API_VERSION, b"").decode() or api_version
        kind = named.get(_KIND, b"").decode() or kind
        raw = outer.get(_RAW, b"")
        return decode.message(table.message_of(api_version, kind), raw, 0, len(raw), depth,
                              {"apiVersion": api_version, "kind": kind})
    except ProtobufError:
        raise
    except IndexError:
        raise ProtobufError("unexpected EOF") from None
    except (ValueError, OverflowError) as error:  # texts that are no UTF-8, raw JSON that is none, year 10000
        raise ProtobufError(str(error)) from error


def _blocks(data: bytes, position: int, end: int) -> dict[int, bytes]:
    """The fields that are bytes, by number; all others are skipped."""
    found = {}
    while position < end:
        tag, position = read_varint(data, position)
        if tag & 7 != LENGTH:
            position = skip(data, position, tag & 7)
            continue
        length, position = read_varint(data, position)
        found[tag >> 3] = data[position:position + length]
        position += length
    if position != end:
        raise ProtobufError("unexpected EOF")
    return found


def wrap(obj: Object, api_version: str = "", kind: str = "") -> bytes:
    """The bytes of an object that names its kind, or is told it.

    Raises: ProtobufError.
    """
    api_version, kind = obj.get("apiVersion") or api_version, obj.get("kind") or kind
    return seal(api_version, kind, raw(table.message_of(api_version, kind), obj))


def raw(message: str, obj: Object) -> bytes:
    """The bytes of a message, with nothing around them. Raises: ProtobufError."""
    try:
        return encode.message(message, obj)
    except (TypeError, ValueError, AttributeError) as error:
        raise ProtobufError(f"{message} can not hold this: {error}") from error


def seal(api_version: str, kind: str, raw: bytes) -> bytes:
    """The envelope around a message's bytes."""
    named = block(_API_VERSION, api_version.encode()) + block(_KIND, kind.encode())
    # Go ends with two empty texts, contentEncoding and contentType; they are what readers assume
    return b"".join((MAGIC, block(_TYPE_META, named), block(_RAW, raw), block(_ENCODING, b""), block(4, b"")))
