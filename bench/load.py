"""Load on the API server: wrk for reads, and small asyncio clients that send prepared bytes for writes and watches.

The clients share the machine with the server, so they must cost little: no HTTP library, only what a reply needs.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The API server, and a bearer token that may do everything."""

    port: int
    token: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


def wrk(url: str, *, connections: int, seconds: int, token: str = "") -> tuple[float, float]:
    """Requests per second and the median latency in ms. Raises: AssertionError when a request failed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    command += ["-H", f"Authorization: Bearer {token}"] if token else []
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    half = re.search(r"50%\s+([\d.]+)(us|ms|s)", out)
    assert rate and half, out
    return float(rate[1]), float(half[1]) * {"us": 0.001, "ms": 1, "s": 1000}[half[2]]


def client_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def head(target: Target, method: str, path: str, length: int) -> bytes:
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {target.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n").encode()


class Connection:
    """One keep-alive connection that sends prepared requests."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def open(self) -> Connection:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._target.port, ssl=client_tls())
        return self

    def send(self, method: str, path: str, body: bytes = b"") -> None:
        self.writer.write(head(self._target, method, path, len(body)) + body)

    async def reply(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return int(head[9:12]), await self.reader.readexactly(int(length[1])) if length else b""

    def close(self) -> None:
        self.writer.close()


async def creates(target: Target, path: str, body: Callable[[int], bytes], *, clients: int, total: int) -> float:
    """Objects created per second, each acknowledged before its client sends the next."""
    connections = [await Connection(target).open() for _ in range(clients)]
    numbers = iter(range(total))

    async def work(connection: Connection) -> None:
        for number in numbers:
            connection.send("POST", path, body(number))
            status, answer = await connection.reply()
            assert status == 201, answer
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*map(work, connections))
    return total / (time.perf_counter() - began)


class Watchers(asyncio.Protocol):
    """One protocol for all watching connections: it counts those that have got what they wait for."""

    def __init__(self) -> None:
        self._marker = b""
        self._left = 0
        self._everybody: asyncio.Future[None] | None = None
        self.transports: list[asyncio.BaseTransport] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)

    def data_received(self, data: bytes) -> None:
        # An event is small and comes as one TLS record, thus in one piece. If not, the bench would hang: it can't lie.
        if self._marker in data:
            self._left -= 1
            if self._left == 0 and self._everybody is not None:
                self._everybody.set_result(None)

    def expect(self, marker: bytes, count: int) -> asyncio.Future[None]:
        self._marker, self._left = marker, count
        self._everybody = asyncio.get_running_loop().create_future()
        return self._everybody


async def watch_fan_out(target: Target, path: str, write: Callable[[int], tuple[str, str, bytes]],
                        *, watchers: int, writes: int) -> list[float]:
    """For each write: milliseconds from sending it until the last watcher has its event."""
    watching, loop, context = Watchers(), asyncio.get_running_loop(), client_tls()
    for _ in range(watchers):
        opened = watching.expect(b"HTTP/1.1 200 ", 1)
        transport, _ = await loop.create_connection(lambda: watching, "127.0.0.1", target.port, ssl=context)
        transport.write(head(target, "GET", f"{path}?watch=true", 0))
        await opened
    writer = await Connection(target).open()
    times = []
    for number in range(writes):
        everybody = watching.expect(f'"round":"{number}"'.encode(), watchers)
        began = time.perf_counter()
        writer.send(*write(number))
        await everybody
        times.append(1000 * (time.perf_counter() - began))
        status, answer = await writer.reply()
        assert status in (200, 201), answer
    for transport in watching.transports:
        transport.close()
    writer.close()
    return times
