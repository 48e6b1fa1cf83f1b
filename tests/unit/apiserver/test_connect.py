"""pods/log, exec, attach, portforward and nodes/proxy against a kubelet that is a few lines long."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sampan.api.encoding import to_stored
from sampan.api.errors import BadRequest
from sampan.apiserver.verbs.connect import container_of, stream_query
from tests.unit.apiserver.conftest import Api
from tests.unit.apiserver.test_serve import certificate

POD = "/api/v1/namespaces/default/pods/web"
UPGRADE = {"connection": "Upgrade", "upgrade": "SPDY/3.1", "x-stream-protocol-version": "v4.channel.k8s.io,v3.x"}


@dataclass
class Kubelet:
    """Answers each request with the next of ``answers``; after a 101 it echoes in capitals."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        answer = self.answers.pop(0)
        writer.write(answer)
        await writer.drain()
        while b" 101 " in answer and (data := await reader.read(100)):
            writer.write(data.upper())
            await writer.drain()
        writer.close()


@pytest.fixture
async def kubelet(api: Api, tmp_path: Path) -> AsyncIterator[Kubelet]:
    authority = certificate("ca", (), tmp_path)
    certificate("kubelet", (), tmp_path, authority)
    certificate("client", ("system:masters",), tmp_path, authority)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "kubelet.crt", tmp_path / "kubelet.key")
    serving.load_verify_locations(tmp_path / "ca.crt")
    serving.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    client.check_hostname = False
    client.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    api.server.config = replace(api.server.config, kubelet_tls=client)
    made = Kubelet()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=serving)
    made.port = server.sockets[0].getsockname()[1]
    await store(api, "/nodes/n1", {"metadata": {"name": "n1"}, "status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": made.port}},
    }})
    await store(api, "/pods/default/web", pod(["a"]))
    yield made
    server.close()


async def store(api: Api, key: str, obj: Any) -> None:
    await api.store.create(key, to_stored(obj))


def pod(containers: list[str], node: str = "n1", **metadata: Any) -> Any:
    spec: dict[str, Any] = {"containers": [{"name": name} for name in containers]}
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": "web", "namespace": "default", **metadata}, "spec": spec}


async def test_logs_are_streamed(api: Api, kubelet: Kubelet) -> None:
    kubelet.answers = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"]
    answer = await api.get(f"{POD}/log?follow=true&tailLines=5&timestamps=false&container=a")
    assert (answer.status, answer.body) == (200, b"one\ntwo\n")
    assert answer.headers["Content-Type"] == "text/plain"
    assert kubelet.heads[0].startswith("GET /containerLogs/default/web/a?follow=true&tailLines=5 HTTP/1.1\r\n")


async def test_a_refused_log_is_a_status(api: Api, kubelet: Kubelet) -> None:
    text = b'container "a" in pod "web" is waiting to start: ContainerCreating'
    kubelet.answers = [b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)]
    answer = await api.get(f"{POD}/log")
    assert answer.status == 400
    assert answer.json["message"] == text.decode()
    assert answer.json["reason"] == "BadRequest"


async def test_log_options_are_checked(api: Api, kubelet: Kubelet) -> None:
    answer = await api.get(f"{POD}/log?tailLines=-1")
    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["field"] == "tailLines"
    both = await api.get(f"{POD}/log?sinceSeconds=1&sinceTime=2026-11-22T15:00:00Z")
    assert "at most one of `sinceTime` or `sinceSeconds` may be specified" in both.json["message"]


async def test_exec_is_a_tunnel(api: Api, kubelet: Kubelet) -> None:
    kubelet.answers = [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n"
                       b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\nhello"]
    path = f"{POD}/exec?command=ls&command=-l&stdin=true&stdout=1&tty=false"
    response = await api.send("POST", path, **{name.replace("-", "_"): value for name, value in UPGRADE.items()},
                              authorization="Bearer secret")
    assert response.status == 101
    assert response.headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
    head = kubelet.heads[0]
    assert head.startswith("POST /exec/default/web/a?input=1&output=1&command=ls&command=-l HTTP/1.1\r\n")
    assert head.count("x-stream-protocol-version: ") == 2
    assert "secret" not in head
    assert await through(response) == b"helloPING"


async def through(response: Any) -> bytes:
    """What comes back through the tunnel for ``ping``, from both ends of a real connection."""
    done = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await response.upgrade(reader, writer)
        done.set_result(None)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"ping")
    received = await asyncio.wait_for(reader.readexactly(9), 5)
    writer.close()
    await asyncio.wait_for(done, 5)
    server.close()
    return received


