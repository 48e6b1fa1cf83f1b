"""The few system calls that Python 3.11 lacks: mount, namespaces, inotify, openat2.

ctypes releases the GIL during a call, so these run side by side in threads.  No `mount` or `ip` process is spawned:
each would cost 2 ms and more, several times per pod.
"""

from __future__ import annotations

import ctypes
import os
import struct

CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x04000000, 0x08000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
IN_CREATE, IN_MOVED_TO = 0x100, 0x80
RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS = 0x10, 0x02

_SYS_OPENAT2 = 437  # the same on every architecture
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    data = options.encode() if options else None
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data), target)


def unmount(target: str) -> None:
    """Detach ``target`` at once, even when busy. What is not mounted or not there is left alone."""
    try:
        _check(_libc.umount2(target.encode(), MNT_DETACH | UMOUNT_NOFOLLOW), target)
    except OSError as error:
        if error.errno not in (2, 22):  # ENOENT, EINVAL: not there, not a mount point
            raise


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind), "setns")


def inotify_init() -> int:
    return _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    return _check(_libc.inotify_add_watch(fd, path.encode(), mask), path)


def inotify_names(data: bytes) -> list[str]:
    """The file names of a read from an inotify descriptor."""
    names, at = [], 0
    while at < len(data):
        _, _, _, length = struct.unpack_from("iIII", data, at)
        names.append(data[at + 16 : at + 16 + length].rstrip(b"\0").decode())
        at += 16 + length
    return names


def open_in_root(root_fd: int, path: str, flags: int, mode: int = 0) -> int:
    """Open ``path`` as a process chrooted at ``root_fd`` would: no ``..`` and no symlink leads out."""
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    buffer = ctypes.create_string_buffer(how, len(how))
    return _check(_libc.syscall(_SYS_OPENAT2, root_fd, path.encode(), buffer, ctypes.c_size_t(len(how))), path)
