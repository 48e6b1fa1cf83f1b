"""A cluster to measure, and what its two processes use."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster import Cluster

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
#: Benchmarks that run at the same time on one machine need names of their own.
NAME = os.environ.get("SAMPAN_BENCH_CLUSTER", "bench")


@contextmanager
def cluster(name: str = NAME) -> Iterator[Cluster]:
    """Started, and gone without a trace at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        one = Cluster(name, Path(scratch) / "kubeconfig")
        one.down("--purge")
        try:
            one.up()
            yield one
        finally:
            one.down("--purge")


def pss_megabytes(pid: int) -> float:
    """Proportional set size: memory shared by n processes counts 1/n for each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise ValueError(f"process {pid} has no Pss")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


class Spent:
    """CPU time of a server per request: other work on the machine disturbs it less than it does the rate."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last = cpu_seconds(pid)

    def each(self, requests: float) -> str:
        """Of the requests since the last call."""
        now = cpu_seconds(self._pid)
        spent, self._last = now - self._last, now
        return f"{1e6 * spent / requests:,.0f} µs of CPU each"
