"""What may be a name, a label, a key: each check returns the messages of what is wrong, none when it is right.

Upstream: apimachinery/pkg/util/validation/validation.go, pkg/api/validate/content, pkg/api/validation/path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Check = Callable[[str], list[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = r"\*\." + _SUBDOMAIN
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_ENV_VAR = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_PERCENT = "[0-9]+%"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

_ALPHANUMERIC_ENDS = "and must start and end with an alphanumeric character"
_LABEL_TEXT = ("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
               + _ALPHANUMERIC_ENDS)
_SUBDOMAIN_TEXT = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
                   + _ALPHANUMERIC_ENDS)
_LABEL_1035_TEXT = ("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                    "alphabetic character, and end with an alphanumeric character")
_WILDCARD_TEXT = ("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
                  "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character")
_QUALIFIED_TEXT = f"must consist of alphanumeric characters, '-', '_' or '.', {_ALPHANUMERIC_ENDS}"
_LABEL_VALUE_TEXT = ("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
                     + _ALPHANUMERIC_ENDS)


def too_long(length: int, unit: str = "characters") -> str:
    return f"must be no more than {length} {unit}"


def not_matching(text: str, pattern: str, *examples: str) -> str:
    """The message of a failed regular expression, with its examples."""
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} ({'e.g. ' if examples else ''}{shown}regex used for validation is '{pattern}')"


def in_range(value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [f"must be between {low} and {high}, inclusive"]


def port_number(value: int) -> list[str]:
    return in_range(value, 1, 65535)


_compiled = lru_cache(maxsize=64)(re.compile)


def _full(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


def dns_label(value: str) -> list[str]:
    """RFC 1123: at most 63 of ``a-z 0-9 -``."""
    errors = [too_long(63)] if len(value) > 63 else []
    if not _full(_LABEL, value):
        dotted = _full(_SUBDOMAIN, value)
        errors.append("must not contain dots" if dotted else not_matching(_LABEL_TEXT, _LABEL, "my-name", "123-abc"))
    return errors


def dns_subdomain(value: str) -> list[str]:
    """RFC 1123: labels joined by dots, at most 253: most objects' names."""
    errors = [too_long(253)] if len(value) > 253 else []
    if not _full(_SUBDOMAIN, value):
        errors.append(not_matching(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))
    return errors


def dns1035_label(value: str) -> list[str]:
    """RFC 1035: a label that starts with a letter: Services' names."""
    errors = [too_long(63)] if len(value) > 63 else []
    if not _full(_LABEL_1035, value):
        errors.append(not_matching(_LABEL_1035_TEXT, _LABEL_1035, "my-name", "abc-123"))
    return errors


def wildcard_dns_subdomain(value: str) -> list[str]:
    errors = [too_long(253)] if len(value) > 253 else []
    if not _full(_WILDCARD, value):
        errors.append(not_matching(_WILDCARD_TEXT, _WILDCARD, "*.example.com"))
    return errors


def path_segment(value: str) -> list[str]:
    """What can stand in a URL path: names of RBAC objects, which may hold colons and upper case."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{char}'" for char in ("/", "%") if char in value]


def qualified_name(value: str) -> list[str]:
    """A label's or annotation's key: an optional DNS prefix and ``/``, then at most 63 characters."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return ["a valid label key " + not_matching(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc")
                + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    errors = []
    if slash:
        errors = [f"prefix part {msg}" for msg in (_prefix(prefix) if prefix else ["must be non-empty"])]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > 63:
        errors.append("name part " + too_long(63, "bytes"))
    if not _full(_QUALIFIED, name):
        errors.append("name part " + not_matching(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return errors


def _prefix(value: str) -> list[str]:
    return [msg.replace("characters", "bytes") if msg == too_long(253) else msg for msg in dns_subdomain(value)]


def label_value(value: str) -> list[str]:
    errors = [too_long(63, "bytes")] if len(value) > 63 else []
    if not _full(_LABEL_VALUE, value):
        errors.append(not_matching(_LABEL_VALUE_TEXT, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def port_name(value: str) -> list[str]:
    """An IANA service name (RFC 6335), lower case only."""
    errors = [too_long(15)] if len(value) > 15 else []
    if not _full("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def _chdir_prefix(value: str) -> list[str]:
    """``..`` would leave the directory that the key becomes a file in."""
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def config_map_key(value: str) -> list[str]:
    """A key in a ConfigMap's or Secret's data: it becomes a file's name."""
    errors = [too_long(253)] if len(value) > 253 else []
    if not _full(_CONFIG_KEY, value):
        errors.append(not_matching("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                                   _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return errors + _chdir_prefix(value)


def env_var_name(value: str) -> list[str]:
    """An environment variable in a container: any printable ASCII but ``=`` (relaxed since 1.34)."""
    if not value:
        return ["environment variable name must be non-empty"]
    if value.isascii() and value.isprintable() and "=" not in value:
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def strict_env_var_name(value: str) -> list[str]:
    """What ``envFrom`` may turn into a variable without a warning: letters, digits, ``_ - .``, no leading digit."""
    text = ("a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and "
            "must not start with a digit")
    errors = [] if _full(_ENV_VAR, value) else [
        not_matching(text, _ENV_VAR, "my.env-name", "MY_ENV.NAME", "MyEnvName1")]
    return errors + _chdir_prefix(value)


def c_identifier(value: str) -> list[str]:
    text = ("a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
            "characters or '_'")
    return [] if _full(_C_IDENTIFIER, value) else [
        not_matching(text, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def http_header_name(value: str) -> list[str]:
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [] if _full(_HTTP_HEADER, value) else [not_matching(text, _HTTP_HEADER, "X-Header-Name")]


def percent(value: str) -> list[str]:
    text = "a valid percent string must be a numeric string followed by an ending '%'"
    return [] if _full(_PERCENT, value) else [not_matching(text, _PERCENT, "1%", "93%")]


def generate_name(check: Check, prefix: str) -> list[str]:
    """Is ``prefix`` good for ``generateName``?  A trailing dash is, since random letters follow."""
    return check(prefix[:-1] + "a" if prefix.endswith("-") and len(prefix) > 1 else prefix)
