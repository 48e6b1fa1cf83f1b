"""The iptables rules, as chains of text. Pure.

As upstream's, name by name, since this is what books and tools describe::

    PREROUTING, OUTPUT ─► KUBE-SERVICES ─► KUBE-SVC-…   a Service's own address: choose an endpoint
                                        ├► KUBE-EXT-…   from outside: mark for masquerading, then KUBE-SVC or -SVL
                                        ├► KUBE-FW-…    an address with source ranges: only they go on to KUBE-EXT
                                        └► KUBE-NODEPORTS ─► KUBE-EXT-…
    KUBE-SVC-… ─► KUBE-SEP-… (statistic: a third, then half, then the rest) ─► DNAT
    KUBE-SVL-…   the same with the endpoints of this node only
    POSTROUTING ─► KUBE-POSTROUTING     what is marked is masqueraded
    filter: INPUT, FORWARD, OUTPUT ─► KUBE-SERVICES    what no chain above has rewritten: refused or dropped

Upstream: pkg/proxy/iptables/proxier.go.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from sampan.proxy.base import ProxyConfig
from sampan.proxy.table import Endpoint, ServicePort, Table

MARK = "0x4000"
FIXED = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-MARK-MASQ", "KUBE-POSTROUTING", "KUBE-PROXY-CANARY")
PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-")

_NEW = "-m conntrack --ctstate NEW"
#: (table, built-in chain, rule): how packets get to our chains.
JUMPS = (
    ("nat", "PREROUTING", "-j KUBE-SERVICES"),
    ("nat", "OUTPUT", "-j KUBE-SERVICES"),
    ("nat", "POSTROUTING", "-j KUBE-POSTROUTING"),
    ("filter", "INPUT", f"{_NEW} -j KUBE-SERVICES"),
    ("filter", "FORWARD", f"{_NEW} -j KUBE-SERVICES"),
    ("filter", "OUTPUT", f"{_NEW} -j KUBE-SERVICES"),
)

Chain = tuple[str, str]  # table, name
Chains = dict[Chain, list[str]]


def chains(table: Table, config: ProxyConfig) -> Chains:
    """All chains and their rules."""
    found: Chains = {
        ("nat", "KUBE-SERVICES"): [],
        ("nat", "KUBE-NODEPORTS"): [],
        ("nat", "KUBE-PROXY-CANARY"): [],
        ("nat", "KUBE-MARK-MASQ"): [f"-j MARK --or-mark {MARK}"],
        ("nat", "KUBE-POSTROUTING"): [
            f"-m mark ! --mark {MARK}/{MARK} -j RETURN",
            f"-j MARK --xor-mark {MARK}",
            "-j MASQUERADE --random-fully",
        ],
        ("filter", "KUBE-SERVICES"): [],
    }
    for ports in table.values():
        for port in ports:
            _add(found, port, config)
    # Last, so that a Service's external address that is also the node's is not taken for a node port.
    found["nat", "KUBE-SERVICES"].append("-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
    return found


def restore_text(before: Chains, after: Chains) -> str:
    """Input for ``iptables-restore --noflush`` with the chains that differ; empty when none does."""
    parts = []
    for table in ("filter", "nat"):
        changed = [c for c in after if c[0] == table and before.get(c) != after[c]]
        gone = [c for c in before if c[0] == table and c not in after]
        if changed or gone:
            lines = [f"*{table}"]
            lines += [f":{name} - [0:0]" for _, name in changed + gone]  # this empties a chain that is there
            lines += [f"-A {name} {rule}" for _, name in changed for rule in after[table, name]]
            lines += [f"-X {name}" for _, name in gone]
            parts.append("\n".join([*lines, "COMMIT", ""]))
    return "".join(parts)


def is_ours(chain: str) -> bool:
    return chain in FIXED or chain.startswith(PREFIXES)


def chain_name(kind: str, port: ServicePort, endpoint: Endpoint | None = None) -> str:
    """``KUBE-SVC-`` and 16 letters made from what the chain is for: names hold 28 bytes."""
    text = f"{port.service}:{port.name}" if port.name else port.service
    text += port.protocol + (f"{endpoint.address}:{endpoint.port}" if endpoint else "")
    return f"KUBE-{kind}-{base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]}"


def _add(found: Chains, port: ServicePort, config: ProxyConfig) -> None:
    _add_choice(found, "SVC", port, port.endpoints, config)
    if port.external_local or port.internal_local:
        _add_choice(found, "SVL", port, port.local_endpoints, config)
    for address in port.cluster_ips:
        if address not in config.own_addresses:
            _add_internal(found, port, address)
    _add_external(found, port, config)


def _add_choice(
    found: Chains, kind: str, port: ServicePort, endpoints: tuple[Endpoint, ...], config: ProxyConfig
) -> None:
    if not endpoints:
        return
    rules = [
        f"! -s {config.cluster_cidr} {_to(port, address, port.port)} -j KUBE-MARK-MASQ"
        for address in port.cluster_ips
        if config.cluster_cidr
    ]
    if port.affinity_seconds:
        rules += [f"{_recent(name, port)} -j {name}" for name in _names(port, endpoints)]
    for index, name in enumerate(_names(port, endpoints)):
        left = len(endpoints) - index
        share = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        rules.append(f"{_comment(port)} {share}-j {name}")
    found["nat", chain_name(kind, port)] = rules
    for endpoint in endpoints:
        found["nat", chain_name("SEP", port, endpoint)] = _endpoint_rules(port, endpoint)


def _names(port: ServicePort, endpoints: Iterable[Endpoint]) -> list[str]:
    return [chain_name("SEP", port, endpoint) for endpoint in endpoints]


def _recent(name: str, port: ServicePort) -> str:
    return f"-m recent --name {name} --rcheck --seconds {port.affinity_seconds} --reap"


def _endpoint_rules(port: ServicePort, endpoint: Endpoint) -> list[str]:
    name = chain_name("SEP", port, endpoint)
    remember = f"-m recent --name {name} --set " if port.affinity_seconds else ""
    return [
        f"-s {endpoint.address}/32 -j KUBE-MARK-MASQ",  # a pod that reaches itself must see another sender
        f"-p {port.protocol} {remember}-m {port.protocol} -j DNAT --to-destination {endpoint.address}:{endpoint.port}",
    ]


def _add_internal(found: Chains, port: ServicePort, address: str) -> None:
    to = _to(port, address, port.port)
    if not port.internal_endpoints:
        verdict = "DROP" if port.internal_local and port.endpoints else _reject(port)
        found["filter", "KUBE-SERVICES"].append(f"{to} -j {verdict}")
        return
    kind = "SVL" if port.internal_local else "SVC"
    found["nat", "KUBE-SERVICES"].append(f"{to} -j {chain_name(kind, port)}")


def _add_external(found: Chains, port: ServicePort, config: ProxyConfig) -> None:
    ways = [_to(port, address, port.port) for address in port.external_ips]
    guarded = [_to(port, address, port.port) for address in port.load_balancer_ips]
    if port.node_port:
        node_port = f"-p {port.protocol} -m {port.protocol} --dport {port.node_port} {_comment(port)}"
        local = f"-m addrtype --dst-type LOCAL {node_port}"
    every = ways + guarded + ([local] if port.node_port else [])
    if not every:
        return
    if not port.endpoints:
        found["filter", "KUBE-SERVICES"] += [f"{way} -j {_reject(port)}" for way in every]
        return
    name = chain_name("EXT", port)
    found["nat", name] = _external_rules(port, config)
    gate = _add_firewall(found, port, guarded) if guarded and port.source_ranges else name
    found["nat", "KUBE-SERVICES"] += [f"{way} -j {name}" for way in ways] + [f"{way} -j {gate}" for way in guarded]
    if port.node_port:
        found["nat", "KUBE-NODEPORTS"].append(f"{node_port} -j {name}")
    if port.external_local and not port.local_endpoints:
        found["filter", "KUBE-SERVICES"] += [f"{way} -j DROP" for way in every]


def _external_rules(port: ServicePort, config: ProxyConfig) -> list[str]:
    service = chain_name("SVC", port)
    if not port.external_local:
        return ["-j KUBE-MARK-MASQ", f"-j {service}"]
    rules = [f"-s {config.cluster_cidr} -j {service}"] if config.cluster_cidr else []
    rules += [f"-m addrtype --src-type LOCAL -j {target}" for target in ("KUBE-MARK-MASQ", service)]
    return rules + ([f"-j {chain_name('SVL', port)}"] if port.local_endpoints else [])


def _add_firewall(found: Chains, port: ServicePort, guarded: list[str]) -> str:
    """Who is allowed goes on and is rewritten; who is not keeps the address, and is dropped for it later."""
    name = chain_name("FW", port)
    found["nat", name] = [f"-s {source} -j {chain_name('EXT', port)}" for source in port.source_ranges]
    found["filter", "KUBE-SERVICES"] += [f"{way} -j DROP" for way in guarded]
    return name


def _to(port: ServicePort, address: str, number: int) -> str:
    return f"-d {address}/32 -p {port.protocol} -m {port.protocol} --dport {number} {_comment(port)}"


def _comment(port: ServicePort) -> str:
    return f'-m comment --comment "{port.service}{":" if port.name else ""}{port.name}"'


def _reject(port: ServicePort) -> str:
    """TCP by a reset: the kernel sends only a few ICMP errors a second."""
    return "REJECT --reject-with tcp-reset" if port.protocol == "tcp" else "REJECT"
