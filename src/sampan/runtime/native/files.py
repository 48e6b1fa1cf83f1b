"""The files that the runtime, not the kubelet, gives to every container of a pod: names, resolver, shared memory."""

from __future__ import annotations

import shutil
from pathlib import Path

from sampan.runtime.base import Mount, SandboxConfig

_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def write(directory: Path, config: SandboxConfig) -> None:
    (directory / "hosts").write_text(_HOSTS)
    (directory / "hostname").write_text(f"{config.hostname}\n")
    if resolv := resolv_conf(config):
        (directory / "resolv.conf").write_text(resolv)
    else:
        shutil.copyfile("/etc/resolv.conf", directory / "resolv.conf")


def resolv_conf(config: SandboxConfig) -> str:
    """"" when the pod's DNS says nothing: then it has the node's file."""
    lines = [f"search {' '.join(config.dns_searches)}"] if config.dns_searches else []
    lines += [f"nameserver {server}" for server in config.dns_servers]
    lines += [f"options {' '.join(config.dns_options)}"] if config.dns_options else []
    return "".join(f"{line}\n" for line in lines)


def mounts(directory: Path, config: SandboxConfig) -> tuple[Mount, ...]:
    """What every container of the sandbox has mounted, unless the pod mounts something else there."""
    found = [Mount(f"/etc/{name}", str(directory / name)) for name in ("hosts", "resolv.conf")]
    if config.hostname:
        found.append(Mount("/etc/hostname", str(directory / "hostname")))
    shm = "/dev/shm" if config.ipc == "node" else str(directory / "shm")
    return (*found, Mount("/dev/shm", shm))
