"""Which system calls a container may make.

Two profiles.  "" and ``Unconfined``: no filter.  ``RuntimeDefault``: the kernel's doors to the whole machine are shut
(modules, kexec, clocks, keyrings, mounts, new namespaces, raw I/O ports, BPF, tracing across namespaces), each unless
the capability that governs it was granted.  It is a list of what is refused, not of what is allowed as containerd's:
every entry can be explained, and a system call that is new in the kernel works.  A path names an OCI profile in JSON.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson

from sampan.runtime.base import RuntimeFailure

# {capability that opens the door: system calls}
_REFUSED_WITHOUT = {
    "CAP_SYS_ADMIN": (
        "bpf fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree "
        "perf_event_open pivot_root quotactl quotactl_fd setdomainname sethostname setns swapoff swapon umount umount2 "
        "unshare fanotify_init"
    ),
    "CAP_SYS_MODULE": "create_module delete_module finit_module init_module query_module",
    "CAP_SYS_BOOT": "reboot kexec_load kexec_file_load",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime clock_adjtime clock_adjtime64 adjtimex",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp process_madvise pidfd_getfd",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node move_pages migrate_pages",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at name_to_handle_at",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}
_ALWAYS_REFUSED = (
    "add_key keyctl request_key userfaultfd nfsservctl _sysctl sysfs uselib ustat vm86 vm86old get_kernel_syms "
    "io_uring_setup io_uring_enter io_uring_register"
)
_NEW_NAMESPACES = 0x7E020000  # the CLONE_NEW* bits of clone(2)
_EPERM, _ENOSYS = 1, 38


def profile(wanted: str, capabilities: Collection[str]) -> dict[str, Any] | None:
    """The ``linux.seccomp`` object for a container, None for no filter. Raises: RuntimeFailure for a bad file."""
    if wanted in ("", "Unconfined"):
        return None
    if wanted != "RuntimeDefault":
        return _from_file(wanted)
    refused = _ALWAYS_REFUSED.split()
    for capability, names in _REFUSED_WITHOUT.items():
        if capability not in capabilities:
            refused += names.split()
    rules: list[dict[str, Any]] = [{"names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}]
    if "CAP_SYS_ADMIN" not in capabilities:
        for flag in _bits(_NEW_NAMESPACES):
            same = {"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}
            rules.append({"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM, "args": [same]})
        # clone3 hides its flags behind a pointer that no filter can follow; libc falls back to clone on ENOSYS.
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}


def _bits(mask: int) -> list[int]:
    return [1 << n for n in range(32) if mask >> n & 1]


def _from_file(path: str) -> dict[str, Any]:
    try:
        found = orjson.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise RuntimeFailure(f"cannot load seccomp profile {path!r}: {error}") from error
    if not isinstance(found, dict) or "defaultAction" not in found:
        raise RuntimeFailure(f"seccomp profile {path!r} has no defaultAction")
    return found
