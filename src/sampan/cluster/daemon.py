"""A long-running process of the cluster: found again, stopped; ``launch`` starts it.

The process holds a lock on its pid file as long as it lives, so "is it running?" has one answer that no crash and no
reused pid can falsify. It tells its starter over a pipe when it is ready, or in one line why it can't be.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from sampan.cluster.config import ClusterError

READY = b"ready\n"


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
