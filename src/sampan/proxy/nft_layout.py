"""The nftables rules, as text. Pure.

Upstream has a chain for each Service and each endpoint.  With 10,000 Services that is 30,000 chains: loading them took
24 s here and each later change 100 ms, because nft reads the names of all chains first.  Here the number of rules is
fixed and everything about a Service is an *element of a map*: 0.5 s and well below 1 ms
(docs/decisions/2026-11-22-nftables-maps.md).  A packet's way::

    prerouting/output ─ firewall ─► @firewalled, and the source not in @firewall-allowed? drop
                      ─ services ─► @service-ips: address . protocol . port → the chain that knows how to choose
          spread-3               one of three:     address . port . random(3) → @tcp-endpoints
          affinity-3             whom this client had before (@affinity), else spread-3
          masquerade-…           the same, and answers must come back by this node: marked
          external-local         policy Local: pods and the node itself @inside-ips, all others @outside-ips
                      ─ remember ─► after the choice: @affinity learns it, for as long as the Service says
    input/forward/output ─ refuse ─► @refused (no endpoint), or another port of a Service's address
    postrouting ─ masquerading ─► marked, or from a pod to itself (@hairpin)

Upstream: pkg/proxy/nftables (README.md, proxier.go); its table's name is kept.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from sampan.proxy.base import ProxyConfig
from sampan.proxy.table import Endpoint, ServicePort

TABLE = "kube-proxy"
PROTOCOLS = ("tcp", "udp", "sctp")
MARK = "0x4000"
LOCAL_OFFSET = 1 << 16  # local endpoints are numbered from here, so that both lists share one map

Element = tuple[str, str]  # the map or set, the key

_FRONTEND = "ip daddr . meta l4proto . th dport"
_ORIGINAL = "ct original ip daddr . meta l4proto . ct original proto-dst"
_TRANSPORT = "meta l4proto { tcp, udp, sctp }"  # nft wants to know that there are ports before they are used
_CHAIN = re.compile(r"^(?:goto )(?P<name>(?:masquerade-)?(?:affinity-)?spread-(?P<local>local-)?(?P<count>\d+))$")


def base(config: ProxyConfig) -> str:
    """The table without a single Service, replacing one that is there."""
    off_cluster = f"ip saddr != {config.cluster_cidr} ip daddr @cluster-ips jump mark-for-masquerade"
    from_pods = f"ip saddr {config.cluster_cidr} {_FRONTEND} vmap @inside-ips"
    new = "ct state new"
    service = "type ipv4_addr . inet_proto . inet_service"
    endpoint_maps = "\n    ".join(
        f"map {p}-endpoints {{ typeof ip daddr . {p} dport . numgen random mod 2 : ip daddr . {p} dport; }}"
        for p in PROTOCOLS
    )
    return f"""
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
    set cluster-ips {{ type ipv4_addr; }}
    map service-ips {{ {service} : verdict; }}
    map inside-ips {{ {service} : verdict; }}
    map outside-ips {{ {service} : verdict; }}
    map refused {{ {service} : verdict; }}
    {endpoint_maps}
    map affinity-times {{ {service} : verdict; }}
    map affinity {{
        type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
        size 1048576; flags dynamic,timeout;
    }}
    set hairpin {{ type ipv4_addr . ipv4_addr; }}
    set firewalled {{ {service}; }}
    set firewall-allowed {{ {service} . ipv4_addr; flags interval; }}

    chain mark-for-masquerade {{ meta mark set meta mark or {MARK}; }}
    chain masquerading {{
        ct status dnat ip saddr . ip daddr @hairpin masquerade
        meta mark & {MARK} == 0 return
        meta mark set meta mark ^ {MARK}
        masquerade fully-random
    }}
    chain reject-chain {{
        meta l4proto tcp reject with tcp reset  # the kernel sends only a few ICMP errors a second
        reject
    }}
    chain external-local {{
        {from_pods if config.cluster_cidr else ""}
        fib saddr type local jump mark-for-masquerade
        fib saddr type local {_FRONTEND} vmap @inside-ips
        {_FRONTEND} vmap @outside-ips
    }}
    chain services {{
        {off_cluster if config.cluster_cidr else ""}
        {_FRONTEND} vmap @service-ips
    }}
    chain firewall {{ {_FRONTEND} @firewalled {_FRONTEND} . ip saddr != @firewall-allowed drop; }}
    chain remember {{ {_TRANSPORT} {_ORIGINAL} vmap @affinity-times; }}
    chain refuse {{
        {_FRONTEND} vmap @refused
        ip daddr @cluster-ips goto reject-chain
    }}

    chain filter-prerouting {{ type filter hook prerouting priority dstnat - 10; {new} jump firewall; }}
    chain filter-output {{ type filter hook output priority -110; {new} jump firewall; }}
    chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
    chain nat-output {{ type nat hook output priority -100; jump services; }}
    chain after-prerouting {{ type filter hook prerouting priority dstnat + 10; {new} ct status dnat jump remember; }}
    chain after-output {{ type filter hook output priority -90; {new} ct status dnat jump remember; }}
    chain filter-input {{ type filter hook input priority -110; {new} jump refuse; }}
    chain filter-forward {{ type filter hook forward priority -110; {new} jump refuse; }}
    chain refuse-output {{ type filter hook output priority -80; {new} jump refuse; }}
    chain nat-postrouting {{ type nat hook postrouting priority srcnat; jump masquerading; }}
}}
"""


def chains(verdicts: Iterable[str], known: set[str]) -> list[str]:
    """Commands for the chains that ``verdicts`` need and that are not yet ``known``; adds them to ``known``."""
    return [command for verdict in verdicts for command in _chain(verdict, known)]


def _chain(verdict: str, known: set[str]) -> list[str]:
    name = verdict.removeprefix("goto ")
    if name in known or not verdict.startswith("goto "):
        return []
    if seconds := name.removeprefix("remember-") if name.startswith("remember-") else "":
        known.add(name)
        entry = f"ip saddr . {_ORIGINAL} timeout {seconds}s : ip daddr . th dport"
        return _chain_with(name, f"{_TRANSPORT} update @affinity {{ {entry} }}")
    match = _CHAIN.match(verdict)
    if match is None:
        return []  # one of the fixed chains
    known.add(name)
    if name.startswith("masquerade-"):
        rest = name.removeprefix("masquerade-")
        return _chain(f"goto {rest}", known) + _chain_with(name, "jump mark-for-masquerade", f"goto {rest}")
    if name.startswith("affinity-"):
        rest = name.removeprefix("affinity-")
        choice = f"{_TRANSPORT} dnat ip to ip saddr . {_FRONTEND} map @affinity"
        return _chain(f"goto {rest}", known) + _chain_with(name, choice, f"goto {rest}")
    number = f"numgen random mod {match['count']}" + (f" offset {LOCAL_OFFSET}" if match["local"] else "")
    # One map and one rule for each protocol: nft cannot load a map of `th dport`, of any protocol, into such a rule.
    rules = (f"dnat ip to ip daddr . {p} dport . {number} map @{p}-endpoints" for p in PROTOCOLS)
    return _chain_with(name, *rules)


def _chain_with(name: str, *rules: str) -> list[str]:
    return [f"add chain ip {TABLE} {name}", *(f"add rule ip {TABLE} {name} {rule}" for rule in rules)]


def elements(port: ServicePort, config: ProxyConfig) -> dict[Element, str]:
    """Everything that one port of a Service puts into the maps: (map, key) -> value, ``""`` in a set."""
    found: dict[Element, str] = {}
    for address in port.cluster_ips:
        if address not in config.own_addresses:
            found["cluster-ips", address] = ""
            found |= _frontend(port, address, port.internal_endpoints, port.internal_local)
    external = port.external_ips + port.load_balancer_ips
    for address in external + (config.node_addresses if port.node_port else ()):
        number = port.port if address in external else port.node_port
        found |= _external(port, address, number)
    if port.source_ranges:
        for address in port.load_balancer_ips:
            found |= _firewall(port, f"{address} . {port.protocol} . {port.port}")
    for endpoint in port.endpoints + port.local_endpoints:
        if endpoint.local or not config.node_name:
            found["hairpin", f"{endpoint.address} . {endpoint.address}"] = ""
    return found


def _frontend(port: ServicePort, address: str, endpoints: tuple[Endpoint, ...], local: bool) -> dict[Element, str]:
    """A Service's own address."""
    key = f"{address} . {port.protocol} . {port.port}"
    if not endpoints:
        return {("refused", key): "drop" if local and port.endpoints else "goto reject-chain"}
    return _choices(port, key, endpoints, local) | {("service-ips", key): _verdict(port, endpoints, local)}


