"""The pause process: started first, it owns the pod's namespaces, and the containers join them.

It is catatonit's pause mode, which sleeps and reaps.  Where the pod shares its pid namespace the pause process is
number 1 in it, and runc starts it; everywhere else it is a plain child, forked by a thread that is already inside the
pod's namespaces: that takes 3 ms instead of 45.  It runs as nobody and without a capability.

Upstream: ``build/pause``; containerd pkg/cri/sandbox, whose sandboxes are ready for as long as this process lives.
"""

from __future__ import annotations

import os
import subprocess
import time

from sampan.runtime.native.cgroups import Cgroup

NOBODY = 65534
#: By this variable a pause process is found whose agent died before it could write down the process id.
MARK = "SAMPAN_SANDBOX"
REAP_SECONDS = 1.0
_children: set[int] = set()  # those that this process started and has not reaped


def start_here(program: str, sandbox_id: str, cgroup: Cgroup) -> int:
    """Start it in the calling thread's namespaces; returns its process id. Raises: OSError."""
    popen = subprocess.Popen(
        ["/pause", "-P"], executable=program, env={MARK: sandbox_id}, cwd="/", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        user=NOBODY, group=NOBODY, extra_groups=[],
    )  # fmt: skip
    _children.add(popen.pid)
    popen.returncode = 0  # from here on it is ``reap`` that waits for it, or process 1 after our end
    # Memory is the one thing it uses. One tree is enough to find it by, and every further one would cost milliseconds.
    directory = cgroup.directory("memory")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cgroup.procs").write_text(str(popen.pid))
    return popen.pid


def reap(pid: int) -> None:
    """Take the exit status of one that has been killed. One of a former agent is process 1's to reap."""
    deadline = time.monotonic() + REAP_SECONDS
    while pid in _children and time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            _children.discard(pid)
        else:
            time.sleep(0.001)
