"""Pulling from Debian's docker-registry on loopback, and from a registry that makes every trouble there is."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import shutil
import socket
import tarfile

import aiohttp
import orjson
import pytest
import zstandard
from aiohttp import web

from sampan.runtime.base import Credentials, ImagePullFailure
from sampan.runtime.images.pull import Puller
from sampan.runtime.images.rootfs import architecture, image_config
from sampan.runtime.images.store import ImageStore

pytestmark = pytest.mark.linux
OCI = "application/vnd.oci.image"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Made:
    """An image of three layers, each compressed in another way, behind a multi-architecture index."""

    def __init__(self) -> None:
        tars = [tar("one", b"1" * 100_000), tar("two", b"2"), tar("three", b"3")]
        layers = [gzip.compress(tars[0]), zstandard.ZstdCompressor().compress(tars[1]), tars[2]]
        self.config = image_config({"Cmd": ["/one"]}, [digest(t) for t in tars])
        self.blobs = {digest(blob): blob for blob in [*layers, self.config]}
        kinds = [f"{OCI}.layer.v1.tar{suffix}" for suffix in ("+gzip", "+zstd", "")]
        self.manifest = orjson.dumps({
            "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
            "config": {"mediaType": f"{OCI}.config.v1+json", "digest": digest(self.config), "size": len(self.config)},
            "layers": [{"mediaType": kind, "digest": digest(blob), "size": len(blob)}
                       for kind, blob in zip(kinds, layers, strict=True)],
        })  # fmt: skip
        entry = {"mediaType": f"{OCI}.manifest.v1+json", "digest": digest(self.manifest), "size": len(self.manifest)}
        self.index = orjson.dumps({
            "schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json",
            "manifests": [entry | {"platform": {"os": "linux", "architecture": architecture()}}],
        })  # fmt: skip


MADE = Made()


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "store")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
async def docker_registry(tmp_path):
    """host:port of a real registry that holds MADE as web/demo:v1."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1, "log": {"level": "error"}, "http": {"addr": host},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
    }  # fmt: skip
    (tmp_path / "config.yml").write_bytes(orjson.dumps(config))
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        "docker-registry", "serve", str(tmp_path / "config.yml"), stdout=quiet, stderr=quiet
    )
    try:
        async with aiohttp.ClientSession() as session:
            await push(session, f"http://{host}/v2/web/demo")
        yield host
    finally:
        process.kill()
        await process.wait()


async def push(session: aiohttp.ClientSession, base: str) -> None:
    for _ in range(500):
        try:
            await (await session.get(base.split("/web")[0] + "/")).read()
            break
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.01)
    for name, blob in MADE.blobs.items():
        async with session.post(f"{base}/blobs/uploads/") as response:
            where = response.headers["Location"]
        async with session.put(f"{where}&digest={name}", data=blob) as response:
            assert response.status == 201
    kinds = ((digest(MADE.manifest), MADE.manifest, "manifest"), ("v1", MADE.index, "index"))
    for name, data, kind in kinds:
        async with session.put(
            f"{base}/manifests/{name}", data=data, headers={"Content-Type": f"{OCI}.{kind}.v1+json"}
        ) as response:
            assert response.status == 201, await response.text()


async def test_a_real_registry(store, docker_registry):
    puller = Puller(store)
    name = f"{docker_registry}/web/demo:v1"
    ids = await asyncio.gather(puller.pull(name, Credentials()), puller.pull(name, Credentials()))
    assert set(ids) == {digest(MADE.config)}
    record = store.find(name)
    assert record.config == {"Cmd": ["/one"]} and len(record.layers) == 3
    assert (store.layer(record.layers[0]) / "one").read_bytes() == b"1" * 100_000
    by_digest = f"{docker_registry}/web/demo@{digest(MADE.index)}"
    assert record.digests == (by_digest,) and store.find(by_digest).id == record.id
    assert await puller.pull(by_digest, Credentials()) == record.id
    with pytest.raises(ImagePullFailure, match=r"web/demo:v2: not found"):
        await puller.pull(f"{docker_registry}/web/demo:v2", Credentials())
    assert list((store.root / "downloads").iterdir()) == []


