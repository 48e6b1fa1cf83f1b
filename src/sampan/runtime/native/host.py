"""What this machine can do, asked once when the runtime starts."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from sampan.runtime.native import capabilities, cgroups
from sampan.runtime.native.oci import Host

_OWN_DEVICES = {"pts", "shm", "mqueue", "fd", "console", ".lxc", ".lxd-mounts"}  # the container gets its own


def look() -> Host:
    caps = capabilities.own()
    lowest = -1000
    if "CAP_SYS_RESOURCE" not in caps:
        lowest = int(Path("/proc/self/oom_score_adj").read_text())
    if cgroups.unified():
        swap = Path("/proc/swaps").exists()
    else:
        swap = (cgroups.ROOT / "memory/memory.memsw.limit_in_bytes").exists()
    return Host(cgroups.unified(), caps, lowest, swap)


def devices(root: str = "/dev") -> tuple[dict[str, Any], ...]:
    """Every device node of the host in OCI form, for privileged containers."""
    found: list[dict[str, Any]] = []
    for entry in os.scandir(root):
        if entry.name in _OWN_DEVICES or entry.is_symlink():
            continue
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            found += devices(entry.path)
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            found.append({
                "path": entry.path, "type": "c" if stat.S_ISCHR(status.st_mode) else "b",
                "major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev),
                "fileMode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid,
            })  # fmt: skip
    return tuple(found)
