"""Starting the server's and the agent's processes in the background, and waiting until both are ready.

They are forked from the ``sampan up`` command, which has imported what both need, or else are started as the commands
``sampan server`` and ``sampan agent``.  Either way each has a session of its own, so that no Ctrl-C meant for us
reaches it, and tells us over a pipe when it is ready, or in one line why it can't be.
"""

from __future__ import annotations

import gc
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sampan.cluster import forked
from sampan.cluster.config import ClusterError
from sampan.cluster.daemon import READY, Daemon

LOG_TAIL_LINES = 5
#: Becomes the daemon; is given the pipe to say "ready" into.
Run = Callable[[int], None]


@dataclass(slots=True)
class Starting:
    daemon: Daemon
    pid: int
    ready: int  # the pipe's end that we read


def start(daemon: Daemon, load: Callable[[], Run], before: forked.Job) -> Starting:
    """Start it; returns at once. ``load`` imports what it needs, meanwhile ``before`` may come to its end."""
    daemon.log_file.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    try:
        if forked.possible():
            pid = forked.fork(lambda: _become(daemon, load, before, write_end))
        else:
            before.wait()
            pid = _command(daemon, write_end)
    finally:
        os.close(write_end)
    return Starting(daemon, pid, read_end)


def _become(daemon: Daemon, load: Callable[[], Run], before: forked.Job, ready: int) -> None:
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(daemon.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    # Whoever called ``up`` may have put something else in their place.
    sys.stdout, sys.stderr = (open(fd, "w", buffering=1, closefd=False) for fd in (1, 2))  # noqa: SIM115
    forked.close_files(ready, *([before.ending] if before.pid else []))
    forked.set_title("sampan", *daemon.arguments)
    gc.disable()
    run = load()
    before.wait_as_sibling()
    run(ready)


def _command(daemon: Daemon, ready: int) -> int:
    with open(daemon.log_file, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sampan", *daemon.arguments, "--ready-fd", str(ready)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, pass_fds=(ready,),
        )
    process.returncode = 0  # nobody waits for it by this object: it outlives us
    return process.pid


def wait_ready(starting: Sequence[Starting], timeout_seconds: float) -> None:
    """Until each has said that it is ready. Raises: ClusterError with the first one's own words."""
    deadline = time.monotonic() + timeout_seconds
    for one in starting:
        said = b""
        while not said.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([one.ready], [], [], left)[0]:
                raise ClusterError(f"the {one.daemon.title} was not ready after {timeout_seconds:.0f} s: "
                                   f"see {one.daemon.log_file}")
            chunk = os.read(one.ready, 4096)
            if not chunk:
                raise ClusterError(_last_words(one))
            said += chunk
        os.close(one.ready)
        if said != READY:
            raise ClusterError(f"the {one.daemon.title} could not start: {said.decode().strip()}")


def _last_words(one: Starting) -> str:
    code = os.waitstatus_to_exitcode(os.waitpid(one.pid, 0)[1])
    try:
        lines = one.daemon.log_file.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    words = next((line for line in reversed(lines[-LOG_TAIL_LINES:]) if line.strip()), f"exit code {code}")
    return f"the {one.daemon.title} ended before it was ready ({words.strip()}): see {one.daemon.log_file}"
