"""Forwarding rules in the kernel: a full synchronisation, and one changed Service among many.

Each measurement starts in a network namespace of its own, so no rule of the machine is touched.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

from bench.report import Figure, at_most, median

CHANGES = 20


def measure() -> list[Figure]:
    full, change, worst = _in_own_namespace("nftables", 10_000)
    small_full, small_change, _ = _in_own_namespace("iptables", 1_000)
    return [
        at_most("nftables: full sync of 10,000 Services x 2 endpoints", full, 3, "s"),
        at_most("nftables: one changed Service among 10,000, median", change, 10, "ms", f"slowest {worst:.1f} ms"),
        Figure("iptables: full sync of 1,000 Services x 2 endpoints", f"{small_full:.2f} s"),
        Figure("iptables: one changed Service among 1,000, median", f"{small_change:.0f} ms"),
    ]


def _in_own_namespace(mode: str, services: int) -> tuple[float, float, float]:
    """Seconds of a full sync, median and slowest milliseconds of a change."""
    command = ["unshare", "--net", sys.executable, "-m", "bench.proxy", mode, str(services)]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    full, change, worst = map(float, out.split())
    return full, change, worst


def _measure(mode: str, count: int) -> tuple[float, float, float]:
    from sampan.proxy.base import ProxyConfig
    from sampan.proxy.modes import open_proxier
    from sampan.proxy.table import Endpoint, ServicePort

    def address(first: int, number: int) -> str:
        return f"{first}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def service(number: int) -> tuple[str, tuple[ServicePort, ...]]:
        name = f"default/service-{number}"
        endpoints = tuple(Endpoint(address(11, 2 * number + n), 80, number % 10 == 0) for n in range(2))
        return name, (ServicePort(name, "", "tcp", 80, (address(10, number + 1),), endpoints=endpoints),)

    table = dict(map(service, range(count)))
    proxier = open_proxier(mode, ProxyConfig("node", ("172.29.0.2",), "10.244.0.0/16")).proxier
    began = time.perf_counter()
    proxier.replace(table)
    full = time.perf_counter() - began
    times = []
    for number in range(CHANGES):
        name, (port,) = service(count // 2 + number)
        began = time.perf_counter()
        proxier.update({name: (replace(port, endpoints=(*port.endpoints, Endpoint("11.9.9.9", 80, True))),)})
        times.append(1000 * (time.perf_counter() - began))
    proxier.close()
    return full, median(times), max(times)


if __name__ == "__main__":
    print(*_measure(sys.argv[1], int(sys.argv[2])))
