"""The way out of the machine: one nftables table of the cluster's own on the host.

Nobody outside knows the way to a pod's or a node's address, so what leaves the host with such a source is
masqueraded: sent on with the host's own.  That is one rule, in a table that is removed whole; the host's other tables
are never touched.  (Nor can they be overruled: where another table drops forwarded packets, as Docker's does, they
are dropped, and ``forward_policy_drops`` says so.)

The host must also forward from its uplink back to the cluster: the sysctl ip_forward.  Its value from before is kept
in a file that the first cluster writes and the last one to leave takes back.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from sampan.network.nft import Nft, NftError, open_nft

IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
SAVED = Path("/run/sampan/ip_forward.before")


@dataclass(frozen=True)
class Egress:
    """``sources``: pod and node ranges of the cluster. ``inside``: ranges that are reached without masquerading."""

    cluster: str
    sources: tuple[str, ...]
    inside: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        return f"sampan-{self.cluster}"


def rules(egress: Egress) -> str:
    """The whole table, replacing one that is there, in nft's language."""
    sources, inside = ", ".join(egress.sources), ", ".join(dict.fromkeys(egress.sources + egress.inside))
    return f"""
table inet {egress.table}
delete table inet {egress.table}
table inet {egress.table} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {{ {sources} }} ip daddr != {{ {inside} }} masquerade
    }}
}}
"""


def open_egress(egress: Egress, saved: Path = SAVED) -> None:
    """Let the cluster's pods and nodes out. Blocks for a few ms. A second call renews the table."""
    nft = open_nft()
    try:
        nft.run(rules(egress))
    finally:
        nft.close()
    _forward(saved)


def close_egress(cluster: str, saved: Path = SAVED) -> None:
    """Take the table away, and with the machine's last one the forwarding. A second call does nothing."""
    ours = f"sampan-{cluster}"
    nft = open_nft()
    try:
        if ours in _tables(nft):  # a transaction, even one that changes nothing, waits 20 ms for the kernel
            # `add` before `delete`: it may go in this moment, and deleting what is not there is an error.
            nft.run(f"add table inet {ours}\ndelete table inet {ours}")
        others = [name for name in _tables(nft) if name.startswith("sampan-")]
    finally:
        nft.close()
    if not others:
        _restore(saved)


def forward_policy_drops() -> bool:
    """Whether iptables' FORWARD chain drops by default: then pods reach nothing outside, whatever our table says."""
    nft = open_nft()
    try:
        listing = json.loads(nft.run("list chain ip filter FORWARD", json=True))
    except NftError:
        return False
    finally:
        nft.close()
    return any(item.get("chain", {}).get("policy") == "drop" for item in listing["nftables"])


def _tables(nft: Nft) -> list[str]:
    listing = json.loads(nft.run("list tables", json=True))
    return [item["table"]["name"] for item in listing["nftables"] if "table" in item]


def _forward(saved: Path) -> None:
    before = IP_FORWARD.read_text()
    if before.strip() == "1":
        return
    saved.parent.mkdir(parents=True, exist_ok=True)
    saved.write_text(before)
    IP_FORWARD.write_text("1")


def _restore(saved: Path) -> None:
    try:
        IP_FORWARD.write_text(saved.read_text() or "0")
    except FileNotFoundError:
        return
    saved.unlink()
    with contextlib.suppress(OSError):
        saved.parent.rmdir()
