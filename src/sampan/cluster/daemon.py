"""A long-running process of the cluster: started in the background, found again, stopped.

The process holds a lock on its pid file as long as it lives, so "is it running?" has one answer that no crash and no
reused pid can falsify. It tells its starter over a pipe when it is ready, or in one line why it can't be.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sampan.cluster.config import ClusterError

READY = b"ready\n"
LOG_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Daemon:
    """``sampan server`` or ``sampan agent``: its pid file, its log and the arguments that start it."""

    title: str
    pid_file: Path
    log_file: Path
    arguments: tuple[str, ...]

    def pid(self) -> int:
        """The process id while it runs, else 0."""
        try:
            with open(self.pid_file) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0)
        except FileNotFoundError:
            pass
        return 0


@dataclass(slots=True)
class Starting:
    daemon: Daemon
    process: subprocess.Popen[bytes]
    ready: int  # the pipe's end that we read


def start(daemon: Daemon) -> Starting:
    """Start it in a session of its own, so that no Ctrl-C meant for us reaches it. Returns at once."""
    daemon.log_file.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    try:
        with open(daemon.log_file, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sampan", *daemon.arguments, "--ready-fd", str(write_end)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                pass_fds=(write_end,),
            )
    finally:
        os.close(write_end)
    return Starting(daemon, process, read_end)


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


def stop(daemon: Daemon, timeout_seconds: float = 10) -> bool:
    """SIGTERM, then SIGKILL; whether there was anything to stop."""
    pid = daemon.pid()
    if not pid:
        return False
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if daemon.pid() != pid:
            return True
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], timeout_seconds)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], timeout_seconds)
    finally:
        os.close(handle)
    return True


def hold_pid_file(path: Path) -> int:
    """For the daemon itself: lock the pid file for life. Raises: ClusterError when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(fd, 32).decode().strip()
        os.close(fd)
        raise ClusterError(f"is running already, as process {other}") from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def say_ready(fd: int, error: str = "") -> None:
    """For the daemon itself: tell the starter, once. Without a starter (fd < 0) nothing happens."""
    if fd >= 0:
        try:
            os.write(fd, READY if not error else f"{' '.join(error.split())}\n".encode())
        except BrokenPipeError:
            pass  # the starter gave up; the daemon goes on
        finally:
            os.close(fd)


def _last_words(starting: Starting) -> str:
    code = starting.process.wait()
    try:
        lines = starting.daemon.log_file.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    words = next((line for line in reversed(lines[-LOG_TAIL_LINES:]) if line.strip()), f"exit code {code}")
    return f"the {starting.daemon.title} ended before it was ready ({words.strip()}): see {starting.daemon.log_file}"
