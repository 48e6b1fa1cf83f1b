"""Linux capabilities: root's powers in pieces, and which of them a container keeps.

Upstream: containerd pkg/oci spec_opts and pkg/cap; the order of the rules (all, none, add, drop) is the CRI plugin's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sampan.runtime.base import SecurityContext

# By number, from linux/capability.h.
NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
DEFAULT = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
)  # fmt: skip


@cache
def own() -> frozenset[str]:
    """What this process may itself hand on."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for number, name in enumerate(NAMES) if mask >> number & 1)
    return frozenset()


def for_container(security: SecurityContext, available: frozenset[str]) -> list[str]:
    """The capabilities of the process, in kernel order; what this machine lacks is left out."""
    if security.privileged:
        return [name for name in NAMES if name in available]
    add, drop = set(map(_full, security.add_capabilities)), set(map(_full, security.drop_capabilities))
    kept = set(NAMES) if "CAP_ALL" in add else set(DEFAULT)
    if "CAP_ALL" in drop:
        kept = set()
    kept = (kept | add) - drop
    return [name for name in NAMES if name in kept and name in available]


def _full(name: str) -> str:
    name = name.upper()
    return name if name.startswith("CAP_") else f"CAP_{name}"
