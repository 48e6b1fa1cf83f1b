"""Over a real TLS socket on loopback: the two transports must be told apart by nothing but their speed."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sampan.api.errors import NotFound
from sampan.api.resources import NODES, PODS
from sampan.client.rest import Client
from sampan.client.transport import Https, Unreachable


@dataclass
class Pki:
    cert: bytes
    key: bytes


def self_signed() -> Pki:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("kubernetes"), x509.IPAddress(ip_address("127.0.0.1"))])
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1)).add_extension(names, False)
        .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    )
    return Pki(
        cert.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


@dataclass
class TlsServer:
    url: str = ""
    seen: list[web.BaseRequest] = field(default_factory=list)
    peers: list[tuple[str, int]] = field(default_factory=list)
    subjects: list[object] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        self.peers.append(request.transport.get_extra_info("peername"))
        self.subjects.append(request.transport.get_extra_info("peercert").get("subject"))
        if self.tokens and request.headers.get("Authorization", "") not in self.tokens:
            return web.Response(status=401, body=b'{"kind":"Status","reason":"Unauthorized","code":401}')
        if "watch" in request.query:
            return await self._watch(request)
        if request.path.endswith("missing"):
            error = NotFound.of(NODES, "missing")
            return web.json_response(error.status, status=404)
        return web.Response(body=b'{"path":"%s"}' % request.raw_path.encode())

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{"n":1}}\n{"type":"ADD')
        await self.more.wait()
        await response.write(b'ED","object":{"n":2}}\n')
        if request.query.get("fieldSelector") == "break":
            assert request.transport is not None
            request.transport.abort()
        return response


@pytest.fixture(scope="module")
def pki() -> Pki:
    return self_signed()


@pytest.fixture
async def server(pki: Pki, tmp_path: Path) -> AsyncIterator[TlsServer]:
    (tmp_path / "pem").write_bytes(pki.cert + pki.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pem")
    context.load_verify_locations(tmp_path / "pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = TlsServer()
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    server.more.set()
    await runner.cleanup()


@pytest.fixture
async def client(server: TlsServer, pki: Pki) -> AsyncIterator[Client]:
    client = Client(Https(server.url, ca=pki.cert, cert=pki.cert, key=pki.key))
    yield client
    await client.close()


async def test_connections_are_kept_and_the_certificate_is_shown(server: TlsServer, client: Client) -> None:
    assert await client.get(NODES, "n1") == {"path": "/api/v1/nodes/n1"}
    await client.get(NODES, "n2")
    with pytest.raises(NotFound, match='nodes "missing" not found'):
        await client.get(NODES, "missing")
    assert len(set(server.peers)) == 1
    assert server.subjects[0] == ((("commonName", "test"),),)
    assert server.seen[0].headers["User-Agent"] == "sampan"


async def test_paths_and_queries_are_encoded_once(server: TlsServer, client: Client) -> None:
    await client.raw("GET", "/apis/a b%", query=[("q", "x=y&z"), ("q", "ü")])
    assert server.seen[0].path == "/apis/a b%"
    assert server.seen[0].query.getall("q") == ["x=y&z", "ü"]


async def test_a_watch_arrives_as_it_is_sent(server: TlsServer, client: Client) -> None:
    watch = client.watch(PODS)
    assert await anext(watch) == ("ADDED", {"n": 1})
    server.more.set()
    assert await anext(watch) == ("ADDED", {"n": 2})
    assert [event async for event in watch] == []


async def test_a_broken_watch_is_unreachable(server: TlsServer, client: Client) -> None:
    watch = client.watch(PODS, field_selector="break")
    await anext(watch)
    server.more.set()
    with pytest.raises(Unreachable):
        [event async for event in watch]


async def test_nobody_listening_is_unreachable(server: TlsServer, pki: Pki) -> None:
    client = Client(Https("https://127.0.0.1:1", ca=pki.cert))
    with pytest.raises(Unreachable, match="GET https://127.0.0.1:1/api/v1/nodes/n1"):
        await client.get(NODES, "n1")
    await client.close()
    with pytest.raises(Unreachable, match="is closed"):
        await client.get(NODES, "n1")


async def test_an_unknown_authority_is_refused_and_a_server_name_is_checked(server: TlsServer, pki: Pki) -> None:
    stranger = Client(Https(server.url, ca=self_signed().cert, cert=pki.cert, key=pki.key))
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        await stranger.get(NODES, "n1")
    await stranger.close()
    for name, accepted in (("kubernetes", True), ("elsewhere", False)):
        client = Client(Https(server.url, ca=pki.cert, cert=pki.cert, key=pki.key, server_name=name))
        if accepted:
            await client.get(NODES, "n1")
        else:
            with pytest.raises(Unreachable):
                await client.get(NODES, "n1")
        await client.close()


async def test_a_rotated_token_is_read_again_on_401(server: TlsServer, pki: Pki, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    server.tokens = {"Bearer old"}
    client = Client(Https(server.url, ca=pki.cert, cert=pki.cert, key=pki.key, token_file=token))
    await client.get(NODES, "n1")
    server.tokens = {"Bearer new"}
    token.write_text("new\n")
    await client.get(NODES, "n1")
    assert [request.headers["Authorization"] for request in server.seen] == ["Bearer old", "Bearer old", "Bearer new"]
    await client.close()
