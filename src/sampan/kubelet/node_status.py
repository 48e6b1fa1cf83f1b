"""The status of the Node, computed from what the machine has: a pure function but for the capacity it reads.

Upstream: ``pkg/kubelet/nodestatus/setters.go``, whose reasons and messages these are.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sampan.api import clock
from sampan.kubelet import machine
from sampan.kubelet.config import KubeletConfig
from sampan.runtime.base import Image

MAX_IMAGES = 50
MEMORY_PRESSURE_BYTES = 100 * 1024 * 1024
DISK_PRESSURE_FRACTION = 0.10
PID_PRESSURE_FRACTION = 0.02

_PRESSURES = {
    "MemoryPressure": ("kubelet has sufficient memory available", "kubelet has insufficient memory available"),
    "DiskPressure": ("kubelet has no disk pressure", "kubelet has disk pressure"),
    "PIDPressure": ("kubelet has sufficient PID available", "kubelet has insufficient PID available"),
}
_REASONS = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "KubeletHasInsufficientMemory"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "KubeletHasDiskPressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "KubeletHasInsufficientPID"),
}


def node_status(
    config: KubeletConfig,
    before: Mapping[str, Any],
    images: Sequence[Image],
    runtime_version: str,
    problem: str,
    now: float,
) -> dict[str, Any]:
    """``problem``: why the node is not Ready, ``""`` when it is; ``before``: the status the API has."""
    return {
        "capacity": machine.capacity(config),
        "allocatable": machine.allocatable(config),
        "conditions": conditions(before, pressures(config), problem, now),
        "addresses": [
            {"type": "InternalIP", "address": config.node_ip},
            {"type": "Hostname", "address": config.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.port}},
        "nodeInfo": machine.node_info(runtime_version),
        "images": image_list(images),
    }


def conditions(
    before: Mapping[str, Any], pressed: Mapping[str, bool], problem: str, now: float
) -> list[dict[str, Any]]:
    """The three pressures and Ready; conditions of others (NetworkUnavailable) stay as they are."""
    found = [
        {
            "type": kind,
            "status": "True" if pressed[kind] else "False",
            "reason": _REASONS[kind][pressed[kind]],
            "message": _PRESSURES[kind][pressed[kind]],
        }
        for kind in _PRESSURES
    ]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    if problem:
        ready |= {"status": "False", "reason": "KubeletNotReady", "message": problem}
    found.append(ready)
    old = {c["type"]: c for c in before.get("conditions") or ()}
    stamp = clock.rfc3339(datetime.fromtimestamp(now, UTC))
    for condition in found:
        same = old.get(condition["type"])
        kept = same is not None and same["status"] == condition["status"]
        condition["lastHeartbeatTime"] = stamp
        condition["lastTransitionTime"] = same["lastTransitionTime"] if same and kept else stamp
    own = {c["type"] for c in found}
    return [c for t, c in old.items() if t not in own] + found


def pressures(config: KubeletConfig) -> dict[str, bool]:
    existing = next(p for p in (config.data_dir, *config.data_dir.parents) if p.exists())
    disk = shutil.disk_usage(existing)
    with open("/proc/loadavg") as file:
        processes = int(file.read().split()[3].partition("/")[2])
    with open("/proc/sys/kernel/pid_max") as file:
        most = int(file.read())
    return {
        "MemoryPressure": machine.memory_available() < MEMORY_PRESSURE_BYTES,
        "DiskPressure": disk.free < disk.total * DISK_PRESSURE_FRACTION,
        "PIDPressure": processes > most * (1 - PID_PRESSURE_FRACTION),
    }


def image_list(images: Sequence[Image]) -> list[dict[str, Any]]:
    """The largest first, at most 50, as upstream reports them."""
    largest = sorted(images, key=lambda i: (-i.size_bytes, i.id))[:MAX_IMAGES]
    return [{"names": [*i.digests, *i.tags], "sizeBytes": i.size_bytes} for i in largest]


def heartbeat_only(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether nothing but the heartbeat time differs."""
    return _still(before) == _still(after)


def _still(status: Mapping[str, Any]) -> dict[str, Any]:
    listed = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in status.get("conditions") or ()]
    shown = {k: status.get(k) for k in ("capacity", "allocatable", "addresses", "daemonEndpoints", "nodeInfo")}
    names = [(i.get("names"), i.get("sizeBytes")) for i in status.get("images") or ()]
    return {**shown, "conditions": listed, "images": names}
