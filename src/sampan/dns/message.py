"""DNS on the wire, as far as a server needs it. Pure.

Queries are read by hand, and answers are put together from bytes prepared beforehand: a general library takes 100 µs
to take a query apart, this 3 µs, and an answer is one join.  A name stays in its wire form (length, label, …, 0)
all the way; lower-casing that is safe because a length is below 64 and ``A`` is 65.

RFC 1035, RFC 6891 (EDNS), RFC 2308 (negative answers).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
QR, AA, TC, RD, RA, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0010

MAX_UDP_BYTES = 1232  # what we announce: fits any path without fragments (DNS flag day 2020)
_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
_OPT_REPLY = b"\0" + struct.pack(">HHIH", OPT, MAX_UDP_BYTES, 0, 0)
QUESTION_NAME = b"\xc0\x0c"  # a pointer to the name in the question


class BadQuery(Exception):
    """Not a query that can be answered; ``code`` is the reply's, None where silence is better."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Query:
    """One question. ``name`` is lower-cased wire form; ``question`` is the section as it came, to be sent back."""

    id: int
    flags: int
    name: bytes
    type: int
    question: bytes
    edns: bool = False
    udp_bytes: int = 512


def parse_query(data: bytes) -> Query:
    """Raises: BadQuery."""
    if len(data) < 12:
        raise BadQuery(None)
    id_, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
    if flags & QR:
        raise BadQuery(None)  # answering an answer could go on for ever
    if flags & 0x7800:
        raise BadQuery(NOTIMP)
    if questions != 1 or answers or authorities:
        raise BadQuery(FORMERR)
    end = _end_of_plain_name(data, 12)
    if end + 4 > len(data):
        raise BadQuery(FORMERR)
    kind, class_ = data[end] << 8 | data[end + 1], data[end + 2] << 8 | data[end + 3]
    if class_ != IN:
        raise BadQuery(REFUSED)
    end += 4
    # The OPT record (EDNS) is the only additional one that is common: root name, type 41, class = the UDP size.
    edns = additional > 0 and data[end : end + 3] == b"\0\0\x29" and len(data) >= end + 11
    size = max(512, min(data[end + 3] << 8 | data[end + 4], 4096)) if edns else 512
    return Query(id_, flags, data[12 : end - 4].lower(), kind, data[12:end], edns, size)


def record(name: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    return name + _RECORD.pack(kind, IN, ttl, len(data)) + data


def reply(query: Query, code: int, answers: Sequence[bytes], authority: Sequence[bytes] = (),
          additional: Sequence[bytes] = (), *, authoritative: bool = True, max_bytes: int = 65535) -> bytes:
    """The whole reply; what does not fit is left out and, among the answers, announced by the bit TC."""
    flags = QR | RA | (query.flags & (RD | CD)) | code | (AA if authoritative else 0)
    opt = _OPT_REPLY if query.edns else b""
    sections = (b"".join(answers), b"".join(authority), b"".join(additional))
    counts = len(answers), len(authority), len(additional) + query.edns
    if 12 + len(query.question) + sum(map(len, sections)) + len(opt) > max_bytes:
        room = max_bytes - 12 - len(query.question) - len(opt)
        kept, size = _fitting(answers, room)
        flags |= TC if kept < len(answers) else 0
        extra, _ = _fitting(additional, room - size) if kept == len(answers) else (0, 0)
        sections = (b"".join(answers[:kept]), b"", b"".join(additional[:extra]))
        counts = kept, 0, extra + query.edns
    return b"".join((_HEADER.pack(query.id, flags, 1, *counts), query.question, *sections, opt))


def refusal(data: bytes, code: int) -> bytes:
    """A reply to what could not be parsed: the header alone."""
    id_, flags = struct.unpack_from(">HH", data)
    return _HEADER.pack(id_, QR | (flags & (0x7800 | RD)) | code, 0, 0, 0, 0)


def truncated(query: Query) -> bytes:
    """Nothing but the advice to ask again by TCP."""
    return _HEADER.pack(query.id, QR | RA | TC | (query.flags & RD), 1, 0, 0, 0) + query.question


def for_query(found: bytes, query: Query) -> bytes:
    """A message from elsewhere as the reply to this query: its id, its spelling of the name, EDNS only if asked for."""
    flags, questions, *_ = sections(found)
    flags = QR | RA | (flags & (0xF | TC)) | (query.flags & (RD | CD))
    body = found[12 + len(query.question) :]
    counts = list(sections(found)[2:])
    if not query.edns and counts[2]:
        counts[2], body = _without_opt(body, counts[2])
    return _HEADER.pack(query.id, flags, questions, *counts) + query.question + body


def question(name: bytes, kind: int, id_: int) -> bytes:
    """A query of our own, with EDNS."""
    return _HEADER.pack(id_, RD, 1, 0, 0, 1) + name + struct.pack(">HH", kind, IN) + _OPT_REPLY


def wire_name(name: str) -> bytes:
    """``web.default`` -> ``\\3web\\7default\\0``, lower case. Raises: ValueError for what is no name."""
    labels = [label.encode("ascii") for label in name.lower().rstrip(".").split(".")] if name.strip(".") else []
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"not a domain name: {name}")
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(wire) > 255:
        raise ValueError(f"not a domain name: {name}")
    return wire


