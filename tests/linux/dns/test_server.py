"""The whole DNS of a node in a namespace of its own: the Service's address, UDP and TCP, a resolver outside."""

import asyncio
import socket
import struct

import dnslib
import pytest

from sampan.api.resources import ENDPOINTSLICES, SERVICES
from sampan.dns.run import Dns, DnsConfig
from sampan.network import netns

pytestmark = pytest.mark.linux

ADDRESS, RESOLVER = "10.96.0.10", "127.0.0.9"
WEB = "web.default.svc.cluster.local"


class FakeInformer:
    def __init__(self):
        self.objects, self.handlers, self.listed = {}, [], asyncio.Event()

    def add_index(self, name, function):
        self.function = function

    def by_index(self, name, value):
        return [obj for obj in self.objects.values() if value in self.function(obj)]

    def get(self, key):
        return self.objects.get(key)

    def on_change(self, handler):
        self.handlers.append(handler)

    async def synced(self):
        await self.listed.wait()

    def put(self, obj):
        key = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
        old, self.objects[key] = self.objects.get(key), obj
        for handler in self.handlers:
            handler(old, obj)


class FakeInformers:
    def __init__(self):
        self.services, self.slices = FakeInformer(), FakeInformer()

    def informer(self, resource):
        return {SERVICES: self.services, ENDPOINTSLICES: self.slices}[resource]


class Resolver(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        reply = dnslib.DNSRecord.parse(data).reply()
        reply.add_answer(*dnslib.RR.fromZone("example.test. 60 A 192.0.2.1"))
        self.transport.sendto(bytes(reply.pack()), addr)


def question(name, kind="A"):
    return bytes(dnslib.DNSRecord.question(name, kind).pack())


def read(reply):
    parsed = dnslib.DNSRecord.parse(reply)
    return dnslib.RCODE[parsed.header.rcode], [str(rr.rdata) for rr in parsed.rr]


def ask(name, kind="A"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(2)
        udp.connect((ADDRESS, 53))  # and so takes an answer from this address only
        udp.send(question(name, kind))
        return read(udp.recv(4096))


def ask_tcp(*names):
    """Several questions on one connection."""
    with socket.create_connection((ADDRESS, 53), timeout=2) as tcp, tcp.makefile("rb") as replies:
        for name in names:
            tcp.sendall(struct.pack(">H", len(question(name))) + question(name))
        return [read(replies.read(struct.unpack(">H", replies.read(2))[0])) for _ in names]


def service(address):
    spec = {"clusterIP": address, "ports": [{"port": 80}]}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


@pytest.fixture
def node(tmp_path):
    netns.pin(tmp_path / "node")
    yield tmp_path / "node"
    netns.unpin(tmp_path / "node")


def in_node(node, scenario):
    """Run ``scenario(informers)`` beside a started DNS, on a loop inside the namespace."""

    async def main():
        informers = FakeInformers()
        dns = Dns(informers, DnsConfig(ADDRESS, upstreams=((RESOLVER, 53),)))
        await dns.start()
        loop = asyncio.get_running_loop()
        resolver, _ = await loop.create_datagram_endpoint(Resolver, local_addr=(RESOLVER, 53))
        try:
            await scenario(informers, dns)
        finally:
            resolver.close()
            await dns.close()

    netns.run_in(node, lambda: asyncio.run(main()))


def test_from_the_first_packet_to_a_change(node):
    async def scenario(informers, dns):
        assert await asyncio.to_thread(ask, WEB) == ("SERVFAIL", [])  # it listens, and knows that it knows nothing
        informers.services.put(service("10.96.0.20"))
        informers.services.listed.set()
        informers.slices.listed.set()
        await dns.synced()
        assert await asyncio.to_thread(ask, WEB) == ("NOERROR", ["10.96.0.20"])
        assert await asyncio.to_thread(ask, "nope.default.svc.cluster.local") == ("NXDOMAIN", [])
        informers.services.put(service("10.96.0.21"))
        await asyncio.sleep(0)  # the zone follows before the next question is read
        assert await asyncio.to_thread(ask, WEB) == ("NOERROR", ["10.96.0.21"])

    in_node(node, scenario)


def test_names_from_outside_and_tcp(node):
    async def scenario(informers, dns):
        informers.services.put(service("10.96.0.20"))
        informers.services.listed.set()
        informers.slices.listed.set()
        await dns.synced()
        assert await asyncio.to_thread(ask, "example.test") == ("NOERROR", ["192.0.2.1"])
        assert await asyncio.to_thread(ask_tcp, WEB, "example.test", WEB) == [
            ("NOERROR", ["10.96.0.20"]), ("NOERROR", ["192.0.2.1"]), ("NOERROR", ["10.96.0.20"])]

    in_node(node, scenario)


def test_an_address_in_use_is_named(node):
    def taken():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as squatter:
            squatter.bind(("0.0.0.0", 53))
            in_node(node, None)

    with pytest.raises(OSError, match=r"DNS cannot listen on 10\.96\.0\.10:53"):
        netns.run_in(node, taken)
