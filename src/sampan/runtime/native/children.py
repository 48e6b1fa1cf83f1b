"""Child processes, without a thread per child and without copying the agent's page tables.

``subprocess`` uses vfork here (uvloop's own spawn forks), and a pidfd in the loop tells of the end.  A pidfd also
works for processes that are not our children: the pause processes and containers that a former agent started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sampan.runtime.native.pause import MARK

DIE_SECONDS = 5.0
_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Child:
    """A process that this agent spawned and will reap."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid
        self._popen = popen
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch = Watch(os.pidfd_open(popen.pid), self._on_exit)

    def _on_exit(self) -> None:
        code = self._popen.wait()
        if not self._done.done():
            self._done.set_result(code if code >= 0 else 128 - code)

    async def wait(self) -> int:
        """The exit code, 128 + signal for a killed one."""
        return await asyncio.shield(self._done)

    @property
    def ended(self) -> bool:
        return self._done.done()

    def signal(self, number: int) -> None:
        self._watch.signal(number)

    def kill(self) -> None:
        self._watch.signal(signal.SIGKILL)


class Watch:
    """A pidfd in the loop: calls ``on_exit`` once when the process ends, child or not. Owns the descriptor."""

    def __init__(self, pidfd: int, on_exit: Callable[[], None]) -> None:
        self._fd = pidfd
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pidfd, self._fire)

    def _fire(self) -> None:
        self.close()
        self._on_exit()

    def signal(self, number: int) -> None:
        """Never hits a stranger that got the same pid later. A process that is gone is ignored."""
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


async def spawn(
    argv: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a program in a session of its own, so that no terminal signal of ours reaches it."""
    popen = await asyncio.to_thread(
        lambda: subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=_ENV | (env or {}),
            pass_fds=tuple(pass_fds), start_new_session=True,
        )  # fmt: skip
    )
    return Child(popen)


def start_time(pid: int) -> int:
    """Clock ticks since boot at which the process started, 0 when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    rest = stat[stat.rindex(")") + 2 :].split()  # the command name may hold anything, also ") "
    return 0 if rest[0] in "ZX" else int(rest[19])


def alive(pid: int, started: int) -> bool:
    return pid > 0 and started > 0 and start_time(pid) == started


def kill_stragglers(container_id: str) -> None:
    """SIGKILL what a dead agent has set to work on a container or sandbox, and wait for its end: until then it may
    still write into directories that are about to go. runc and conmon name what they work on in their arguments, a
    pause process in its environment. Blocks."""
    named = {container_id.encode(), f"{MARK}={container_id}".encode()}
    doomed = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                told = Path(entry.path, "cmdline").read_bytes() + Path(entry.path, "environ").read_bytes()
                if not named.isdisjoint(told.split(b"\0")):
                    doomed[int(entry.name)] = start_time(int(entry.name))
                    os.kill(int(entry.name), signal.SIGKILL)
    deadline = time.monotonic() + DIE_SECONDS
    while any(alive(pid, started) for pid, started in doomed.items()) and time.monotonic() < deadline:
        time.sleep(0.002)


def kill_tree(pid: int) -> None:
    """SIGKILL a process, its session and all descendants that can still be found."""
    doomed, at = [pid], 0
    while at < len(doomed):
        with contextlib.suppress(OSError):
            for task in os.scandir(f"/proc/{doomed[at]}/task"):
                doomed += map(int, Path(task.path, "children").read_text().split())
        at += 1
    for victim in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def open_pidfd(pid: int, started: int) -> int | None:
    """A pidfd of exactly that process, None when it is gone."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    if alive(pid, started):
        return fd
    os.close(fd)
    return None
