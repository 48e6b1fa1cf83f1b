"""healthCheckNodePort: which ports, and what they say."""

import asyncio
import json

from sampan.proxy.health import HealthPorts, checks, response
from sampan.proxy.table import Endpoint, ServicePort

HERE = Endpoint("10.244.0.5", 80, True)
PORT = ServicePort("default/web", "", "tcp", 80, ("10.96.0.1",), external_local=True, health_check_node_port=31000,
                   endpoints=(HERE,), local_endpoints=(HERE,))


def test_only_local_services_have_a_check():
    plain = ServicePort("default/x", "", "tcp", 80, ("10.96.0.2",), health_check_node_port=31001)
    assert checks({"default/web": (PORT, PORT), "default/x": (plain,)}) == {31000: ("default/web", 1)}


def test_what_it_says():
    head, body = response("default/web", 2).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK") and b"X-Load-Balancing-Endpoint-Weight: 2" in head
    assert json.loads(body)["localEndpoints"] == 2
    assert response("default/web", 0).startswith(b"HTTP/1.1 503 ")


async def test_a_port_opens_answers_and_closes(unused_tcp_port):
    ports = HealthPorts("127.0.0.1")
    await ports.update({unused_tcp_port: ("default/web", 1)})
    reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    await reader.read()
    writer.close()
    await ports.close()
    try:
        await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    except ConnectionRefusedError:
        return
    raise AssertionError("the port is still open")
