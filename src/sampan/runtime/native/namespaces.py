"""The namespaces that a pod's containers share: made in one step, owned by the pause process, pinned by bind mounts.

    state/netns/<id>  state/ipcns/<id>  state/utsns/<id>     their files in /proc, joined by path

The pins let the network be attached while the pause process starts, and let containers be started without asking for
a process id that might be another's by now.  A pid namespace can't be pinned: it ends with its first process.
Upstream: CRI-O's ``pinns``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from sampan.runtime.base import RuntimeFailure, SandboxConfig
from sampan.runtime.native import syscalls

T = TypeVar("T")
Kind = Literal["network", "ipc", "uts"]  # as the OCI runtime-spec names them
KINDS: Mapping[Kind, tuple[str, int]] = {
    "network": ("net", syscalls.CLONE_NEWNET), "ipc": ("ipc", syscalls.CLONE_NEWIPC),
    "uts": ("uts", syscalls.CLONE_NEWUTS),
}  # fmt: skip
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

# As containerd and CRI-O set them: ports below 1024 and ping need no capability in a pod's own namespace.
_POD_SYSCTLS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}
_IPC_SYSCTLS = {
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
    "kernel.shmmni", "kernel.shm_rmid_forced",
}  # fmt: skip


def wanted(config: SandboxConfig) -> list[Kind]:
    """The namespaces that the pod has of its own."""
    own: dict[Kind, bool] = {
        "network": config.network == "pod", "ipc": config.ipc != "node", "uts": bool(config.hostname),
    }  # fmt: skip
    return [kind for kind, is_own in own.items() if is_own]


def create(pins: Mapping[Kind, Path], config: SandboxConfig, inside: Callable[[], T]) -> T:
    """Make and hold them, with lo up, the hostname and the sysctls set; then call ``inside`` in there.

    Blocks for some ms; not on the loop's thread.

    Raises: RuntimeFailure for a sysctl that would reach beyond the pod; OSError, and then some may be held.
    """
    settings = {**(_POD_SYSCTLS if "network" in pins else {}), **config.sysctls}
    for name in config.sysctls:
        check_sysctl(name, pins)
    for path in pins.values():
        path.touch()
    with _left_behind(list(pins)):
        for kind, path in pins.items():
            syscalls.mount(f"/proc/thread-self/ns/{KINDS[kind][0]}", str(path), "none", syscalls.MS_BIND)
        if "network" in pins:
            _lo_up()
        if "uts" in pins:
            socket.sethostname(config.hostname)
        for name, value in settings.items():
            _set_sysctl(name, value, optional=name not in config.sysctls)
        return inside()


@contextlib.contextmanager
def _left_behind(kinds: list[Kind]) -> Iterator[None]:
    """The calling thread is in fresh namespaces of these kinds, and back in its own afterwards."""
    with contextlib.ExitStack() as home:
        flags = 0
        for kind in kinds:
            name, flag = KINDS[kind]
            fd = os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            home.callback(os.close, fd)
            home.callback(syscalls.setns, fd, flag)
            flags |= flag
        syscalls.unshare(flags)
        yield


def check_sysctl(name: str, own: Mapping[Kind, object]) -> None:
    """Raises: RuntimeFailure when setting it would change the node, not the pod."""
    if name.startswith("net."):
        separate = "network" in own
    elif name in _IPC_SYSCTLS or name.startswith("fs.mqueue."):
        separate = "ipc" in own
    else:
        separate = name == "kernel.domainname" and "uts" in own
    if not separate or ".." in name or "/" in name:
        raise RuntimeFailure(f"sysctl {name!r} is not in a separate kernel namespace")


def _set_sysctl(name: str, value: str, *, optional: bool) -> None:
    with contextlib.suppress(*((OSError,) if optional else ())):
        Path("/proc/sys", name.replace(".", "/")).write_text(value)


def _lo_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("16xH", fcntl.ioctl(s, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def held(path: Path) -> bool:
    """Whether a namespace is mounted here; after a reboot only the file is left."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    """The kernel tears the namespace down once nothing else refers to it. A second call does nothing."""
    syscalls.unmount(str(path))
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def inside_network(path: str) -> Iterator[None]:
    """The calling thread is in the network namespace at ``path``. Never call this on the event loop's thread.

    A namespace belongs to a thread, and a socket to the namespace it was made in: it can be handed to the loop outside.
    """
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
