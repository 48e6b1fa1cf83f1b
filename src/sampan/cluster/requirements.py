"""What the machine must have, checked before anything is started; each lack is one line that says what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sampan.cluster.config import ClusterError

#: program -> the Debian package that brings it
PROGRAMS = {"conmon": "conmon", "catatonit": "catatonit", "nft": "nftables"}
IPTABLES = {"iptables-restore": "iptables"}


def check(proxy_mode: str = "auto") -> None:
    """Raises: ClusterError naming everything that is missing, at once."""
    if os.geteuid() != 0:
        raise ClusterError("needs root: containers and network namespaces are the kernel's (try sudo)")
    wanted = PROGRAMS | (IPTABLES if proxy_mode == "iptables" else {})
    missing = [package for program, package in wanted.items() if not _has(program)]
    if not (_has("runc") or _has("crun")):
        missing.append("runc")
    if missing:
        raise ClusterError(f"missing: {', '.join(missing)} (try: apt-get install {' '.join(missing)})")
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise ClusterError("the kernel has no overlayfs (try: modprobe overlay)")


def _has(program: str) -> bool:
    """Daemons live in sbin, which is not on every user's PATH."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None
