"""Network namespaces that outlive processes: each pinned by a bind mount of its file in /proc.

A namespace belongs to a thread, not to a process, so a worker thread can step into another one, do what it has to, and
step back while the agent's other threads stay where they are.  ``inside`` is that step.  What a socket talks to is
decided when it is created: one made inside a pod's namespace can be handed to the event loop outside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from sampan.runtime.native import syscalls

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

# As containerd and CRI-O set them: ports below 1024 and ping need no capability in a pod's own namespace.
_POD_SYSCTLS = {
    "net/ipv4/ip_unprivileged_port_start": "0",
    "net/ipv4/ping_group_range": "0 2147483647",
}


@contextlib.contextmanager
def inside(path: str) -> Iterator[None]:
    """The calling thread is in the network namespace at ``path``. Never call this on the event loop's thread."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(there, syscalls.CLONE_NEWNET)
        finally:
            os.close(there)
        try:
            yield
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
    finally:
        os.close(home)


def create(path: Path) -> None:
    """A new namespace with lo up, pinned at ``path``. 0.7 ms."""
    path.touch()
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            syscalls.mount("/proc/thread-self/ns/net", str(path), "none", syscalls.MS_BIND)
            _prepare()
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
    finally:
        os.close(home)


def remove(path: Path) -> None:
    """The kernel tears the namespace down once nothing else refers to it."""
    syscalls.unmount(str(path))
    path.unlink(missing_ok=True)


def _prepare() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("16xH", fcntl.ioctl(s, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
    for name, value in _POD_SYSCTLS.items():
        with contextlib.suppress(OSError):
            Path("/proc/sys", name).write_text(value)
