"""The framing of netlink messages, against bytes worked out by hand from linux/netlink.h."""

from sampan.network.netlink import attr, attributes, nested, text, u32


def test_an_attribute_is_padded_but_its_length_is_not():
    assert attr(3, b"ab") == b"\x06\x00\x03\x00ab\x00\x00"


def test_text_ends_with_a_zero_byte():
    assert text(3, "lo") == b"\x07\x00\x03\x00lo\x00\x00"


def test_nested_attributes_carry_the_flag_and_come_back():
    raw = nested(18, text(1, "veth"), u32(2, 7))
    assert raw[2:4] == b"\x12\x80"
    inner = attributes(attributes(raw)[18])
    assert inner == {1: b"veth\0", 2: b"\x07\0\0\0"}


def test_a_cut_off_attribute_ends_the_walk():
    assert attributes(attr(1, b"x") + b"\x00\x00\x02\x00") == {1: b"x"}
