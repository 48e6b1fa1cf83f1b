"""Talking to the kernel: netlink requests, and nothing else.

A netlink message is a 16 byte header, a fixed struct, and attributes (type, length, value, padded to 4 bytes) that
may nest.  This file knows only that framing, for rtnetlink (links, addresses, routes) as for nfnetlink (conntrack).

pyroute2 does the same and far more, but takes 200 ms and 13 MB to import, a fifth of what ``sampan up`` has in all;
this needs the standard library's ``socket`` and ``struct`` (docs/decisions/2026-11-22-own-netlink.md).

A socket belongs for ever to the network namespace it was opened in, whoever uses it later: to act inside another
namespace it is enough to open the socket there (``netns.py``).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

F_REQUEST, F_ACK, F_DUMP = 0x1, 0x4, 0x300
F_REPLACE, F_EXCL, F_CREATE = 0x100, 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

_HEADER = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")
_RECEIVE_BYTES = 256 * 1024


class Message(NamedTuple):
    """One request or answer: its type, its flags and what follows the header."""

    kind: int
    flags: int
    body: bytes


def attr(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    length = 4 + len(value)
    return _ATTR.pack(length, kind) + value + bytes(-length % 4)


def nested(kind: int, *children: bytes) -> bytes:
    return attr(kind | NLA_F_NESTED, b"".join(children))


def text(kind: int, value: str) -> bytes:
    return attr(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    return attr(kind, struct.pack("=I", value))


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in ``data`` by type; nested ones are left as bytes for another call."""
    found = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTR.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += length + (-length % 4)
    return found


class Netlink:
    """A blocking netlink socket. Not for use by two threads at a time."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def apply(self, messages: Iterable[Message]) -> list[OSError | None]:
        """Send all messages in one system call; the outcome of each, in order. Raises nothing for a refused one."""
        first = self._sequence + 1
        parts = [self._frame(m.kind, m.flags | F_REQUEST | F_ACK, m.body) for m in messages]
        outcomes: list[OSError | None] = [None] * len(parts)
        self._socket.send(b"".join(parts))
        waiting = len(parts)
        while waiting:
            for kind, sequence, body in self._receive():
                if kind == NLMSG_ERROR and 0 <= sequence - first < len(parts):
                    outcomes[sequence - first] = _error(body)
                    waiting -= 1
        return outcomes

    def request(self, *messages: Message, ignore: tuple[int, ...] = ()) -> None:
        """Send and expect success. Raises: the first OSError whose errno is not in ``ignore``."""
        for outcome in self.apply(messages):
            if outcome is not None and outcome.errno not in ignore:
                raise outcome

    def dump(self, kind: int, body: bytes) -> Iterator[Message]:
        """Everything the kernel has of one sort (F_DUMP), as answers come in."""
        self._socket.send(self._frame(kind, F_REQUEST | F_DUMP, body))
        while True:
            for answer, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if answer == NLMSG_DONE:
                    return
                self._raise_if_error(answer, payload)
                yield Message(answer, 0, payload)

    def get(self, kind: int, body: bytes) -> Message:
        """One object. Raises: OSError (ENODEV, ENOENT, …) when there is none."""
        self._socket.send(self._frame(kind, F_REQUEST, body))
        while True:
            for answer, sequence, payload in self._receive():
                if sequence == self._sequence:
                    self._raise_if_error(answer, payload)
                    return Message(answer, 0, payload)

    def _frame(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        return _HEADER.pack(16 + len(body), kind, flags, self._sequence, 0) + body + bytes(-len(body) % 4)

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(_RECEIVE_BYTES)
        offset = 0
        while offset + 16 <= len(data):
            length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
            yield kind, sequence, data[offset + 16 : offset + length]
            offset += length + (-length % 4)

    @staticmethod
    def _raise_if_error(kind: int, body: bytes) -> None:
        if kind == NLMSG_ERROR and (error := _error(body)) is not None:
            raise error


def _error(body: bytes) -> OSError | None:
    code = -struct.unpack_from("=i", body)[0]
    return OSError(code, os.strerror(code)) if code else None
