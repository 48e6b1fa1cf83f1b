"""Network namespaces: making one that outlives its maker, and working inside one.

A network namespace lives as long as a process is in it or a mount holds it.  ``pin`` makes one in a short-lived
thread (namespaces belong to threads, not to processes) and bind-mounts that thread's ``ns/net`` on a file.  In
``/run/netns`` such a file is what ``ip netns`` lists.

``run_in`` works the same way: a thread of its own enters the namespace, does the work and ends, so that no pool
thread can ever come back in the wrong namespace.  It costs about 0.1 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sampan.network.netlink import NETLINK_ROUTE, Netlink

T = TypeVar("T")

RUN_NETNS = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def run_in(path: str | Path, work: Callable[[], T]) -> T:
    """Call ``work`` inside the network namespace at ``path`` (a pinned file or /proc/<pid>/ns/net)."""

    def inside() -> T:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(fd, _CLONE_NEWNET), path)
        finally:
            os.close(fd)
        return work()

    return _in_thread(inside)


def open_netlink(path: str | Path = "", protocol: int = NETLINK_ROUTE) -> Netlink:
    """A netlink socket of the namespace at ``path``; of the caller's own without a path."""
    return run_in(path, lambda: Netlink(protocol)) if path else Netlink(protocol)


def pin(path: Path) -> None:
    """Make a new network namespace held by a mount on ``path``. A second call keeps the one that is there."""
    if is_pinned(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o444)

    def make() -> None:
        _check(_libc.unshare(_CLONE_NEWNET), path)
        own = b"/proc/thread-self/ns/net"
        _check(_libc.mount(own, bytes(path), b"none", _MS_BIND, None), path)

    _in_thread(make)


def unpin(path: Path) -> None:
    """Let go of the namespace; it ends with its last process. A second call does nothing."""
    while is_pinned(path):
        _check(_libc.umount2(bytes(path), _MNT_DETACH), path)
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others' namespaces may be there, or `ip netns` may have mounted the folder
        path.parent.rmdir()


def is_pinned(path: Path) -> bool:
    """Whether a namespace is mounted at ``path``: nsfs is another device than the folder's."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def _in_thread(work: Callable[[], T]) -> T:
    result: list[T] = []
    trouble: list[BaseException] = []

    def body() -> None:
        try:
            result.append(work())
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=body, name="netns")
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
    return result[0]


def _check(outcome: int, path: str | Path) -> None:
    if outcome:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
