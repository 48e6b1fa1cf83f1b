"""Question -> exact records, per the Kubernetes DNS specification 1.1.0."""

import asyncio

import dnslib
import pytest
from dnslib import QTYPE, RCODE

from sampan.dns.answer import Responder
from sampan.dns.message import text_name, wire_name
from sampan.dns.records import records_for
from sampan.dns.zone import Zone

DOMAIN = "cluster.local"
WEB = "web.default.svc.cluster.local"


class FakeForwarder:
    """Answers from a dict of zone file text."""

    def __init__(self, answers=()):
        self.answers, self.asked = dict(answers), []

    async def ask(self, name, kind):
        self.asked.append((name, kind))
        text = self.answers.get(name)
        if text is None:
            return None
        reply = dnslib.DNSRecord(dnslib.DNSHeader(qr=1, ra=1))
        reply.add_question(dnslib.DNSQuestion(dnslib.DNSLabel(text_name(name)), kind))
        reply.add_answer(*dnslib.RR.fromZone(text))
        return bytes(reply.pack())


def service(name="web", **spec):
    base = {"clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": base | spec}


def slice_of(*endpoints, port=8080):
    return {
        "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [e]} if isinstance(e, str) else e for e in endpoints],
    }


class World:
    def __init__(self, forwarder=None):
        self.zone = Zone(DOMAIN, ["172.29.0.2"])
        self.forwarder = forwarder or FakeForwarder()
        self.responder = Responder(self.zone, self.forwarder)

    def put(self, obj, *slices):
        self.zone.update(f"default/{obj['metadata']['name']}", records_for(obj, slices, DOMAIN))
        return self

    def reply(self, name, kind="A", *, edns=0, udp=True):
        query = dnslib.DNSRecord.question(name, kind)
        if edns:
            query.add_ar(dnslib.EDNS0(udp_len=edns))
        answer = self.responder.quick(bytes(query.pack()), udp=udp)
        if not isinstance(answer, bytes):
            answer = asyncio.run(self.responder.slow(answer, udp=udp))
        parsed = dnslib.DNSRecord.parse(answer)
        assert parsed.header.id == query.header.id
        assert parsed.questions == query.questions
        return parsed

    def ask(self, name, kind="A"):
        """(code, sorted answers as text)."""
        reply = self.reply(name, kind)
        return RCODE[reply.header.rcode], sorted(f"{QTYPE[rr.rtype]} {rr.rdata}" for rr in reply.rr)


HEADLESS = service(clusterIP="None")
NAMED = {"addresses": ["10.244.0.9"], "hostname": "db-0"}
NOT_READY = {"addresses": ["10.244.0.8"], "conditions": {"ready": False}}

TABLE = [
    ("a Service's address", WEB, "A", "NOERROR", ["A 10.96.0.20"]),
    ("whatever the case", "WeB.Default.svc.Cluster.LOCAL", "A", "NOERROR", ["A 10.96.0.20"]),
    ("no such type", WEB, "AAAA", "NOERROR", []),
    ("no such name", "nope.default.svc.cluster.local", "A", "NXDOMAIN", []),
    ("a name with names below it", "default.svc.cluster.local", "A", "NOERROR", []),
    ("the domain", "cluster.local", "A", "NOERROR", []),
    ("a name below a Service", f"x.{WEB}", "A", "NXDOMAIN", []),
    ("a port", f"_http._tcp.{WEB}", "SRV", "NOERROR", [f"SRV 0 100 80 {WEB}."]),
    ("a port of another protocol", f"_http._udp.{WEB}", "SRV", "NXDOMAIN", []),
    ("the way back", "20.0.96.10.in-addr.arpa", "PTR", "NOERROR", [f"PTR {WEB}."]),
    ("a pod", "10-244-0-7.default.pod.cluster.local", "A", "NOERROR", ["A 10.244.0.7"]),
    ("a pod's other types", "10-244-0-7.default.pod.cluster.local", "AAAA", "NOERROR", []),
    ("no pod", "10-244-0.default.pod.cluster.local", "A", "NXDOMAIN", []),
    ("the version", "dns-version.cluster.local", "TXT", "NOERROR", ['TXT "1.1.0"']),
    ("the name server", "cluster.local", "NS", "NOERROR", ["NS ns.dns.cluster.local."]),
    ("its address", "ns.dns.cluster.local", "A", "NOERROR", ["A 172.29.0.2"]),
]


@pytest.mark.parametrize(("what", "name", "kind", "code", "answers"), TABLE, ids=[row[0] for row in TABLE])
def test_a_cluster_ip_service(what, name, kind, code, answers):
    assert World().put(service()).ask(name, kind) == (code, answers)


HEADLESS_TABLE = [
    ("every ready endpoint", WEB, "A", ["A 10.244.0.7", "A 10.244.0.9"]),
    ("by hostname", f"db-0.{WEB}", "A", ["A 10.244.0.9"]),
    ("by address", f"10-244-0-7.{WEB}", "A", ["A 10.244.0.7"]),
    ("ports", f"_http._tcp.{WEB}", "SRV",
     [f"SRV 0 50 8080 10-244-0-7.{WEB}.", f"SRV 0 50 8080 db-0.{WEB}."]),
    ("the way back", "9.0.244.10.in-addr.arpa", "PTR", [f"PTR db-0.{WEB}."]),
]


@pytest.mark.parametrize(("what", "name", "kind", "answers"), HEADLESS_TABLE, ids=[row[0] for row in HEADLESS_TABLE])
def test_a_headless_service(what, name, kind, answers):
    world = World().put(HEADLESS, slice_of("10.244.0.7", NAMED, NOT_READY))
    assert world.ask(name, kind) == ("NOERROR", answers)