class Troublesome:
    """A registry with tokens, broken lines, wrong bytes and redirects."""

    def __init__(self) -> None:
        self.cut = self.lie = self.redirect = False
        self.requests: list[str] = []
        self.base = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/token", self.token)
        app.router.add_post("/token", self.token)
        app.router.add_get("/v2/web/demo/manifests/{name}", self.manifest)
        app.router.add_get("/v2/web/demo/blobs/{name}", self.blob)
        app.router.add_get("/elsewhere/{name}", self.serve)
        return app

    async def token(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            form = await request.post()
            good = form["refresh_token"] == "idtoken" and form["grant_type"] == "refresh_token"
        else:
            good = request.headers.get("Authorization") == "Basic YW5uOnNlY3JldA=="
            good = good and request.query["scope"] == "repository:web/demo:pull"
        return web.json_response({"token": "t0k"}) if good else web.Response(status=401)

    def denied(self, request: web.Request) -> web.Response | None:
        self.requests.append(request.path)
        if request.headers.get("Authorization") == "Bearer t0k":
            return None
        asked = f'Bearer realm="{self.base}/token",service="reg",scope="repository:web/demo:pull"'
        return web.Response(status=401, headers={"WWW-Authenticate": asked})

    async def manifest(self, request: web.Request) -> web.Response:
        if denied := self.denied(request):
            return denied
        index = request.match_info["name"] == "v1"
        kind = f"{OCI}.{'index' if index else 'manifest'}.v1+json"
        return web.Response(body=MADE.index if index else MADE.manifest, content_type=kind)

    async def blob(self, request: web.Request) -> web.StreamResponse:
        if denied := self.denied(request):
            return denied
        if self.redirect:
            # another origin: the token must not follow
            raise web.HTTPFound(f"{self.base.replace('127.0.0.1', 'localhost')}/elsewhere/{request.match_info['name']}")
        return await self.serve(request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.redirect:
            assert "Authorization" not in request.headers
        data = MADE.blobs[request.match_info["name"]]
        if self.lie:
            data = data[:-1] + b"?"
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if self.cut and start == 0 and len(data) > 50:
            response = web.StreamResponse(headers={"Content-Length": str(len(data))})
            await response.prepare(request)
            await response.write(data[:50])
            assert request.transport is not None
            request.transport.close()
            return response
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        return web.Response(body=data[start:], status=206 if start else 200, headers=headers)


@pytest.fixture
async def troublesome():
    registry = Troublesome()
    runner = web.AppRunner(registry.app())
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    registry.base = f"http://127.0.0.1:{port}"
    yield registry
    await runner.cleanup()


def name_at(registry: Troublesome) -> str:
    return f"{registry.base.removeprefix('http://')}/web/demo:v1"


@pytest.mark.parametrize("credentials", [Credentials("ann", "secret"), Credentials(identity_token="idtoken"),
                                         Credentials(registry_token="t0k")])  # fmt: skip
async def test_tokens(store, troublesome, credentials):
    assert await Puller(store).pull(name_at(troublesome), credentials) == digest(MADE.config)


async def test_without_the_password(store, troublesome):
    with pytest.raises(ImagePullFailure, match="pull access denied.*may require authorization") as caught:
        await Puller(store).pull(name_at(troublesome), Credentials("ann", "wrong"))
    assert caught.value.reason == "ErrImagePull" and store.images() == []


async def test_a_broken_line_is_taken_up_again(store, troublesome):
    troublesome.cut = True
    assert await Puller(store).pull(name_at(troublesome), Credentials("ann", "secret")) == digest(MADE.config)


async def test_the_token_stays_with_its_registry(store, troublesome):
    troublesome.redirect = True
    assert await Puller(store).pull(name_at(troublesome), Credentials("ann", "secret")) == digest(MADE.config)


async def test_wrong_bytes_are_refused(store, troublesome):
    troublesome.lie = True
    with pytest.raises(ImagePullFailure, match="has digest"):
        await Puller(store).pull(name_at(troublesome), Credentials("ann", "secret"))
    assert store.images() == [] and list((store.root / "layers").iterdir()) == []


async def test_known_layers_are_not_asked_for_again(store, troublesome):
    puller = Puller(store)
    await puller.pull(name_at(troublesome), Credentials("ann", "secret"))
    before = len([r for r in troublesome.requests if "/blobs/" in r])
    await puller.pull(name_at(troublesome), Credentials("ann", "secret"))
    assert len([r for r in troublesome.requests if "/blobs/" in r]) == before + 1  # the config


async def test_mirrors_come_first(store, troublesome):
    puller = Puller(store, mirrors=(("example.invalid", troublesome.base),))
    found = await puller.pull("example.invalid/web/demo:v1", Credentials("ann", "secret"))
    assert store.find("example.invalid/web/demo:v1").id == found


async def test_a_registry_that_is_not_there(store):
    with pytest.raises(ImagePullFailure, match="failed to pull and unpack image .*Cannot connect"):
        await Puller(store).pull(f"127.0.0.1:{free_port()}/x", Credentials())
