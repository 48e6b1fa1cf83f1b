"""What the machine has and is: capacity, identity, software.  All read from the kernel, nothing assumed.

Upstream: ``pkg/kubelet/nodestatus``, cadvisor.
"""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from sampan.kubelet.config import KubeletConfig

KUBELET_VERSION = "v1.37.0"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x",
                  "riscv64": "riscv64"}
EVICTION_RESERVE = 0.1  # upstream holds back what its eviction threshold nodefs.available<10% protects


def architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def memory_capacity() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_available() -> int:
    """``MemAvailable``, in bytes."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return memory_capacity()


def cpu_count() -> int:
    return len(os.sched_getaffinity(0))


def capacity(config: KubeletConfig) -> dict[str, str]:
    """``{"cpu": "2", "memory": "24000000Ki", ...}``."""
    existing = next(p for p in (config.data_dir, *config.data_dir.parents) if p.exists())
    return {
        "cpu": str(cpu_count()),
        "memory": f"{memory_capacity() // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(existing).total // 1024}Ki",
        "pods": str(config.max_pods),
    }


def allocatable(config: KubeletConfig) -> dict[str, str]:
    """The capacity less what is held back for the system."""
    found = capacity(config)
    storage = int(found["ephemeral-storage"].removesuffix("Ki")) * 1024
    memory = memory_capacity() - config.system_reserved_memory_bytes
    return found | {
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": str(int(storage * (1 - EVICTION_RESERVE))),
    }


def node_info(runtime_version: str) -> dict[str, str]:
    """``status.nodeInfo``."""
    return {
        "machineID": _read("/etc/machine-id"),
        "systemUUID": _read("/sys/class/dmi/id/product_uuid") or _read("/etc/machine-id"),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": platform.release(),
        "osImage": _os_image(),
        "containerRuntimeVersion": runtime_version,
        "kubeletVersion": KUBELET_VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": architecture(),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"