def text_name(wire: bytes) -> str:
    return ".".join(label.decode("ascii", errors="replace") for label in labels_of(wire))


def labels_of(wire: bytes) -> list[bytes]:
    labels, offset = [], 0
    while length := wire[offset]:
        labels.append(wire[offset + 1 : offset + 1 + length])
        offset += 1 + length
    return labels


def ancestors(wire: bytes) -> Iterator[bytes]:
    """The name's parent, its parent, … down to the root."""
    offset = 0
    while length := wire[offset]:
        offset += 1 + length
        yield wire[offset:]


def reverse_name(address: str) -> str:
    """``10.96.0.1`` -> ``1.0.96.10.in-addr.arpa``."""
    return ipaddress.IPv4Address(address).reverse_pointer


def ttl_fields(message: bytes) -> list[tuple[int, int]]:
    """(offset, seconds) of the TTL of every record of a reply, OPT aside. Raises: ValueError when it is broken."""
    try:
        return list(_ttl_fields(message))
    except (IndexError, struct.error) as error:
        raise ValueError("broken DNS message") from error


def sections(message: bytes) -> tuple[int, int, int, int, int]:
    """(flags, questions, answers, authorities, additional) of a message."""
    _, flags, *counts = _HEADER.unpack_from(message)
    return flags, counts[0], counts[1], counts[2], counts[3]


def answers_of(message: bytes) -> list[bytes]:
    """The answer records with their names written out, so that they can go into another message.

    Raises: ValueError when the message is broken.
    """
    try:
        return list(_answers(message))
    except (IndexError, struct.error) as error:
        raise ValueError("broken DNS message") from error


def _answers(message: bytes) -> Iterator[bytes]:
    offset = _after_questions(message)
    for _ in range(sections(message)[2]):
        name, offset = _expand(message, offset)
        kind, _, ttl, length = _RECORD.unpack_from(message, offset)
        start = offset + _RECORD.size
        offset = start + length
        # Of the types asked for here only these two have names (which may point back) in their data.
        data = _expand(message, start)[0] if kind in (CNAME, PTR) else message[start:offset]
        yield record(name, kind, ttl, data)


def _ttl_fields(message: bytes) -> Iterator[tuple[int, int]]:
    offset = _after_questions(message)
    for _ in range(sum(sections(message)[2:])):
        offset = _skip_name(message, offset)
        kind, _, ttl, length = _RECORD.unpack_from(message, offset)
        if kind != OPT:
            yield offset + 4, ttl
        offset += _RECORD.size + length


def _after_questions(message: bytes) -> int:
    offset = 12
    for _ in range(sections(message)[1]):
        offset = _skip_name(message, offset) + 4
    return offset


def _skip_name(message: bytes, offset: int) -> int:
    while length := message[offset]:
        if length >= 0xC0:
            return offset + 2
        offset += 1 + length
    return offset + 1


def _expand(message: bytes, offset: int) -> tuple[bytes, int]:
    """The name at ``offset`` without pointers, and where it ends. A pointer must point back, so that it ends at all."""
    parts, end, limit = [], 0, offset
    while length := message[offset]:
        if length >= 0xC0:
            end = end or offset + 2
            offset = (length & 0x3F) << 8 | message[offset + 1]
            if offset >= limit:
                raise ValueError("a name in a DNS message points forward")
            limit = offset
            continue
        parts.append(message[offset : offset + 1 + length])
        offset += 1 + length
    return b"".join(parts) + b"\0", end or offset + 1


def _end_of_plain_name(data: bytes, offset: int) -> int:
    start = offset
    try:
        while length := data[offset]:
            if length > 63:
                raise BadQuery(FORMERR)
            offset += 1 + length
    except IndexError:
        raise BadQuery(FORMERR) from None
    if offset + 1 - start > 255:
        raise BadQuery(FORMERR)
    return offset + 1


def _without_opt(body: bytes, additional: int) -> tuple[int, bytes]:
    """The body without its OPT record, where that comes last, as it does with every common server."""
    if body[-11:-8] == b"\0\0\x29" and body[-2:] == b"\0\0":
        return additional - 1, body[:-11]
    return additional, body


def _fitting(records: Sequence[bytes], room: int) -> tuple[int, int]:
    """How many of the records fit, and their bytes."""
    size = 0
    for count, one in enumerate(records):
        if size + len(one) > room:
            return count, size
        size += len(one)
    return len(records), size
