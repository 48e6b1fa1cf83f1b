"""The kubelet's port: who may ask, and what is answered."""

import asyncio
import json
import os
import ssl

import pytest

from sampan.api.http import Request, Response, Subject
from sampan.kubelet.http_server import BadRequestLine, HttpServer, parse_head
from sampan.kubelet.server import KubeletServer, server_tls
from sampan.testing.fake_runtime import Behaviour
from tests.unit.kubelet.pods import make_pod, on_a_node

ADMIN = Subject("kube-apiserver-kubelet-client", ("system:masters",))


async def ask(n, path, peer=ADMIN, query=(), **headers):
    return await KubeletServer(n.kubelet).handle(Request("GET", path, list(query), headers, peer=peer))


async def body(response):
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([chunk async for chunk in response.body])


@pytest.mark.parametrize(("peer", "status"), [
    (None, 401), (Subject("system:node:n2", ("system:nodes",)), 403), (Subject("jane"), 403), (ADMIN, 200),
])
def test_only_administrators_may_ask(tmp_path, peer, status):
    async def scenario(n):
        for path in ("/healthz", "/pods", "/metrics", "/stats/summary"):
            assert (await ask(n, path, peer)).status == status
        if status != 200:
            assert (await ask(n, "/exec/default/web/app", peer)).status == status

    on_a_node(tmp_path, scenario)


def write_log(status, *lines):
    os.makedirs(os.path.dirname(status.log_path), exist_ok=True)
    with open(status.log_path, "w") as file:
        file.writelines(f"2026-11-22T15:00:00Z stdout F {line}\n" for line in lines)


def test_logs_of_this_and_the_previous_attempt(tmp_path):
    async def scenario(n):
        n.runtime.behaviours["app#0"] = Behaviour(exit_after=1, exit_code=1)
        n.create(make_pod())
        await n.until(lambda: n.status().get("containerStatuses", [{}])[0].get("restartCount") == 1)
        await n.until(n.ready)
        first, second = n.kubelet.state("uid-web").attempts("app")
        write_log(first, "old")
        write_log(second, "a", "b")
        path = "/containerLogs/default/web/app"
        assert await body(await ask(n, path)) == b"a\nb\n"
        assert await body(await ask(n, path, query=[("tailLines", "1")])) == b"b\n"
        assert await body(await ask(n, path, query=[("previous", "true")])) == b"old\n"
        assert (await ask(n, path, query=[("tailLines", "x")])).status == 400
        assert (await ask(n, "/containerLogs/default/none/app")).status == 404
        wrong = await ask(n, "/containerLogs/default/web/none")
        assert (wrong.status, wrong.body) == (400, b"container none is not valid for pod web")

    on_a_node(tmp_path, scenario)


def test_no_previous_container(tmp_path):
    async def scenario(n):
        n.create(make_pod())
        await n.until(n.ready)
        answer = await ask(n, "/containerLogs/default/web/app", query=[("previous", "true")])
        assert answer.status == 400
        assert answer.body == b'previous terminated container "app" in pod "web" not found'

    on_a_node(tmp_path, scenario)


def test_pods_stats_and_refusals(tmp_path):
    async def scenario(n):
        n.create(make_pod())
        await n.until(n.ready)
        assert json.loads((await ask(n, "/pods")).body)["items"][0]["metadata"]["name"] == "web"
        stats = json.loads((await ask(n, "/stats/summary")).body)
        assert stats["pods"][0]["containers"][0]["memory"]["usageBytes"] == 1 << 20
        assert b"kubelet_running_pods 1" in (await ask(n, "/metrics")).body
        assert (await ask(n, "/nothing")).status == 404
        assert (await ask(n, "/exec/default/web/app", query=[("command", "ls")])).status == 400
        plain = await ask(n, "/exec/default/web/app", query=[("command", "ls"), ("output", "1")])
        assert plain.status == 400  # not an upgrade
        assert (await ask(n, "/exec/default/web/none", query=[("command", "ls"), ("output", "1")])).status == 404
        assert (await ask(n, "/portForward/default/none")).status == 404

    on_a_node(tmp_path, scenario)


def test_exec_over_an_upgrade_names_the_container(tmp_path):
    headers = {"connection": "Upgrade", "upgrade": "SPDY/3.1", "x-stream-protocol-version": "v4.channel.k8s.io"}

    async def scenario(n):
        n.create(make_pod())
        await n.until(n.ready)
        query = [("command", "ls"), ("output", "1")]
        answer = await ask(n, "/exec/default/web/app", query=query, **headers)
        assert (answer.status, answer.upgrade is not None) == (101, True)
        assert (await ask(n, "/portForward/default/web", **{**headers, "x-stream-protocol-version":
                "portforward.k8s.io"})).status == 101

    on_a_node(tmp_path, scenario)


def test_request_head():
    found = parse_head(b"GET /exec/a%2Fb?command=x&command=y&empty= HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    assert (found.method, found.path) == ("GET", "/exec/a/b")
    assert found.query == [("command", "x"), ("command", "y"), ("empty", "")]
    assert found.headers == {"host": "h", "x-a": "1,2"}


@pytest.mark.parametrize("head", [b"GET /\r\n\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\nnocolon\r\n\r\n"])
def test_malformed_heads_are_refused(head):
    with pytest.raises(BadRequestLine):
        parse_head(head)


async def test_bodies_streams_and_upgrades_on_one_server():
    async def handler(request):
        if request.path == "/stream":
            async def chunks():
                yield b"one"
                yield b"two"

            return Response(200, {}, chunks())
        if request.path == "/up":
            async def upgrade(reader, writer):
                writer.write(await reader.readexactly(3))
                await writer.drain()

            return Response(101, {"connection": "Upgrade"}, upgrade=upgrade)
        return Response(200, {}, request.method.encode() + b":" + request.body)

    server = HttpServer(handler)
    port = await server.start("127.0.0.1", 0, None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi" b"GET /stream HTTP/1.1\r\n\r\n")
    assert (await reader.readuntil(b"POST:hi")).startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n")
    assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    writer.write(b"GET /up HTTP/1.1\r\n\r\nraw")
    assert (await reader.read()).endswith(b"\r\n\r\nraw")
    writer.close()
    await writer.wait_closed()
    await server.close()


async def test_tls_demands_a_certificate_of_the_clusters_ca(tmp_path):
    from sampan.auth.certificates import load_authority, write_node_pki, write_pki

    write_pki(tmp_path / "pki", server_sans=["127.0.0.1"])
    write_pki(tmp_path / "other", server_sans=["127.0.0.1"])
    authority = load_authority(tmp_path / "pki" / "ca")
    write_node_pki(tmp_path / "node", authority, "n1", ["127.0.0.1"])
    server = HttpServer(lambda request: KubeletServer(None).handle(request))
    port = await server.start("127.0.0.1", 0, server_tls(
        tmp_path / "pki" / "ca.crt", tmp_path / "node" / "kubelet.crt", tmp_path / "node" / "kubelet.key"))

    async def status(certificate):
        tls = ssl.create_default_context(cafile=str(tmp_path / "pki" / "ca.crt"))
        if certificate:
            tls.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n")
            return (await reader.readline()).split(b" ")[1:2]
        except (ConnectionError, ssl.SSLError):
            return []
        finally:
            writer.transport.abort()

    assert await status(tmp_path / "pki" / "apiserver-kubelet-client") == [b"200"]
    assert await status(tmp_path / "node" / "kubelet-client") == [b"403"]
    assert await status(tmp_path / "other" / "apiserver-kubelet-client") == []
    assert await status(None) == []
    await server.close()
