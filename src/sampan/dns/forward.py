"""Names that are not the cluster's: asking the host's resolvers.

Each question goes out from a fresh random port with a random id, so that an answer cannot be forged from beside; an
answer that was cut off is asked for again by TCP.  Answers are remembered for their time to live, at most 30 s, and
the same question asked by many at once goes out once.

A resolver that would lead back here (our own addresses) or that this node cannot reach (the host's loopback) is left
out; without any, and with too many questions in the air (a loop after all), the reply is a prompt SERVFAIL.

Upstream: CoreDNS' forward, cache and loop plugins.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import struct
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from sampan.dns import message
from sampan.dns.message import NOERROR, NXDOMAIN, TC

log = logging.getLogger(__name__)

MAX_TTL_SECONDS = 30
MAX_CACHED = 10_000
MAX_IN_FLIGHT = 1000
TIMEOUT_SECONDS = 2.0
_RESOLV_CONF = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")

Upstream = tuple[str, int]
Key = tuple[bytes, int]


def parse_resolv_conf(text: str) -> list[str]:
    """The addresses of its ``nameserver`` lines."""
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def usable(addresses: Sequence[str], own: Collection[str] = ()) -> list[Upstream]:
    """IPv4 resolvers that this node can ask; each that is left out is logged."""
    found = []
    for address in addresses:
        try:
            parsed = ipaddress.IPv4Address(address)
        except ValueError:
            log.info("left out a resolver that is no IPv4 address resolver=%s", address)
            continue
        if parsed.is_loopback or address in own:
            log.info("left out a resolver that is not beyond this node resolver=%s", address)
            continue
        found.append((address, 53))
    return found


def host_resolvers(own: Collection[str] = (), paths: Sequence[str] = _RESOLV_CONF) -> list[Upstream]:
    """Those of the first file that names a usable one: systemd-resolved puts itself (127.0.0.53) into the usual file
    and the real ones into its own."""
    for path in paths:
        with contextlib.suppress(OSError):
            if found := usable(parse_resolv_conf(Path(path).read_text()), own):
                return found
    return []


class Forwarder:
    """Asks ``upstreams`` in order until one answers."""

    def __init__(
        self, upstreams: Sequence[Upstream], *, timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstreams = list(upstreams)
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._cache: dict[Key, tuple[float, bytes, list[tuple[int, int]]]] = {}
        self._in_flight: dict[Key, asyncio.Task[bytes | None]] = {}

    async def ask(self, name: bytes, kind: int) -> bytes | None:
        """A whole reply message, to be fitted with the client's id; None when nobody answers."""
        key = name, kind
        if (cached := self._cached(key)) is not None:
            return cached
        task = self._in_flight.get(key)
        if task is None:
            if not self._upstreams or len(self._in_flight) >= MAX_IN_FLIGHT:
                return None
            task = asyncio.create_task(self._ask_all(key))
            self._in_flight[key] = task
            task.add_done_callback(lambda _: self._in_flight.pop(key, None))
        return await asyncio.shield(task)  # one client that hangs up must not take the answer from the others

    async def close(self) -> None:
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_all(self, key: Key) -> bytes | None:
        for upstream in self._upstreams:
            with contextlib.suppress(OSError, TimeoutError, ValueError, EOFError):
                async with asyncio.timeout(self._timeout_seconds):
                    answer = await self._ask_one(upstream, *key)
                if message.sections(answer)[0] & 0xF in (NOERROR, NXDOMAIN):
                    self._remember(key, answer)
                    return answer
            log.debug("resolver gave no answer resolver=%s name=%s", upstream[0], message.text_name(key[0]))
        return None

    async def _ask_one(self, upstream: Upstream, name: bytes, kind: int) -> bytes:
        query = message.question(name, kind, secrets.randbelow(1 << 16))
        answer = await _ask_udp(upstream, query)
        return await _ask_tcp(upstream, query) if message.sections(answer)[0] & TC else answer

    def _cached(self, key: Key) -> bytes | None:
        """A remembered answer, its TTLs less the time it has been here."""
        entry = self._cache.get(key)
        if entry is None:
            return None
        stored, answer, fields = entry
        age = int(self._clock() - stored)
        if age >= min((ttl for _, ttl in fields), default=0):
            del self._cache[key]
            return None
        fresh = bytearray(answer)
        for offset, ttl in fields:
            struct.pack_into(">I", fresh, offset, ttl - age)
        return bytes(fresh)

    def _remember(self, key: Key, answer: bytes) -> None:
        fields = [(offset, min(ttl, MAX_TTL_SECONDS)) for offset, ttl in message.ttl_fields(answer)]
        if not fields:
            return
        if len(self._cache) >= MAX_CACHED:
            del self._cache[next(iter(self._cache))]  # the oldest
        self._cache[key] = self._clock(), answer, fields


class _UdpAnswer(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers ``query``."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done() and _answers(data, self._query):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_udp(upstream: Upstream, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    # A connected socket: the kernel lets only the resolver's own datagrams through.
    transport, protocol = await loop.create_datagram_endpoint(lambda: _UdpAnswer(query), remote_addr=upstream)
    try:
        transport.sendto(query)
        return await protocol.answer
    finally:
        protocol.answer.cancel()
        transport.close()


async def _ask_tcp(upstream: Upstream, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*upstream)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        length = struct.unpack(">H", await reader.readexactly(2))[0]
        answer = await reader.readexactly(length)
        if not _answers(answer, query):
            raise ValueError("resolver answered another question")
        return answer
    finally:
        writer.close()


def _answers(data: bytes, query: bytes) -> bool:
    """The same id, the bit for a reply, and the same question (in whatever case)."""
    end = len(query) - 11  # without our OPT record
    return len(data) >= end and data[:2] == query[:2] and data[2] & 0x80 != 0 and (
        data[12:end].lower() == query[12:end].lower()
    )
