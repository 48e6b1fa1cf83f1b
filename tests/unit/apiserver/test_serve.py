"""Sockets: TLS with and without a client certificate, streams, upgrades, limits."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sampan.api.http import Request, Response, Subject
from sampan.apiserver.connection import subject_of
from sampan.apiserver.messages import headers_of
from sampan.apiserver.serve import start
from sampan.auth.user import UserInfo
from tests.unit.apiserver.conftest import Api


class BySubject:
    """An authenticator that believes the certificate alone."""

    async def authenticate(self, request: Request) -> UserInfo:
        peer = request.peer or Subject("system:anonymous")
        return UserInfo(peer.common_name, groups=peer.organizations)


def certificate(name: str, organizations: tuple[str, ...], directory: Path, signer: Any = None) -> Any:
    """A key and a certificate, written to ``name.crt`` and ``name.key``; self-signed without ``signer``."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(signer[1].subject if signer else subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    made = builder.sign(signer[0] if signer else key, hashes.SHA256())
    (directory / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / f"{name}.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return key, made


@dataclass
class Tls:
    url: str
    port: int
    directory: Path

    def client(self, name: str = "") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        context.check_hostname = False
        if name:
            context.load_cert_chain(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        return context


@pytest.fixture
async def tls(api: Api, tmp_path: Path) -> AsyncIterator[Tls]:
    authority = certificate("ca", (), tmp_path)
    for name, groups in (("server", ()), ("admin", ("system:masters", "ops")), ("jane", ())):
        certificate(name, groups, tmp_path, authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    api.server.authenticator = BySubject()
    serving = await start(api.server, "127.0.0.1", 0, context)
    yield Tls(f"https://127.0.0.1:{serving.port}", serving.port, tmp_path)
    await serving.close(0.1)


async def test_the_certificate_says_who_it_is(api: Api, tls: Tls) -> None:
    async with aiohttp.ClientSession() as session:
        path = f"{tls.url}/api/v1/namespaces/default/configmaps"
        body = {"metadata": {"name": "a"}}
        async with session.post(path, json=body, ssl=tls.client("admin")) as answer:
            assert answer.status == 201
        assert api.rules.asked[-1].user.groups == ("system:masters", "ops")
        async with session.get(f"{path}/a", ssl=tls.client("admin")) as answer:
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert (await answer.json())["metadata"]["name"] == "a"
    async with aiohttp.ClientSession() as session, session.get(f"{path}/a", ssl=tls.client("jane")) as answer:
        assert answer.status == 403
        assert (await answer.json())["message"] == (
            'configmaps "a" is forbidden: User "jane" cannot get resource "configmaps" in API group "" in the '
            'namespace "default"'
        )
    async with aiohttp.ClientSession() as session, session.get(f"{path}/a", ssl=tls.client()) as answer:
        assert answer.status == 403
        assert 'User "system:anonymous"' in (await answer.json())["message"]


async def test_a_watch_streams_and_ends_with_the_client(api: Api, tls: Tls) -> None:
    async with aiohttp.ClientSession() as session:
        path = f"{tls.url}/api/v1/namespaces/default/configmaps"
        async with session.get(f"{path}?watch=1", ssl=tls.client("admin")) as answer:
            assert answer.status == 200
            async with session.post(path, json={"metadata": {"name": "a"}}, ssl=tls.client("admin")):
                pass
            event = orjson.loads(await asyncio.wait_for(answer.content.readline(), 5))
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
    for _ in range(100):  # the server notices that the client has gone within a few turns of the loop
        if not api.store._hub._by_folder:
            break
        await asyncio.sleep(0.01)
    assert not api.store._hub._by_folder


async def test_spdy_bytes_pass_untouched(api: Api, tls: Tls, monkeypatch: Any) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        while data := await reader.read(100):
            writer.write(data[::-1])
            await writer.drain()
            if data == b"\x80\x03bye":
                return

    async def handle(request: Request) -> Response:
        assert request.headers["upgrade"] == "SPDY/3.1"
        assert request.headers["x-stream-protocol-version"] == "v4.channel.k8s.io,v3.channel.k8s.io"
        return Response(101, {"Upgrade": "SPDY/3.1", "Connection": "Upgrade"}, upgrade=echo)

    monkeypatch.setattr(api.server, "handle", handle)
    reader, writer = await asyncio.open_connection("127.0.0.1", tls.port, ssl=tls.client("admin"))
    writer.write(
        b"POST /api/v1/namespaces/default/pods/a/exec?command=sh HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
        b"X-Stream-Protocol-Version: v3.channel.k8s.io\r\nContent-Length: 0\r\n\r\n"
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Upgrade: SPDY/3.1" in head
    assert await reader.readexactly(5) == b"hello"
    writer.write(b"\x80\x03\x00\x01")
    assert await asyncio.wait_for(reader.readexactly(4), 5) == b"\x01\x00\x03\x80"
    writer.write(b"\x80\x03bye")
    assert await asyncio.wait_for(reader.read(), 5) == b"eyb\x03\x80"
    writer.close()


async def test_a_websocket_upgrade_passes_as_well(api: Api, tls: Tls, monkeypatch: Any) -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(3))

    async def handle(request: Request) -> Response:
        return Response(101, {"Upgrade": "websocket", "Connection": "Upgrade"}, upgrade=count)

    monkeypatch.setattr(api.server, "handle", handle)
    reader, writer = await asyncio.open_connection("127.0.0.1", tls.port, ssl=tls.client("admin"))
    writer.write(b"GET /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.write(b"\x81\x01a")
    assert await asyncio.wait_for(reader.read(), 5) == b"\x81\x01a"
    writer.close()


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(tls: Tls) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", tls.port, ssl=tls.client("admin"))
    writer.write(b"POST /api/v1/namespaces/x/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b" 413 " in head
    writer.close()


async def test_large_answers_are_compressed_for_those_who_ask(api: Api, tls: Tls) -> None:
    async def large(request: Request) -> Response:
        return Response(200, {"Content-Type": "application/json"}, b"[" + b"1," * 100_000 + b"1]")

    api.server.handle = large  # type: ignore[method-assign]
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        asking = {"Accept-Encoding": "gzip"}
        async with session.get(f"{tls.url}/x", ssl=tls.client("admin"), headers=asking) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert len(gzip.decompress(await answer.read())) == 200_003
        plain = {"Accept-Encoding": "identity"}
        async with session.get(f"{tls.url}/x", ssl=tls.client("admin"), headers=plain) as answer:
            assert "Content-Encoding" not in answer.headers
            assert len(await answer.read()) == 200_003


def test_repeated_headers() -> None:
    raw = ((b"Accept", b"a"), (b"accept", b"b"), (b"Impersonate-Group", b"one,1"), (b"Impersonate-Group", b"two"))
    assert headers_of(raw) == {"accept": "a,b", "impersonate-group": "one,1\ntwo"}


def test_a_subject_with_several_groups() -> None:
    subject = ((("organizationName", "a"),), (("organizationName", "b"),), (("commonName", "jane"),))
    assert subject_of({"subject": subject}) == Subject("jane", ("a", "b"))
    assert subject_of({}) is None


