"""Control groups, version 1 (one tree per controller) and version 2 (one tree), behind one path.

runc makes a container's own cgroup; what is done here is the rest: limits that change, counters, killing whatever is
left inside, removal.  On version 1 a path such as ``/sampan/default/node/kubepods/podX/ID`` exists once in every tree.
All of it is plain file I/O; call what may wait (``kill``, ``remove``) from a thread.

Upstream: pkg/kubelet/cm, opencontainers/runc libcontainer/cgroups.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sampan.runtime.base import Resources

ROOT = Path("/sys/fs/cgroup")


@cache
def unified() -> bool:
    """Whether /sys/fs/cgroup itself is the version 2 tree. A hybrid machine counts as version 1, as runc has it."""
    return (ROOT / "cgroup.controllers").exists()


@cache
def trees() -> tuple[Path, ...]:
    """The root of every hierarchy: one on version 2, one per controller on version 1."""
    if unified():
        return (ROOT,)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where, _, what = line.partition(" - ")
        if what.split(" ", 1)[0] in ("cgroup", "cgroup2"):
            found.append(Path(where.split(" ")[4]))
    return tuple(dict.fromkeys(found))


def hasten_migration() -> None:
    """Begin now the wait that whoever next moves a process into a cgroup would begin with.

    The kernel lets every processor pass through its scheduler first (an RCU grace period, 8 to 16 ms), once for
    movers that come close upon each other.  runc moves what it starts, some 10 ms after its own start: a move of ours
    at the same moment as that start lets the wait go by meanwhile.  Ours goes nowhere: this process, into the cgroup
    that it is in.  Blocks for as long.  Kernel: ``cgroup_procs_write``, kernel/rcu/sync.c.
    """
    controller = "" if unified() else "memory"
    with contextlib.suppress(OSError, StopIteration):
        lines = (line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines())
        path = next(path for _, names, path in lines if controller in names.split(","))
        (Cgroup(path).directory(controller) / "cgroup.procs").write_text(str(os.getpid()))


def cpu_weight(shares: int) -> int:
    """cpu.weight (1..10000) for cpu.shares (2..262144), by runc's formula."""
    return 1 + ((max(2, min(shares, 262144)) - 2) * 9999) // 262142


