"""A container's root file system: the image's layers below, one writable directory above (overlayfs).

Nothing is copied. A file is written to ``upper`` when it is first changed, and a removed one is marked there by a
character device 0:0.  Upstream: Documentation/filesystems/overlayfs.rst in the kernel.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.native import syscalls

_PAGE = 4096  # mount(2) takes one page of options


def mount(directory: Path, layers: Sequence[Path]) -> Path:
    """Mount ``directory/rootfs`` over ``layers`` (base first); returns it. A second call finds it mounted."""
    rootfs, upper, work = directory / "rootfs", directory / "upper", directory / "work"
    if os.path.ismount(rootfs):
        return rootfs
    for path in (rootfs, upper, work):
        path.mkdir(exist_ok=True)
    if not layers:
        syscalls.mount(str(upper), str(rootfs), "none", syscalls.MS_BIND)
        return rootfs
    tail = f",upperdir={upper},workdir={work}"
    lower = ":".join(map(str, reversed(layers)))
    if len(lower) + len(tail) + 10 < _PAGE:
        syscalls.mount("overlay", str(rootfs), "overlay", 0, f"lowerdir={lower}{tail}")
    else:
        _mount_by_descriptors(rootfs, layers, tail)
    return rootfs


def _mount_by_descriptors(rootfs: Path, layers: Sequence[Path], tail: str) -> None:
    # Forty long layer paths do not fit into a page, their descriptors do.
    opened = [os.open(layer, os.O_PATH | os.O_CLOEXEC) for layer in reversed(layers)]
    try:
        options = "lowerdir=" + ":".join(f"/proc/self/fd/{fd}" for fd in opened) + tail
        if len(options) >= _PAGE:
            raise RuntimeFailure(f"an image of {len(layers)} layers is more than overlayfs can mount")
        syscalls.mount("overlay", str(rootfs), "overlay", 0, options)
    finally:
        for fd in opened:
            os.close(fd)


def unmount(directory: Path) -> None:
    syscalls.unmount(str(directory / "rootfs"))


def read_text(rootfs: Path, path: str, limit_bytes: int = 1 << 20) -> str:
    """A file of the container as the container would see it, "" when there is none: no symlink leads to the host."""
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = syscalls.open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            return file.read(limit_bytes).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(root)


def size_bytes(directory: Path) -> int:
    """Disk space of the writable layer."""
    total, todo = 0, [str(directory / "upper")]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except FileNotFoundError:
            continue
    return total