def test_a_headless_service_may_publish_what_is_not_ready():
    world = World().put(service(clusterIP="None", publishNotReadyAddresses=True), slice_of(NOT_READY))
    assert world.ask(WEB) == ("NOERROR", ["A 10.244.0.8"])


def test_a_headless_service_without_endpoints_does_not_exist():
    assert World().put(HEADLESS).ask(WEB) == ("NXDOMAIN", [])


def test_srv_brings_the_addresses_along():
    reply = World().put(service()).reply(f"_http._tcp.{WEB}", "SRV")
    assert [(str(rr.rname), str(rr.rdata)) for rr in reply.ar] == [(f"{WEB}.", "10.96.0.20")]


def test_negative_answers_carry_the_soa_and_five_seconds():
    reply = World().reply("nope.default.svc.cluster.local")
    (soa,) = reply.auth
    assert (QTYPE[soa.rtype], str(soa.rname), soa.ttl, soa.rdata.times[4]) == ("SOA", "cluster.local.", 5, 5)


def test_external_name_inside_the_cluster():
    world = World().put(service()).put(service("alias", type="ExternalName", clusterIP="", externalName=WEB))
    assert world.ask("alias.default.svc.cluster.local") == ("NOERROR", ["A 10.96.0.20", f"CNAME {WEB}."])
    for _ in range(4):  # the alias always comes first: resolvers read from the front
        reply = world.reply("alias.default.svc.cluster.local")
        assert [str(rr.rname) for rr in reply.rr] == ["alias.default.svc.cluster.local.", f"{WEB}."]


def test_external_name_outside_the_cluster():
    text = "example.test. 60 IN CNAME e.test.\ne.test. 60 IN A 192.0.2.1"
    forwarder = FakeForwarder({wire_name("example.test"): text})
    world = World(forwarder).put(service("alias", type="ExternalName", clusterIP="", externalName="example.test"))
    assert world.ask("alias.default.svc.cluster.local") == (
        "NOERROR", ["A 192.0.2.1", "CNAME e.test.", "CNAME example.test."])


def test_external_names_in_a_circle_end():
    world = World()
    for a, b in (("a", "b"), ("b", "a")):
        target = f"{b}.default.svc.cluster.local"
        world.put(service(a, type="ExternalName", clusterIP="", externalName=target))
    assert world.ask("a.default.svc.cluster.local")[0] == "NOERROR"


def test_other_names_are_asked_elsewhere():
    forwarder = FakeForwarder({wire_name("example.test"): "example.test. 60 IN A 192.0.2.1"})
    reply = World(forwarder).reply("Example.test", edns=1232)
    assert [str(rr.rdata) for rr in reply.rr] == ["192.0.2.1"]
    assert not reply.header.aa
    assert World().ask("example.test") == ("SERVFAIL", [])


def test_addresses_take_turns_at_the_front():
    world = World().put(HEADLESS, slice_of("10.244.0.7", "10.244.0.8", "10.244.0.9"))
    assert len({str(world.reply(WEB).rr[0].rdata) for _ in range(3)}) == 3


def test_updates_replace_and_deletions_remove():
    world = World().put(service())
    world.ask(WEB)
    world.put(service(clusterIP="10.96.0.21"))
    assert world.ask(WEB) == ("NOERROR", ["A 10.96.0.21"])
    assert world.ask("20.0.96.10.in-addr.arpa", "PTR") == ("SERVFAIL", [])  # nobody's name: asked elsewhere
    world.zone.update("default/web", [])
    assert world.ask(WEB) == ("NXDOMAIN", [])
    assert world.ask("default.svc.cluster.local") == ("NXDOMAIN", [])


def test_before_all_is_known_nothing_is_denied():
    world = World()
    world.responder.ready = False
    assert world.ask(WEB) == ("SERVFAIL", [])
    world.put(service())
    assert world.ask(WEB) == ("NOERROR", ["A 10.96.0.20"])


def test_what_does_not_fit_is_cut_and_marked():
    endpoints = [f"10.244.{i}.7" for i in range(100)]
    world = World().put(HEADLESS, slice_of(*endpoints))
    small, large = world.reply(WEB), world.reply(WEB, edns=4096)
    assert small.header.tc and len(small.pack()) <= 512 and 20 < len(small.rr) < 100
    assert not large.header.tc and len(large.rr) == 100
    assert not world.reply(WEB, udp=False).header.tc


def test_edns_is_answered_with_edns():
    world = World().put(service())
    assert [QTYPE[rr.rtype] for rr in world.reply(WEB, edns=1232).ar] == ["OPT"]
    assert world.reply(WEB).ar == []


BROKEN = [
    (b"", None), (b"\0" * 11, None), (b"\0\1\x80\0" + b"\0" * 8, None),
    (b"\0\1\0\0" + b"\0\0" * 4, "FORMERR"), (b"\0\1\x28\0\0\1" + b"\0" * 6, "NOTIMP"),
    (b"\0\1\0\0\0\1\0\0\0\0\0\0\x05web", "FORMERR"), (b"\0\1\0\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", "FORMERR"),
    (b"\0\1\0\0\0\1\0\0\0\0\0\0\3web\0\0\1\0\3", "REFUSED"),
]


@pytest.mark.parametrize(("data", "code"), BROKEN)
def test_broken_queries(data, code):
    reply = World().responder.quick(data, udp=True)
    assert (RCODE[dnslib.DNSRecord.parse(reply).header.rcode] if reply else None) == code