def files_for(resources: Resources, *, v2: bool) -> list[tuple[str, str, str]]:
    """The writes that apply ``resources``: [(controller, file, value), ...]; what is 0 stays as it is."""
    r, period = resources, resources.cpu_period_microseconds or 100_000
    writes: list[tuple[str, str, str]] = []
    if r.cpu_shares:
        writes.append(("cpu", "cpu.weight", str(cpu_weight(r.cpu_shares))) if v2
                      else ("cpu", "cpu.shares", str(r.cpu_shares)))  # fmt: skip
    if r.cpu_quota_microseconds and v2:
        quota = str(r.cpu_quota_microseconds) if r.cpu_quota_microseconds > 0 else "max"
        writes.append(("cpu", "cpu.max", f"{quota} {period}"))
    elif r.cpu_quota_microseconds:
        writes.append(("cpu", "cpu.cfs_period_us", str(period)))
        writes.append(("cpu", "cpu.cfs_quota_us", str(r.cpu_quota_microseconds)))
    if r.memory_limit_bytes:
        unlimited = "max" if v2 else "-1"
        value = str(r.memory_limit_bytes) if r.memory_limit_bytes > 0 else unlimited
        writes.append(("memory", "memory.max" if v2 else "memory.limit_in_bytes", value))
    if r.pids_limit:
        writes.append(("pids", "pids.max", str(r.pids_limit) if r.pids_limit > 0 else "max"))
    return writes


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One cgroup by its path below the roots. Every method is safe to repeat, and on a cgroup that is gone."""

    path: str

    def directories(self) -> list[Path]:
        """Where it exists, in every tree."""
        return [d for tree in trees() if (d := tree / self.path.lstrip("/")).is_dir()]

    def directory(self, controller: str) -> Path:
        tree = ROOT if unified() else ROOT / controller
        return tree / self.path.lstrip("/")

    def create(self) -> None:
        """Make it, and all above it, in every tree; on version 2 the controllers are passed down."""
        for tree in trees():
            at = tree
            for part in self.path.strip("/").split("/"):
                if unified():
                    _delegate(at)
                at /= part
                at.mkdir(exist_ok=True)
                if tree.name == "cpuset":
                    _inherit_cpuset(at)

    def apply(self, resources: Resources) -> None:
        """Raises: OSError when the kernel refuses a value."""
        writes = files_for(resources, v2=unified())
        if not unified():
            writes = self._memsw_in_order(writes, resources.memory_limit_bytes)
        for controller, name, value in writes:
            (self.directory(controller) / name).write_text(value)

    def _memsw_in_order(self, writes: list[tuple[str, str, str]], limit: int) -> list[tuple[str, str, str]]:
        # memory.limit may never exceed memory.memsw.limit, so what is raised is raised there first.
        swap = self.directory("memory") / "memory.memsw.limit_in_bytes"
        if limit <= 0 or not swap.exists():
            return writes
        entry = ("memory", swap.name, str(limit))
        return [entry, *writes] if limit > int(swap.read_text()) else [*writes, entry]

    def pids(self) -> set[int]:
        found: set[int] = set()
        for directory in self.directories():
            for inner, _, _ in os.walk(directory):
                with contextlib.suppress(OSError):  # another one may remove it meanwhile
                    found.update(map(int, Path(inner, "cgroup.procs").read_text().split()))
        return found - {0}  # so a process outside our pid namespace looks; kill(0) would hit ourselves

    def kill(self, timeout_seconds: float = 10.0) -> bool:
        """SIGKILL everything inside, also what is forked meanwhile. False when something survived the timeout."""
        end = time.monotonic() + timeout_seconds
        with contextlib.suppress(OSError):  # cgroup.kill is new in kernel 5.14
            if unified():
                (self.directory("") / "cgroup.kill").write_text("1")
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def remove(self, timeout_seconds: float = 10.0) -> None:
        """Kill what is inside, then remove it and all below it. Raises: OSError when it can't be removed."""
        end = time.monotonic() + timeout_seconds
        while True:
            self.kill()
            try:
                for directory in self.directories():
                    for inner, _, _ in os.walk(directory, topdown=False):
                        _rmdir(Path(inner))
                return
            except OSError:
                # Busy for some milliseconds after the last process has died; or somebody has just put one in.
                if time.monotonic() > end:
                    raise
                time.sleep(0.003)

    def oom_kills(self) -> int:
        """How often the kernel killed something here for want of memory."""
        events = "memory.events" if unified() else "memory.oom_control"
        return _keyed(self.directory("memory") / events).get("oom_kill", 0)

    def memory(self) -> tuple[int, int]:
        """(usage, working set) in bytes; the working set leaves out file pages that could be dropped at once."""
        directory = self.directory("memory")
        usage = _number(directory / ("memory.current" if unified() else "memory.usage_in_bytes"))
        idle = "inactive_file" if unified() else "total_inactive_file"
        return usage, max(0, usage - _keyed(directory / "memory.stat").get(idle, 0))

    def cpu_nanoseconds(self) -> int:
        if unified():
            return _keyed(self.directory("cpu") / "cpu.stat").get("usage_usec", 0) * 1000
        return _number(self.directory("cpuacct") / "cpuacct.usage")


def _rmdir(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        directory.rmdir()


def _delegate(directory: Path) -> None:
    wanted = {"cpu", "cpuset", "io", "memory", "pids", "hugetlb"}
    available = set((directory / "cgroup.controllers").read_text().split())
    enabled = set((directory / "cgroup.subtree_control").read_text().split())
    for controller in (wanted & available) - enabled:
        with contextlib.suppress(OSError):  # one that can't be had must not cost the others
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(directory: Path) -> None:
    # A version 1 cpuset starts out empty, and an empty one takes no process.
    for name in ("cpuset.cpus", "cpuset.mems"):
        with contextlib.suppress(OSError):
            if not (directory / name).read_text().strip():
                (directory / name).write_text((directory.parent / name).read_text())


def _number(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0


def _keyed(path: Path) -> dict[str, int]:
    with contextlib.suppress(OSError, ValueError):
        return {k: int(v) for k, v in (line.split()[:2] for line in path.read_text().splitlines())}
    return {}
