"""WebSocket framing: what one end encodes, the other decodes; a broken peer is refused with the right code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.streams import websocket as ws


def test_the_accept_key_of_the_rfc():
    assert ws.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(min_value=1, max_value=50), st.booleans())
def test_messages_survive_any_cut(messages, size, from_client):
    sender, receiver = ws.WebSocketConnection(server=not from_client), ws.WebSocketConnection(server=from_client)
    raw = b"".join(map(sender.send, messages))
    events = [e for start in range(0, len(raw), size) for e in receiver.receive(raw[start : start + size])]
    assert events == [ws.Message(m) for m in messages]


@pytest.mark.parametrize("length", [125, 126, 65535, 65536])
def test_each_length_encoding(length):
    data = bytes(length)
    assert ws.WebSocketConnection(server=True).receive(ws.WebSocketConnection(server=False).send(data)) == [
        ws.Message(data)
    ]


def test_a_ping_between_fragments_is_answered():
    client, server = ws.WebSocketConnection(server=False), ws.WebSocketConnection(server=True)
    first = bytearray(client.send(b"ab"))
    first[0] &= 0x7F  # not final
    last = bytearray(client.send(b"cd"))
    last[0] = 0x80  # final continuation
    ping, message = server.receive(bytes(first) + client.ping(b"x") + bytes(last))
    assert client.receive(ping.answer) == []
    assert message == ws.Message(b"abcd")


def test_close_carries_code_and_reason():
    client, server = ws.WebSocketConnection(server=False), ws.WebSocketConnection(server=True)
    assert client.receive(server.close(1011, "broken")) == [ws.Closed(1011, "broken")]


@pytest.mark.parametrize(("raw", "code"), [
    (b"\x82\x01a", ws.PROTOCOL_ERROR),  # a client that does not mask
    (b"\xc2\x80\0\0\0\0", ws.PROTOCOL_ERROR),  # compression that was never agreed on
    (b"\x80\x80\0\0\0\0", ws.PROTOCOL_ERROR),  # continuation of nothing
    (b"\x89\xfe\x00\x7e" + bytes(4 + 126), ws.PROTOCOL_ERROR),  # a ping of 126 bytes
    (b"\x82\xff" + (1 << 40).to_bytes(8, "big"), ws.TOO_LARGE),
])
def test_a_broken_peer_is_refused(raw, code):
    with pytest.raises(ws.WebSocketError) as caught:
        ws.WebSocketConnection(server=True).receive(raw)
    assert caught.value.code == code
