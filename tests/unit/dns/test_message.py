"""Names and messages on the wire; random bytes must never do more than raise what is promised."""

import contextlib

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.dns import message
from sampan.dns.message import BadQuery, answers_of, parse_query, text_name, ttl_fields, wire_name


def test_names_there_and_back():
    assert wire_name("Web.Default") == b"\x03web\x07default\x00"
    assert wire_name(".") == b"\0"
    assert text_name(wire_name("web.default.")) == "web.default"


@pytest.mark.parametrize("name", ["a..b", "x" * 64, ".".join(["abc"] * 64)])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="not a domain name"):
        wire_name(name)


def test_a_query_is_read_as_dnslib_writes_it():
    record = dnslib.DNSRecord.question("Web.default", "SRV")
    record.add_ar(dnslib.EDNS0(udp_len=1400))
    query = parse_query(bytes(record.pack()))
    assert (query.name, query.type, query.edns, query.udp_bytes) == (wire_name("web.default"), 33, True, 1400)
    assert query.question.startswith(b"\x03Web")


def test_answers_are_written_out_without_pointers():
    reply = dnslib.DNSRecord.question("a.example.test").reply()
    reply.add_answer(*dnslib.RR.fromZone("a.example.test. 60 CNAME b.example.test.\nb.example.test. 30 A 192.0.2.1"))
    first, second = answers_of(bytes(reply.pack()))
    assert first.endswith(wire_name("b.example.test"))
    assert second.startswith(wire_name("b.example.test"))
    assert [ttl for _, ttl in ttl_fields(bytes(reply.pack()))] == [60, 30]


def test_a_name_that_points_at_itself_is_refused():
    loop = b"\0\1\x80\0\0\0\0\1\0\0\0\0" + b"\xc0\x0c" + b"\0\1\0\1\0\0\0\1\0\4abcd"
    with pytest.raises(ValueError, match="points forward"):
        answers_of(loop)


@given(st.binary(max_size=80))
def test_noise_is_refused_in_an_orderly_way(noise):
    with contextlib.suppress(BadQuery):
        parse_query(noise)
    if len(noise) >= 12:
        with contextlib.suppress(ValueError):
            answers_of(noise)
        with contextlib.suppress(ValueError):
            ttl_fields(noise)
        assert len(message.refusal(noise, 1)) == 12