async def test_an_exec_that_the_kubelet_refuses(api: Api, kubelet: Kubelet) -> None:
    kubelet.answers = [b"HTTP/1.1 404 Not Found\r\nContent-Length: 25\r\n\r\ncontainer not found (\"a\")\n"]
    headers = {name.replace("-", "_"): value for name, value in UPGRADE.items()}
    answer = await api.ask("POST", f"{POD}/exec?command=ls", **headers)
    assert answer.status == 404
    assert answer.json["message"] == 'container not found ("a")'


async def test_portforward_names_its_ports(api: Api, kubelet: Kubelet) -> None:
    kubelet.answers = [b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello"]
    headers = {name.replace("-", "_"): value for name, value in UPGRADE.items()}
    response = await api.send("GET", f"{POD}/portforward?ports=80,81", **headers)
    assert response.status == 101
    assert kubelet.heads[0].startswith("GET /portForward/default/web?port=80&port=81 ")
    assert await through(response) == b"helloPING"


async def test_a_pod_without_a_node(api: Api, kubelet: Kubelet) -> None:
    await store(api, "/pods/default/lost", pod(["a"], node="") | {"metadata": {"name": "lost"}})
    path = "/api/v1/namespaces/default/pods/lost"
    answer = await api.ask("POST", f"{path}/exec?command=ls")
    assert (answer.status, answer.json["message"]) == (400, "pod lost does not have a host assigned")
    assert (await api.get(f"{path}/log")).body == b""


async def test_a_kubelet_that_does_not_answer(api: Api, kubelet: Kubelet) -> None:
    node = {"metadata": {"name": "n2"}, "status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}
    await store(api, "/nodes/n2", node)
    answer = await api.get("/api/v1/nodes/n2/proxy/healthz")
    assert answer.status == 500
    assert "error dialing backend: dial tcp 127.0.0.1:1" in answer.json["message"]


async def test_node_proxy(api: Api, kubelet: Kubelet) -> None:
    kubelet.answers = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"]
    answer = await api.get("/api/v1/nodes/n1/proxy/stats/summary?x=1")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert orjson.loads(answer.body) == {}
    assert kubelet.heads[0].startswith("GET /stats/summary?x=1 HTTP/1.1\r\n")


def test_which_container() -> None:
    assert container_of(pod(["a"]), "") == "a"
    assert container_of(pod(["a", "b"]), "b") == "b"
    chosen = pod(["a", "b"], annotations={"kubectl.kubernetes.io/default-container": "b"})
    assert container_of(chosen, "") == "b"
    with pytest.raises(BadRequest, match=r"a container name must be specified for pod web, choose one of: \[a b\]$"):
        container_of(pod(["a", "b"]), "")
    with_init = pod(["a", "b"])
    with_init["spec"]["initContainers"] = [{"name": "i"}]
    with pytest.raises(BadRequest, match=r"choose one of: \[a b\] or one of the init containers: \[i\]$"):
        container_of(with_init, "")
    with pytest.raises(BadRequest, match="container x is not valid for pod web"):
        container_of(pod(["a"]), "x")


def test_the_kubelets_names_of_the_streams() -> None:
    query = [("stdin", "true"), ("stdout", "false"), ("stderr", "1"), ("tty", "")]
    assert stream_query(query) == [("input", "1"), ("error", "1")]


async def test_a_spare_that_turns_out_dead_is_replaced_by_a_new_connection(api: Api, kubelet: Kubelet) -> None:
    class Dead:
        def take(self, *_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            ours, theirs = socket.socketpair()
            theirs.close()
            reader = asyncio.StreamReader()
            reader.feed_eof()
            return reader, Silent(ours)  # type: ignore[return-value]

    class Silent:
        def __init__(self, sock: socket.socket) -> None:
            self.close = sock.close

        def write(self, data: bytes) -> None: ...

        async def drain(self) -> None: ...

    api.server.kubelets = Dead()  # type: ignore[assignment]
    kubelet.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none\n"]
    answer = await api.get(f"{POD}/log")
    assert (answer.status, answer.body) == (200, b"one\n")
