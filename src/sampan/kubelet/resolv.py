"""The resolver settings of a pod, from ``dnsPolicy`` and ``dnsConfig``.

Upstream: ``pkg/kubelet/network/dns/dns.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sampan.kubelet.containers import Pod

MAX_SERVERS = 3
MAX_SEARCHES = 32


@dataclass(frozen=True, slots=True)
class Resolver:
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse(text: str) -> Resolver:
    """Reads a resolv.conf. The last ``search`` or ``domain`` line wins, as in libc."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(words[1:])
        elif words[0] == "options":
            options = tuple(words[1:])
    return Resolver(tuple(servers), searches, options)


def resolver(pod: Pod, node: Resolver, cluster_dns: Sequence[str], cluster_domain: str) -> Resolver:
    """The pod's resolver; ``node`` is the node's own. Without a cluster DNS, ClusterFirst means Default."""
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and pod["spec"].get("hostNetwork"):
        policy = "Default"
    if policy == "None":
        base = Resolver()
    elif policy == "Default" or not cluster_dns:
        base = node
    else:
        base = _cluster_first(pod, node, cluster_dns, cluster_domain)
    return _with_config(pod, base)


def _cluster_first(pod: Pod, node: Resolver, cluster_dns: Sequence[str], domain: str) -> Resolver:
    searches = node.searches
    if domain:
        namespace = pod["metadata"]["namespace"]
        searches = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *node.searches)
    return Resolver(tuple(cluster_dns), tuple(dict.fromkeys(searches)), ("ndots:5",))


def _with_config(pod: Pod, base: Resolver) -> Resolver:
    config = pod["spec"].get("dnsConfig") or {}
    options = {o.partition(":")[0]: o for o in base.options}
    for option in config.get("options") or ():
        name, value = option["name"], option.get("value")
        options[name] = f"{name}:{value}" if value else name
    return Resolver(
        tuple(dict.fromkeys((*base.servers, *(config.get("nameservers") or ()))))[:MAX_SERVERS],
        tuple(dict.fromkeys((*base.searches, *(config.get("searches") or ()))))[:MAX_SEARCHES],
        tuple(options.values()),
    )
