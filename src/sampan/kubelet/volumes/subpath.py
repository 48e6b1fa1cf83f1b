"""subPath: a part of a volume, even when what is inside the volume is an attacker's.

A container can put a symbolic link to ``/`` into its volume and then ask for it as a ``subPath``.  So the path is
resolved and must stay inside, then opened again part by part without following any link, and the open file (not the
path, which may have changed by now) is bind-mounted to a directory of the kubelet's own.  Upstream:
``pkg/volume/util/subpath/subpath_linux.go``.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from sampan.kubelet.volumes.base import Mounter, VolumeError


def bind_subpath(mounter: Mounter, volume: str, sub_path: str, target: Path, mode: int = 0o750) -> str:
    """Bind ``volume/sub_path`` (made as a directory if missing) on ``target``; returns it.

    Blocks. Raises: VolumeError.
    """
    if sub_path.startswith("/") or ".." in sub_path.split("/"):
        raise VolumeError(f"subPath {sub_path!r} must be relative and not contain '..'")
    root = os.path.realpath(volume)
    wanted = os.path.realpath(os.path.join(root, sub_path))
    if wanted != root and not wanted.startswith(root.rstrip("/") + "/"):
        raise VolumeError(f"subPath {sub_path!r} is not inside the volume")
    handle = _open_inside(root, os.path.relpath(wanted, root), mode)
    try:
        _make_target(target, os.path.isdir(f"/proc/self/fd/{handle}"))
        mounter.bind(f"/proc/self/fd/{handle}", target)
    finally:
        os.close(handle)
    return str(target)


def _open_inside(root: str, relative: str, mode: int) -> int:
    """A handle on ``root/relative``; each part is opened without following a link, or made as a directory."""
    handle = os.open(root, os.O_PATH | os.O_DIRECTORY)
    for part in [] if relative == "." else relative.split("/"):
        try:
            following = _open_part(handle, part, mode)
        except OSError as error:
            raise VolumeError(f"subPath part {part!r}: {error.strerror}") from error
        finally:
            os.close(handle)
        handle = following
    return handle


def _open_part(parent: int, part: str, mode: int) -> int:
    try:
        handle = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(part, mode, dir_fd=parent)
        handle = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
    if stat.S_ISLNK(os.fstat(handle).st_mode):  # O_PATH with O_NOFOLLOW opens the link itself
        os.close(handle)
        raise OSError(errno.ELOOP, "is a symbolic link")
    return handle


def _make_target(target: Path, directory: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if directory:
        target.mkdir(exist_ok=True)
    else:
        target.touch(exist_ok=True)
