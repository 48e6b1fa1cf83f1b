"""The upgrade of an HTTP request: which wire protocol and which version of the stream protocol both sides speak.

SPDY:       Connection: Upgrade, Upgrade: SPDY/3.1, X-Stream-Protocol-Version: v4.channel.k8s.io, v3..., ...
WebSocket:  Connection: Upgrade, Upgrade: websocket, Sec-WebSocket-Key: ..., Sec-WebSocket-Protocol: v5.channel.k8s.io

Both are answered by ``101 Switching Protocols`` with the one protocol that was chosen.
Upstream: k8s.io/apimachinery/pkg/util/httpstream/spdy, k8s.io/streaming, KEP-4006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sampan.api.errors import BadRequest, Forbidden
from sampan.api.http import Request
from sampan.streams.websocket import accept_key

#: Best first. v5 can half-close stdin (WebSocket only), v4 reports exit codes as a Status, v3 can resize.
SPDY_REMOTE_COMMAND = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
WEBSOCKET_REMOTE_COMMAND = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
    "channel.k8s.io",
)
SPDY_PORT_FORWARD = ("portforward.k8s.io",)
TUNNEL_PORT_FORWARD = "SPDY/3.1+portforward.k8s.io"
WEBSOCKET_PORT_FORWARD = (TUNNEL_PORT_FORWARD, "v4.channel.k8s.io", "v4.base64.channel.k8s.io")


@dataclass(frozen=True, slots=True)
class Handshake:
    """What was agreed on, and the headers that answer with 101."""

    transport: str  # "spdy" or "websocket"
    protocol: str  # "" where the client named none
    headers: dict[str, str]


def is_upgrade(request: Request) -> bool:
    return "upgrade" in _tokens(request.headers.get("connection", "").lower()) and "upgrade" in request.headers


def negotiate(request: Request, *, spdy: Sequence[str], websocket: Sequence[str]) -> Handshake:
    """Choose the client's first protocol that we know too.

    Raises: BadRequest for a request that upgrades to neither; Forbidden where no protocol is common.
    """
    if not is_upgrade(request):
        raise BadRequest("Upgrade request required")
    upgrade = request.headers["upgrade"].lower()
    if upgrade.startswith("spdy/3.1"):
        return _spdy(request, spdy)
    if upgrade == "websocket":
        return _websocket(request, websocket)
    raise BadRequest(f'unable to upgrade: unknown protocol "{request.headers["upgrade"]}"')


def _spdy(request: Request, known: Sequence[str]) -> Handshake:
    headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    protocol = _choose(_tokens(request.headers.get("x-stream-protocol-version", "")), known)
    if protocol:
        headers["X-Stream-Protocol-Version"] = protocol
    return Handshake("spdy", protocol, headers)


def _websocket(request: Request, known: Sequence[str]) -> Handshake:
    key = request.headers.get("sec-websocket-key", "")
    if not key or request.headers.get("sec-websocket-version", "13") != "13":
        raise BadRequest("not a WebSocket handshake of version 13")
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": accept_key(key)}
    protocol = _choose(_tokens(request.headers.get("sec-websocket-protocol", "")), known)
    if protocol:
        headers["Sec-WebSocket-Protocol"] = protocol
    return Handshake("websocket", protocol, headers)


def _choose(offered: Sequence[str], known: Sequence[str]) -> str:
    """A client that names no protocol gets the oldest one."""
    if not offered:
        return ""
    for protocol in offered:
        if protocol in known:
            return protocol
    raise Forbidden(f"unable to upgrade: unable to negotiate protocol: client supports {list(offered)}, "
                    f"server accepts {list(known)}")


def _tokens(header: str) -> list[str]:
    return [token.strip() for token in header.split(",") if token.strip()]
