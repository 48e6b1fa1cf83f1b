"""Forwarding to a resolver on loopback that the test itself plays."""

import asyncio
import struct

import dnslib
import pytest

from sampan.dns.forward import Forwarder, host_resolvers, parse_resolv_conf, usable
from sampan.dns.message import wire_name

NAME = wire_name("example.test")


class Resolver(asyncio.DatagramProtocol):
    """Answers every A question with 192.0.2.1; what else it does, the test says."""

    def __init__(self):
        self.asked, self.truncate, self.forge, self.silent, self.ttl = 0, False, False, False, 60
        self.heard = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.asked += 1
        self.heard.set()
        if self.silent:
            return
        if self.forge:
            self.transport.sendto(b"\0\0" + self.answer(data)[2:], addr)
        reply = self.answer(data)
        if self.truncate:
            reply = reply[:2] + bytes([reply[2] | 2]) + reply[3:]
        self.transport.sendto(reply, addr)

    def answer(self, data):
        query = dnslib.DNSRecord.parse(data)
        reply = query.reply()
        reply.add_answer(*dnslib.RR.fromZone(f"{query.q.qname} {self.ttl} A 192.0.2.1"))
        return bytes(reply.pack())

    async def tcp(self, reader, writer):
        data = await reader.readexactly(struct.unpack(">H", await reader.readexactly(2))[0])
        reply = self.answer(data)
        writer.write(struct.pack(">H", len(reply)) + reply)
        writer.close()


async def _on_one_port():
    """The port that UDP got may be somebody's TCP port already: then another one is tried."""
    loop = asyncio.get_running_loop()
    for _ in range(20):
        transport, protocol = await loop.create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
        protocol.place = transport.get_extra_info("sockname")
        try:
            return transport, protocol, await asyncio.start_server(protocol.tcp, *protocol.place)
        except OSError:
            transport.close()
    raise AssertionError("no port is free for both UDP and TCP")


@pytest.fixture
async def resolver():
    transport, protocol, server = await _on_one_port()
    yield protocol
    transport.close()
    server.close()


def addresses(reply):
    return [str(rr.rdata) for rr in dnslib.DNSRecord.parse(reply).rr]


async def test_an_answer_is_remembered_for_its_time(resolver):
    now = [0.0]
    forwarder = Forwarder([resolver.place], clock=lambda: now[0])
    assert addresses(await forwarder.ask(NAME, 1)) == ["192.0.2.1"]
    now[0] = 20.0
    again = dnslib.DNSRecord.parse(await forwarder.ask(NAME, 1))
    assert (resolver.asked, again.rr[0].ttl) == (1, 10)  # 60 s are cut to 30, 20 have gone
    now[0] = 31.0
    await forwarder.ask(NAME, 1)
    assert resolver.asked == 2


async def test_many_who_ask_at_once_ask_once(resolver):
    forwarder = Forwarder([resolver.place])
    replies = await asyncio.gather(*(forwarder.ask(NAME, 1) for _ in range(10)))
    assert all(addresses(reply) == ["192.0.2.1"] for reply in replies)
    assert resolver.asked == 1


async def test_a_cut_answer_is_asked_for_by_tcp(resolver):
    resolver.truncate = True
    assert addresses(await Forwarder([resolver.place]).ask(NAME, 1)) == ["192.0.2.1"]


async def test_an_answer_with_another_id_is_not_taken(resolver):
    resolver.forge = True
    assert addresses(await Forwarder([resolver.place]).ask(NAME, 1)) == ["192.0.2.1"]


async def test_the_next_resolver_is_asked_when_one_is_silent(resolver):
    loop = asyncio.get_running_loop()
    transport, silent = await loop.create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
    silent.silent = True
    places = [transport.get_extra_info("sockname"), resolver.place]
    assert addresses(await Forwarder(places, timeout_seconds=0.05).ask(NAME, 1)) == ["192.0.2.1"]
    assert silent.asked == 1
    transport.close()


async def test_nobody_to_ask_is_a_prompt_no():
    assert await Forwarder([]).ask(NAME, 1) is None


async def test_closing_ends_what_is_in_the_air(resolver):
    resolver.silent = True
    forwarder = Forwarder([resolver.place])
    asking = asyncio.create_task(forwarder.ask(NAME, 1))
    await resolver.heard.wait()
    await forwarder.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


def test_resolv_conf():
    assert parse_resolv_conf("# x\nsearch a b\nnameserver 192.0.2.1\nnameserver  ::1 # y\nnameserver") == [
        "192.0.2.1", "::1"]


def test_resolvers_that_lead_back_or_nowhere_are_left_out():
    given = ["127.0.0.53", "10.96.0.10", "fd00::1", "192.0.2.1"]
    assert usable(given, own=("10.96.0.10",)) == [("192.0.2.1", 53)]


def test_the_second_file_counts_when_the_first_names_only_loopback(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("nameserver 127.0.0.53\n")
    second.write_text("nameserver 192.0.2.1\n")
    assert host_resolvers(paths=(str(first), str(second))) == [("192.0.2.1", 53)]
    assert host_resolvers(paths=(str(first), str(tmp_path / "missing"))) == []