def _external(port: ServicePort, address: str, number: int) -> dict[Element, str]:
    """A node port or an address from outside."""
    key = f"{address} . {port.protocol} . {number}"
    if not port.endpoints:
        return {("refused", key): "goto reject-chain"}
    found = _choices(port, key, port.endpoints, False)
    if not port.external_local:
        return found | {("service-ips", key): _verdict(port, port.endpoints, False, "masquerade-")}
    found["service-ips", key] = "goto external-local"
    found["inside-ips", key] = _verdict(port, port.endpoints, False)
    found["outside-ips", key] = "drop"
    if port.local_endpoints:
        found |= _choices(port, key, port.local_endpoints, True)
        found["outside-ips", key] = _verdict(port, port.local_endpoints, True)
    return found


def _choices(port: ServicePort, key: str, endpoints: tuple[Endpoint, ...], local: bool) -> dict[Element, str]:
    start = LOCAL_OFFSET if local else 0
    address, _, number = key.split(" . ")
    found = {
        (f"{port.protocol}-endpoints", f"{address} . {number} . {i}"): f"{e.address} . {e.port}"
        for i, e in enumerate(endpoints, start)
    }
    if port.affinity_seconds:
        found["affinity-times", key] = f"goto remember-{port.affinity_seconds}"
    return found


def _verdict(port: ServicePort, endpoints: tuple[Endpoint, ...], local: bool, prefix: str = "") -> str:
    affinity = "affinity-" if port.affinity_seconds else ""
    return f"goto {prefix}{affinity}spread-{'local-' if local else ''}{len(endpoints)}"


def _firewall(port: ServicePort, key: str) -> dict[Element, str]:
    """Overlapping ranges are merged, because the kernel refuses them in one set."""
    ranges = ipaddress.collapse_addresses(ipaddress.IPv4Network(r, strict=False) for r in port.source_ranges)
    return {("firewalled", key): ""} | {("firewall-allowed", f"{key} . {r}"): "" for r in ranges}


def commands(remove: Iterable[Element], add: Mapping[Element, str]) -> list[str]:
    """One ``delete element`` and one ``add element`` for each map concerned."""
    gone: dict[str, list[str]] = {}
    for name, key in remove:
        gone.setdefault(name, []).append(key)
    new: dict[str, list[str]] = {}
    for (name, key), value in add.items():
        new.setdefault(name, []).append(f"{key} : {value}" if value else key)
    return [
        f"{verb} element ip {TABLE} {name} {{ {', '.join(keys)} }}"
        for verb, names in (("delete", gone), ("add", new))
        for name, keys in names.items()
    ]
