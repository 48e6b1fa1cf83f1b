"""hostPath: a file, directory, socket or device of the node, checked by its declared type.

Upstream: ``pkg/volume/hostpath``.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

from sampan.kubelet.volumes.base import VolumeContext, VolumeError

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


async def set_up(context: VolumeContext) -> str:
    path = Path(context.source["path"])
    await asyncio.to_thread(_check, path, context.source.get("type") or "")
    return str(path)


def _check(path: Path, kind: str) -> None:
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    kind = kind.removesuffix("OrCreate")
    if kind == "":
        if not path.exists():
            path.mkdir(parents=True, mode=0o755)  # what a container runtime does for an unknown bind source
        return
    if kind not in _CHECKS:
        raise VolumeError(f"hostPath type {kind!r} is not supported")
    check, complaint = _CHECKS[kind]
    if not path.exists() or not check(path.stat().st_mode):
        raise VolumeError(f"hostPath type check failed: {path} {complaint}")
