"""How every trace of a cluster goes: processes, mounts, namespaces, links, rules, cgroups and files.

It works on what is there and not on what some state file says, so that it also cleans up after a crash in the middle
of anything, and after an earlier purge that was cut short.  Everything that belongs to a cluster carries its
directory or its name: container processes are in its cgroups, monitors have its directory on their command line,
mounts lie below its directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from sampan.cluster.config import ClusterConfig

CGROUP_ROOT = Path("/sys/fs/cgroup")
MNT_DETACH = 2
UNMOUNT_ROUNDS = 10
DIE_SECONDS = 5.0


def purge(config: ClusterConfig) -> None:
    """Remove every trace of the cluster's nodes and state. A second call does nothing."""
    from sampan.cluster.nodes import node_network
    from sampan.network.egress import close_egress
    from sampan.network.node import node_networks, remove_node_network

    cgroups = cgroup_directories(config.cgroup)
    kill(processes_of(config.directory, cgroups))
    unmount_below(config.directory)
    for node in {*config.nodes, *node_networks(config.name)}:
        remove_node_network(node_network(config, node))
    close_egress(config.name)
    for directory in cgroups:
        remove_cgroup(directory)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(config.directory)


def cgroup_directories(cgroup: str, root: Path = CGROUP_ROOT) -> list[Path]:
    """The cluster's directory in each mounted hierarchy (one with cgroup v2, one per controller with v1)."""
    relative = cgroup.lstrip("/")
    found = [root / relative, *(mount / relative for mount in root.iterdir() if mount.is_dir())]
    return [directory for directory in found if directory.is_dir() and not directory.is_symlink()]


def processes_of(directory: Path, cgroups: Iterable[Path]) -> set[int]:
    """Process ids in the cgroups, and monitors and helpers that have the directory on their command line."""
    pids: set[int] = set()
    for cgroup in cgroups:
        for file in cgroup.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids.update(int(line) for line in file.read_text().split())
    pids.discard(0)  # how a cgroup shows a process that is in none of our process namespaces: not ours to end
    needle = f"{directory}/nodes/".encode()
    for proc in Path("/proc").iterdir():
        if proc.name.isdigit() and int(proc.name) != os.getpid():
            with contextlib.suppress(OSError):
                if needle in (proc / "cmdline").read_bytes():
                    pids.add(int(proc.name))
    return pids


def kill(pids: Iterable[int]) -> None:
    """SIGKILL, and wait until each is gone: a mount or cgroup of a living process can't be removed."""
    handles = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handles[pid] = os.pidfd_open(pid)
    for handle in handles.values():
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    deadline = time.monotonic() + DIE_SECONDS
    for pid, handle in handles.items():
        while _alive(pid) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.close(handle)


def _alive(pid: int) -> bool:
    """A zombie is as good as gone: it holds neither mounts nor cgroups."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def unmount_below(directory: Path) -> None:
    """Innermost first; again and again, since mounts can lie on top of each other."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(UNMOUNT_ROUNDS):
        points = mount_points_below(directory)
        if not points:
            return
        for point in reversed(points):
            libc.umount2(os.fsencode(point), MNT_DETACH)


def mount_points_below(directory: Path) -> list[str]:
    prefix = f"{directory}/"
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(prefix):
            points.append(point)
    return points


def remove_cgroup(directory: Path) -> None:
    """Leaves first. A cgroup stays busy for some ms after its last process is gone."""
    children = [Path(root) for root, _, _ in os.walk(directory, topdown=False)]
    for child in children:
        for _ in range(100):
            try:
                child.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)
    with contextlib.suppress(OSError):
        directory.parent.rmdir()  # /sampan itself, once the last cluster is gone
