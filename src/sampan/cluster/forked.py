"""A child process by fork: what is imported already need not be read, run and kept in memory a second time.

Forking is safe while the process has one thread, which is so in the ``sampan`` command; a program with threads that
calls ``up`` gets new interpreters instead (``launch``).  A child never returns through its parent's frames: their
``finally`` and ``with`` would release what is the parent's.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sampan.cluster.config import ClusterError


def possible() -> bool:
    """Whether this process has one thread only; libraries' own threads count as well."""
    return len(os.listdir("/proc/self/task")) == 1


def fork(child: Callable[[], None]) -> int:
    """Run ``child`` in a process of its own, which ends with it; returns its id."""
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # the child's collections must not touch, and thereby copy, what it shares with us
    pid = os.fork()
    if pid == 0:
        _run(child)
    gc.unfreeze()
    return pid


def _run(child: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        child()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@dataclass(slots=True)
class Job:
    """Work that a child does meanwhile. ``ending``: a pipe that closes with it, after saying what went wrong, if so."""

    pid: int = 0
    ending: int = -1

    def wait(self) -> None:
        """For the parent. Raises: ClusterError with what went wrong."""
        if not self.pid:
            return
        with open(self.ending, "rb") as pipe:
            problem = pipe.read().decode()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        if problem or code:
            raise ClusterError(problem or f"a child process ended with code {code}")

    def wait_as_sibling(self) -> None:
        """For a child forked later: until the end. Exits when something went wrong; the parent has the words."""
        if not self.pid:
            return
        poll = select.poll()
        poll.register(self.ending, select.POLLIN)
        if any(event & select.POLLIN for _, event in poll.poll()):
            sys.exit(1)
        os.close(self.ending)


def start(work: Callable[[], None]) -> Job:
    """``work`` in a child; with threads about, at once and here. Raises, in that case, what ``work`` raises."""
    if not possible():
        work()
        return Job()
    ending, say = os.pipe()

    def child() -> None:
        os.close(ending)
        try:
            work()
        except (ClusterError, OSError) as error:
            os.write(say, str(error).encode())

    pid = fork(child)
    os.close(say)
    return Job(pid, ending)


def close_files(*keep: int) -> None:
    """Everything above stderr but ``keep``: locks of the parent would otherwise outlive it."""
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def set_title(*arguments: str) -> None:
    """Make ``ps`` show what the process is now. A command line can't grow: a longer one is cut."""
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    begin, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5)
    line = "\0".join(arguments).encode()[: end - begin - 1]
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(begin)
        memory.write(line.ljust(end - begin, b"\0"))
    Path("/proc/self/comm").write_text(" ".join(arguments[:2])[:15])
