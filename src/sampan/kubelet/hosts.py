"""``/etc/hosts`` of a pod, and the name it goes by.  Upstream: ``pkg/kubelet/kubelet_pods.go`` ``ensureHostsFile``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sampan.kubelet.containers import Pod
from sampan.runtime.base import RuntimeFailure

LOCAL = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
HOSTNAME_MAX = 63  # what the kernel allows is 64


def hostname(pod: Pod) -> str:
    """The host name inside the pod: ``spec.hostname`` or the pod's name, cut to what the kernel takes."""
    override = pod["spec"].get("hostnameOverride")
    if override:
        return str(override)
    name = str(pod["spec"].get("hostname") or pod["metadata"]["name"])
    return name[:HOSTNAME_MAX].rstrip("-.") if len(name) > HOSTNAME_MAX else name


def domain(pod: Pod, cluster_domain: str) -> str:
    """``subdomain.namespace.svc.cluster.local``, or ``""`` for a pod without a subdomain."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return ""
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}"


def uts_name(pod: Pod, node_name: str, cluster_domain: str) -> str:
    """What ``hostname`` prints in the pod. On the node's network that is the node's name, which is not the machine's.

    Raises: RuntimeFailure when the full name is longer than the kernel takes.
    """
    if pod["spec"].get("hostNetwork"):
        return node_name
    name, where = hostname(pod), domain(pod, cluster_domain)
    if not (where and pod["spec"].get("setHostnameAsFQDN")):
        return name
    full = f"{name}.{where}"
    if len(full) > HOSTNAME_MAX + 1:
        raise RuntimeFailure(f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
                             f"({HOSTNAME_MAX + 1} characters is the max, {len(full)} characters requested)")
    return full


def hosts_file(pod: Pod, ips: Sequence[str], cluster_domain: str) -> str:
    """The managed file of a pod with an address of its own."""
    name, where = hostname(pod), domain(pod, cluster_domain)
    names = f"{name}.{where}\t{name}" if where else name
    return LOCAL + "".join(f"{ip}\t{names}\n" for ip in ips) + _aliases(pod["spec"])


def node_hosts_file(pod: Pod, node_text: str) -> str:
    """With hostNetwork: the node's own file, and the aliases."""
    header = "# Kubernetes-managed hosts file (host network).\n"
    return header + node_text + _aliases(pod["spec"])


def _aliases(spec: Mapping[str, Any]) -> str:
    aliases = spec.get("hostAliases") or ()
    if not aliases:
        return ""
    lines = "".join(f"{a['ip']}\t{chr(9).join(a.get('hostnames') or ())}\n" for a in aliases)
    return "\n# Entries added by HostAliases.\n" + lines
