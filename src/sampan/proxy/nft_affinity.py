"""Which client had which endpoint: the one map that the kernel fills by itself.

An element reads ``client . Service address . protocol . port : endpoint . port`` and carries its own timer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sampan.network.nft import Nft, NftError
from sampan.proxy.nft_layout import TABLE


@dataclass(frozen=True, slots=True)
class Remembered:
    client: str
    frontend: str  # "address . protocol . port"
    endpoint: str  # "address . port"
    timeout_seconds: int
    expires_seconds: int


def read(nft: Nft) -> list[Remembered]:
    """What the kernel remembers; nothing when there is no such map (yet)."""
    try:
        listing = json.loads(nft.run(f"list map ip {TABLE} affinity", json=True))
    except NftError:
        return []
    maps = [item["map"] for item in listing["nftables"] if "map" in item]
    return [_parse(pair) for found in maps for pair in found.get("elem", ())]


def split(
    remembered: Iterable[Remembered], endpoints: dict[str, set[str]]
) -> tuple[list[Remembered], list[Remembered]]:
    """(those whose endpoint is still behind that address, those whose endpoint has gone)."""
    current: list[Remembered] = []
    gone: list[Remembered] = []
    for one in remembered:
        (current if one.endpoint in endpoints.get(one.frontend, ()) else gone).append(one)
    return current, gone


def restore(remembered: Iterable[Remembered]) -> list[str]:
    """Commands that put them back with what is left of their time."""
    entries = [
        f"{r.client} . {r.frontend} timeout {r.timeout_seconds}s expires {r.expires_seconds}s : {r.endpoint}"
        for r in remembered
        if r.expires_seconds > 0
    ]
    return [f"add element ip {TABLE} affinity {{ {', '.join(entries)} }}"] if entries else []


def forget(remembered: list[Remembered]) -> str:
    """The kernel ends some by itself while we look: `add` makes sure that there is something to `delete`."""
    keys = [f"{r.client} . {r.frontend}" for r in remembered]
    entries = ", ".join(f"{r.client} . {r.frontend} : {r.endpoint}" for r in remembered)
    return (
        f"add element ip {TABLE} affinity {{ {entries} }}\ndelete element ip {TABLE} affinity {{ {', '.join(keys)} }}"
    )


def _parse(pair: list[Any]) -> Remembered:
    key, value = pair
    element = key["elem"]
    client, address, protocol, port = element["val"]["concat"]
    endpoint, endpoint_port = value["concat"]
    return Remembered(
        client,
        f"{address} . {protocol} . {port}",
        f"{endpoint} . {endpoint_port}",
        int(element.get("timeout", 0)),
        int(element.get("expires", 0)),
    )
