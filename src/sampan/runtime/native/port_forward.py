"""port-forward: a connection to a port on the pod's own localhost.

A socket belongs to the network namespace of the thread that made it. So a worker thread steps into the pod's
namespace, makes a socket and steps back; the event loop connects and uses it like any other. No helper (socat) runs
in the pod.
"""

from __future__ import annotations

import asyncio
import socket

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.native import namespaces
from sampan.runtime.native.records import SandboxRecord

_CONNECT_SECONDS = 10.0


async def port_forward(record: SandboxRecord, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """IPv4 first, then IPv6. Raises: OSError as from connect."""
    if record.phase != "ready":
        raise RuntimeFailure(f"sandbox {record.id!r} is not running")
    try:
        return await _connect(record, socket.AF_INET, "127.0.0.1", port)
    except OSError as refused:
        try:
            return await _connect(record, socket.AF_INET6, "::1", port)
        except OSError:
            raise refused from None


async def _connect(
    record: SandboxRecord, family: socket.AddressFamily, address: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = await asyncio.to_thread(make_socket, record.netns, family)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
            return await asyncio.open_connection(sock=sock)
    except BaseException:
        sock.close()
        raise


def make_socket(namespace: str, family: socket.AddressFamily) -> socket.socket:
    """A non-blocking TCP socket of that namespace; "" is our own, the node's."""
    if namespace:
        with namespaces.inside_network(namespace):
            sock = socket.socket(family, socket.SOCK_STREAM)
    else:
        sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock
