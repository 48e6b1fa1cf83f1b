"""``healthCheckNodePort``: how a load balancer in front learns which nodes have an endpoint of a Local Service.

One small HTTP listener for each such Service, on every address of the node: 200 with local endpoints, 503 without.

Upstream: pkg/proxy/healthcheck/service_health.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Mapping

from sampan.proxy.table import ServicePort

log = logging.getLogger(__name__)

_REASONS = {200: "OK", 503: "Service Unavailable"}
READ_SECONDS = 5.0


def checks(table: Mapping[str, Iterable[ServicePort]]) -> dict[int, tuple[str, int]]:
    """Port -> (Service, number of endpoints here), of the Services that have such a port."""
    found: dict[int, tuple[str, int]] = {}
    for service, ports in table.items():
        for port in ports:
            if port.health_check_node_port and port.external_local:
                found[port.health_check_node_port] = service, len({e.address for e in port.local_endpoints})
    return found


def response(service: str, count: int) -> bytes:
    namespace, name = service.split("/")
    code = 200 if count else 503
    said = {"service": {"namespace": namespace, "name": name}, "localEndpoints": count, "serviceProxyHealthy": True}
    body = json.dumps(said).encode()
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        f"X-Load-Balancing-Endpoint-Weight: {count}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class HealthPorts:
    """The listeners; ``update`` opens and closes them as the table says."""

    def __init__(self, host: str = "0.0.0.0") -> None:
        self._host = host
        self._wanted: dict[int, tuple[str, int]] = {}
        self._servers: dict[int, asyncio.Server] = {}

    async def update(self, wanted: dict[int, tuple[str, int]]) -> None:
        self._wanted = wanted
        for port in [port for port in self._servers if port not in wanted]:
            self._servers.pop(port).close()
        for port in wanted:
            if port not in self._servers:
                await self._open(port)

    async def close(self) -> None:
        await self.update({})

    async def _open(self, port: int) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(READ_SECONDS):
                    await reader.readuntil(b"\r\n\r\n")
                    if port in self._wanted:
                        writer.write(response(*self._wanted[port]))
                        await writer.drain()
            writer.close()

        try:
            self._servers[port] = await asyncio.start_server(answer, self._host, port)
        except OSError as error:  # somebody else's port: this Service's forwarding must not suffer from it
            service = self._wanted[port][0]
            log.warning("failed to open healthCheckNodePort=%s service=%s error=%s", port, service, error)
