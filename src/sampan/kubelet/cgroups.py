"""The cgroup of each pod: ``<root>/kubepods/[burstable|besteffort]/pod<uid>``, on cgroup v1 and v2.

It is made before the sandbox, so that whatever the pod does is bounded together, and removed after it.  On v1 every
controller has a tree of its own; on v2 there is one, and a controller must be switched on level by level.  Upstream:
``pkg/kubelet/cm``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from sampan.kubelet.containers import Pod
from sampan.kubelet.qos import qos_class
from sampan.kubelet.resources import pod_resources
from sampan.runtime.base import Resources

log = logging.getLogger(__name__)

V2_CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io")
_LEVELS = {"Guaranteed": "kubepods", "Burstable": "kubepods/burstable", "BestEffort": "kubepods/besteffort"}


def pod_cgroup(root: str, pod: Pod) -> str:
    """The path below the cgroup mount, as ``cgroup_parent`` of the sandbox."""
    return f"{root}/{_LEVELS[qos_class(pod)]}/pod{pod['metadata']['uid']}"


class Cgroups:
    """Makes and removes the cgroups of pods under one root. All methods block, for a millisecond or so: one directory
    in each tree. Call them from a thread, a hundred pods may come at once."""

    def __init__(self, root: str, mount: Path = Path("/sys/fs/cgroup")) -> None:
        self.root = root
        self.unified = (mount / "cgroup.controllers").exists()
        self._trees = {"": mount} if self.unified else v1_trees(mount)

    def create(self, pod: Pod) -> str:
        """Returns the path for the sandbox's ``cgroup_parent``. Idempotent."""
        path = pod_cgroup(self.root, pod)
        for controller, tree in self._trees.items():
            directory = tree / path.lstrip("/")
            directory.mkdir(parents=True, exist_ok=True)
            if self.unified:
                enable_controllers(tree, directory)
            for name, value in settings(pod_resources(pod), controller, self.unified).items():
                _write(directory / name, value)
        return path

    def remove(self, uid: str) -> None:
        """Remove the pod's cgroup whatever its class was. Idempotent; what still has processes is left and logged."""
        for tree in self._trees.values():
            for level in _LEVELS.values():
                _remove_tree(tree / self.root.lstrip("/") / level / f"pod{uid}")

    def uids(self) -> set[str]:
        """The pods that have a cgroup."""
        found: set[str] = set()
        for tree in self._trees.values():
            for level in _LEVELS.values():
                directories = (tree / self.root.lstrip("/") / level).glob("pod*")
                found.update(d.name.removeprefix("pod") for d in directories)
        return found


def settings(resources: Resources, controller: str, unified: bool) -> Mapping[str, str]:
    """``{file: value}`` of one tree; the controller is ``""`` on v2."""
    quota, period = resources.cpu_quota_microseconds, resources.cpu_period_microseconds
    memory = resources.memory_limit_bytes
    if unified:
        weight = 1 + ((max(resources.cpu_shares, 2) - 2) * 9999) // 262142
        return {
            "cpu.weight": str(weight),
            "cpu.max": f"{quota} {period}" if quota else "max 100000",
            "memory.max": str(memory) if memory else "max",
        }
    if controller == "cpu":
        found = {"cpu.shares": str(max(resources.cpu_shares, 2))}
        return found | {"cpu.cfs_period_us": str(period), "cpu.cfs_quota_us": str(quota)} if quota else found
    return {"memory.limit_in_bytes": str(memory)} if controller == "memory" and memory else {}


def v1_trees(mount: Path) -> dict[str, Path]:
    """``{controller: mount point}`` of what is mounted; the named systemd tree and v2's are none of ours."""
    found: dict[str, Path] = {}
    if mount.is_dir():
        for directory in sorted(mount.iterdir()):
            if directory.is_dir() and directory.name not in ("systemd", "unified"):
                for controller in directory.name.split(","):
                    found[controller] = directory
    return {c: d for c, d in found.items() if (d / "cgroup.procs").exists() and not (d / "cgroup.controllers").exists()}


def enable_controllers(mount: Path, directory: Path) -> None:
    """Switch on what the kernel has, from the mount down to the parent of the directory."""
    available = (mount / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{c}" for c in V2_CONTROLLERS if c in available)
    for level in [*reversed(directory.parents)]:
        if level == mount or mount in level.parents:
            _write(level / "cgroup.subtree_control", wanted)


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except OSError as error:
        log.warning("cgroup was not set path=%s value=%s error=%s", path, value, error)


def _remove_tree(directory: Path) -> None:
    if not directory.is_dir():
        return
    for child in [d for d in directory.iterdir() if d.is_dir()]:
        _remove_tree(child)
    try:
        directory.rmdir()
    except OSError as error:
        log.warning("cgroup was not removed path=%s error=%s", directory, error)
