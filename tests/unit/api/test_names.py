"""What may be a name, with the messages users see."""

import pytest

from sampan.api import names


@pytest.mark.parametrize(("check", "good", "bad"), [
    (names.dns_label, ["a", "a-b", "1a"], ["", "A", "-a", "a-", "a.b", "a" * 64, "a\n"]),
    (names.dns_subdomain, ["a.b", "a-1.b"], ["", "a..b", ".a", "A", "a_b", "a" * 254]),
    (names.dns1035_label, ["a1"], ["1a", "a.b", "a" * 64]),
    (names.qualified_name, ["a", "A.b_c-d", "x.io/a"], ["", "/a", "a/", "X.io/a", "a/b/c", "a" * 64, "-a"]),
    (names.label_value, ["", "a", "A_b.c-1"], ["-a", "a b", "a" * 64]),
    (names.port_name, ["http", "a-1"], ["", "Http", "a" * 16, "1", "a--b", "-a"]),
    (names.config_map_key, ["a", ".x", "A_b-c.d"], ["", "..", "..a", "a/b"]),
    (names.env_var_name, ["A", "a b", "1"], ["", "a=b", "ä"]),
    (names.path_segment, ["system:node", "A"], [".", "..", "a/b", "a%b"]),
    (names.percent, ["10%"], ["10", "-1%"]),
    (names.wildcard_dns_subdomain, ["*.a.b"], ["*", "a.*.b"]),
])
def test_checks(check, good, bad):
    assert [name for name in good if check(name)] == []
    assert [name for name in bad if not check(name)] == []


def test_messages():
    assert names.dns_label("a.b") == ["must not contain dots"]
    assert names.dns_label("A") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]
    assert names.dns_label("a" * 64) == ["must be no more than 63 characters"]
    assert names.label_value("a" * 64) == ["must be no more than 63 bytes"]
    assert names.port_number(0) == ["must be between 1 and 65535, inclusive"]


def test_generate_name_may_end_in_a_dash():
    assert names.generate_name(names.dns_subdomain, "web-") == []
    assert names.generate_name(names.dns_subdomain, "-") != []
