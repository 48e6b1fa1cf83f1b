"""mount(2) and umount2(2), by libc: tmpfs for what must not touch the disk, bind mounts for ``subPath``.

Upstream: ``k8s.io/mount-utils``.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_BIND = 4096
MS_REC = 16384
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_libc = ctypes.CDLL(None, use_errno=True)


class KernelMounter:
    """The real ``Mounter``. Every call is idempotent."""

    def tmpfs(self, path: Path, *, size_bytes: int = 0, mode: int = 0o755) -> None:
        path.mkdir(parents=True, exist_ok=True)
        if not os.path.ismount(path):
            size = f",size={size_bytes}" if size_bytes else ""
            _mount("tmpfs", str(path), "tmpfs", 0, f"mode={mode:o}{size}")

    def bind(self, source: str, target: Path) -> None:
        if not os.path.ismount(target):
            _mount(source, str(target), "", MS_BIND | MS_REC, "")

    def unmount_below(self, path: Path) -> None:
        """Take away every mount at or below the path, the deepest first."""
        for mounted in sorted(mounts_below(path), key=len, reverse=True):
            if _libc.umount2(mounted.encode(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0:
                raise OSError(ctypes.get_errno(), f"umount {mounted}: {os.strerror(ctypes.get_errno())}")


def mounts_below(path: Path) -> list[str]:
    """The mount points at or below the path, with one entry for each mount stacked there."""
    prefix = str(path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        points = [_unescape(line.split(" ", 5)[4]) for line in lines]
    return [p for p in points if p == prefix or p.startswith(prefix + "/")]


def _unescape(text: str) -> str:
    if "\\" not in text:  # a node of a hundred pods has a thousand mounts, each looked at for each pod that ends
        return text
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def _mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    encoded = [s.encode("utf-8", "surrogateescape") for s in (source, target, kind, data)]
    if _libc.mount(encoded[0], encoded[1], encoded[2], flags, encoded[3]) != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}: {os.strerror(ctypes.get_errno())}")
