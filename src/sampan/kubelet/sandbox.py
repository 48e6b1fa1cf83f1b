"""The sandbox of a pod: what its containers share.  Upstream: ``pkg/kubelet/kuberuntime/kuberuntime_sandbox.go``."""

from __future__ import annotations

from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.containers import Pod
from sampan.kubelet.hosts import uts_name
from sampan.kubelet.labels import pod_labels
from sampan.kubelet.resolv import Resolver, resolver
from sampan.kubelet.security import sandbox_security, sysctls
from sampan.runtime.base import NamespaceMode, SandboxConfig


def sandbox_config(pod: Pod, attempt: int, config: KubeletConfig, node: Resolver, cgroup_parent: str) -> SandboxConfig:
    """What the runtime is to make; ``node`` is the node's own resolver."""
    meta, spec = pod["metadata"], pod["spec"]
    found = resolver(pod, node, config.cluster_dns, config.cluster_domain)
    return SandboxConfig(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        attempt=attempt,
        hostname=uts_name(pod, config.node_name, config.cluster_domain),
        log_directory=str(config.log_dir(meta["namespace"], meta["name"], meta["uid"])),
        dns_servers=found.servers,
        dns_searches=found.searches,
        dns_options=found.options,
        network="node" if spec.get("hostNetwork") else "pod",
        pid=pid_mode(pod),
        ipc="node" if spec.get("hostIPC") else "pod",
        sysctls=sysctls(pod),
        cgroup_parent=cgroup_parent,
        security=sandbox_security(pod, str(config.seccomp_dir)),
        labels=pod_labels(pod),
        annotations=dict(meta.get("annotations") or {}),
    )


def pid_mode(pod: Pod) -> NamespaceMode:
    if pod["spec"].get("hostPID"):
        return "node"
    return "pod" if pod["spec"].get("shareProcessNamespace") else "container"


def refusal(pod: Pod) -> str:
    """Why this node can't run the pod at all, ``""`` if it can: fields that would otherwise be ignored silently."""
    spec = pod["spec"]
    if spec.get("hostUsers") is False:
        return "spec.hostUsers: false (user namespaces) is not supported by this node"
    if spec.get("runtimeClassName"):
        return f'RuntimeClass "{spec["runtimeClassName"]}" is not supported by this node'
    if not spec.get("hostNetwork"):
        containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
        ports = [port["hostPort"] for c in containers for port in c.get("ports") or () if port.get("hostPort")]
        if ports:
            return f"hostPort {ports[0]} is not supported by this node: use a Service of type NodePort, or hostNetwork"
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        return f"spec.os.name {spec['os']['name']} does not match this node's operating system linux"
    return ""
