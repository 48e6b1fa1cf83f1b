"""fsGroup: every file of a volume belongs to the group, which may read and write it; new files inherit the group.

Upstream: ``pkg/volume/volume_linux.go``.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

READ_WRITE, READ_ONLY, EXECUTE = 0o660, 0o440, 0o110


def set_group(root: Path, group: int, *, readonly: bool = False, on_root_mismatch: bool = False) -> None:
    """Give the tree to the group. Blocks. With ``on_root_mismatch``, nothing is done when the root already fits."""
    if on_root_mismatch and _fits(root, group, readonly):
        return
    _give(root, group, readonly)
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            _give(Path(directory) / name, group, readonly)


def _fits(root: Path, group: int, readonly: bool) -> bool:
    now = root.stat()
    wanted = _bits(now.st_mode, readonly)
    return now.st_gid == group and now.st_mode & wanted == wanted


def _bits(mode: int, readonly: bool) -> int:
    bits = READ_ONLY if readonly else READ_WRITE
    return bits | EXECUTE | stat.S_ISGID if stat.S_ISDIR(mode) else bits


def _give(path: Path, group: int, readonly: bool) -> None:
    now = path.lstat()
    os.lchown(path, -1, group)
    if not stat.S_ISLNK(now.st_mode):
        path.chmod(stat.S_IMODE(now.st_mode) | _bits(now.st_mode, readonly))
