"""What is mounted into a container: its volumeMounts, ``/etc/hosts``, and the file for its last words.

Upstream: ``pkg/kubelet/kubelet_pods.go`` ``makeMounts``.  All of it blocks and runs in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sampan.kubelet.container_config import DEFAULT_TERMINATION_PATH
from sampan.kubelet.containers import Container, Pod
from sampan.kubelet.env import ConfigError, expand
from sampan.kubelet.hosts import hosts_file, node_hosts_file
from sampan.kubelet.volumes.base import Mounter, VolumeError
from sampan.kubelet.volumes.subpath import bind_subpath
from sampan.runtime.base import Mount, SandboxStatus

_PROPAGATION: Mapping[str, Literal["private", "rslave", "rshared"]] = {
    "None": "private",
    "HostToContainer": "rslave",
    "Bidirectional": "rshared",
}
_READ_ONLY_KINDS = ("configMap", "secret", "downwardAPI", "projected")


def volume_mounts(
    pod: Pod, container: Container, paths: Mapping[str, str], env: Mapping[str, str], pod_dir: Path, mounter: Mounter
) -> list[Mount]:
    """Raises: ConfigError."""
    sources = {v["name"]: v for v in pod["spec"].get("volumes") or ()}
    found = []
    for index, mount in enumerate(container.spec.get("volumeMounts") or ()):
        name = mount["name"]
        if name not in paths:
            raise ConfigError(f'cannot find volume "{name}" to mount into container "{container.name}"')
        host_path = paths[name]
        sub_path = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
        if sub_path:
            target = pod_dir / "volume-subpaths" / name / container.name / str(index)
            host_path = _sub_path(mounter, host_path, sub_path, target, name, container)
        read_only = bool(mount.get("readOnly")) or any(k in sources[name] for k in _READ_ONLY_KINDS)
        propagation = _PROPAGATION[mount.get("mountPropagation") or "None"]
        found.append(Mount(_absolute(mount), host_path, read_only, propagation))
    return found


def _absolute(mount: Mapping[str, Any]) -> str:
    path = str(mount["mountPath"])
    return path if path.startswith("/") else f"/{path}"


def _sub_path(
    mounter: Mounter, volume: str, sub_path: str, target: Path, name: str, container: Container
) -> str:
    try:
        return bind_subpath(mounter, volume, sub_path, target)
    except (VolumeError, OSError) as error:
        why = f'failed to prepare subPath for volumeMount "{name}" of container "{container.name}"'
        raise ConfigError(f"{why}: {error}") from error


def hosts_mount(pod: Pod, container: Container, sandbox: SandboxStatus, pod_dir: Path, domain: str) -> list[Mount]:
    """The managed ``/etc/hosts``, unless the container mounts one of its own."""
    if any(m["mountPath"].rstrip("/") == "/etc/hosts" for m in container.spec.get("volumeMounts") or ()):
        return []
    path = pod_dir / "etc-hosts"
    if pod["spec"].get("hostNetwork"):
        text = node_hosts_file(pod, Path("/etc/hosts").read_text(errors="replace"))
    else:
        text = hosts_file(pod, sandbox.ips, domain)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o644)
    return [Mount("/etc/hosts", str(path))]


def termination_mount(container: Container, attempt: int, pod_dir: Path) -> Mount:
    """An empty file that any user of the container may write to."""
    path = pod_dir / "containers" / container.name / f"termination-{attempt}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    path.chmod(0o666)
    return Mount(container.spec.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH, str(path))
