"""Pure: what a registry's 401 asks for.

``WWW-Authenticate: Bearer realm="...",service="...",scope="..."`` (RFC 6750, RFC 9110).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from sampan.runtime.base import Credentials

_PARAMETER = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """``scheme`` in lower case: bearer or basic."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse(header: str) -> Challenge | None:
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() not in ("bearer", "basic"):
        return None
    return Challenge(scheme.lower(), {m[1].lower(): m[2] if m[2] is not None else m[3]
                                      for m in _PARAMETER.finditer(rest)})  # fmt: skip


def basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
