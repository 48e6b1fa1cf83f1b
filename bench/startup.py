"""How long until a cluster is there, what that costs, and what it costs to keep it."""

from __future__ import annotations

import compileall
import resource
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Figure, at_most, median
from bench.running import NAME, cpu_seconds, pss_megabytes
from bench.yardstick import command_milliseconds
from tests.e2e.cluster import ROOT, Cluster, eventually

ROUNDS = 5
IDLE_SECONDS = 30


def measure() -> list[Figure]:
    compileall.compile_dir(ROOT / "src", quiet=1)  # as pip does with what it installs
    ready, cpu, dns = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        one = Cluster(NAME, Path(scratch) / "kubeconfig")
        one.down("--purge")
        try:
            for _ in range(ROUNDS):
                seconds, used = _up(one)
                ready.append(seconds)
                cpu.append(used)
                dns.append(seconds + _until_dns_answers(one))
                one.down("--purge")
            one.up()
            idle = _idle(one)
        finally:
            one.down("--purge")
    python = f"python -c pass {command_milliseconds(sys.executable, '-c', 'pass'):.0f} ms"
    return [
        at_most("`sampan up` until the node is Ready", median(ready), 1.0, "s", python),
        at_most("`sampan up` until a pod's DNS query for a Service is answered", median(dns), 2.5, "s"),
        at_most("CPU spent to get there", median(cpu), 2.5, "s"),
        *idle,
    ]


def _up(one: Cluster) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    one.up()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, command + cpu_seconds(one.pid("server")) + cpu_seconds(one.pid("agent"))


def _until_dns_answers(one: Cluster) -> float:
    began = time.perf_counter()
    kubectl = one.kubectl("1.37")
    kubectl("run", "asking", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--",
            "sh", "-c", "until busybox nslookup kubernetes.default.svc.cluster.local; do :; done; echo answered")
    eventually(lambda: "answered" in kubectl("logs", "asking", check=False).out, every=0.02)
    return time.perf_counter() - began


def _idle(one: Cluster) -> list[Figure]:
    """A new cluster settles for some seconds before it is idle."""
    time.sleep(5)
    pids = [one.pid("server"), one.pid("agent")]
    before = sum(map(cpu_seconds, pids))
    time.sleep(IDLE_SECONDS)
    share = 100 * (sum(map(cpu_seconds, pids)) - before) / IDLE_SECONDS
    parts = ", ".join(f"{what} {pss_megabytes(pid):.0f}" for what, pid in zip(("server", "agent"), pids, strict=True))
    return [
        at_most("memory of server and agent, idle, no pods (PSS)", sum(map(pss_megabytes, pids)), 130, "MB", parts),
        at_most("CPU of server and agent, idle", share, 0.5, "% of a core"),
    ]
