"""SPDY framing: what one end encodes, the other decodes, however the bytes are cut."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.streams import spdy

HEADERS = {"streamtype": "stdin", "port": "80"}


def pair():
    return spdy.SpdyConnection(server=False), spdy.SpdyConnection(server=True)


def test_the_dictionary_is_that_of_the_specification():
    # Adler-32 of the 1,423 bytes: zlib itself refuses a stream made with another dictionary.
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


def test_a_stream_opens_is_accepted_and_half_closes():
    client, server = pair()
    stream_id, opening = client.open_stream(HEADERS)
    assert server.receive(opening) == [spdy.StreamOpened(1, HEADERS)]
    assert client.receive(server.accept_stream(stream_id)) == [spdy.StreamAccepted(1, {})]
    assert server.receive(client.send_data(1, b"abc")) == [spdy.DataReceived(1, b"abc")]
    assert server.receive(client.send_data(1, b"", finish=True)) == [spdy.DataReceived(1, b"", True)]


def test_header_blocks_share_one_zlib_stream():
    client, server = pair()
    first, second = client.open_stream(HEADERS)[1], client.open_stream(HEADERS)[1]
    assert len(second) < len(first)
    assert [e.stream_id for e in server.receive(first + second)] == [1, 3]


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(min_value=1, max_value=9))
def test_any_cut_of_the_bytes_gives_the_same_events(chunks, size):
    client, server = pair()
    raw = client.open_stream(HEADERS)[1] + b"".join(client.send_data(1, c) for c in chunks)
    events = [e for start in range(0, len(raw), size) for e in server.receive(raw[start : start + size])]
    assert events == [spdy.StreamOpened(1, HEADERS), *[spdy.DataReceived(1, c) for c in chunks]]


def test_pings_are_answered_and_answers_are_not():
    client, server = pair()
    ping = b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01"
    (event,) = server.receive(ping)
    assert event.answer == ping
    assert client.receive(event.answer) == [spdy.PingReceived(1, b"")]


def test_reset_and_goaway():
    client, server = pair()
    assert server.receive(client.reset_stream(1)) == [spdy.StreamReset(1, spdy.CANCEL)]
    assert server.receive(client.go_away(3)) == [spdy.GoAway(3, 0)]


@pytest.mark.parametrize("raw", [
    b"\x80\x02\x00\x01\x00\x00\x00\x0a" + b"\0" * 10,  # version 2
    b"\x80\x03\x00\x01\x00\x00\x00\x0c" + b"\0" * 10 + b"zz",  # headers that do not inflate
    b"\x80\x03\x00\x03\x00\x00\x00\x02\0\0",  # RST_STREAM of two bytes
])
def test_garbage_is_refused(raw):
    with pytest.raises(spdy.SpdyError):
        spdy.SpdyConnection(server=True).receive(raw)


def test_a_header_bomb_is_refused():
    client = spdy.SpdyConnection(server=False)
    with pytest.raises(spdy.SpdyError, match="larger than"):
        spdy.SpdyConnection(server=True).receive(client.open_stream({"a": "b" * 1_000_000})[1])
