"""What the containers use: ``/stats/summary`` (for metrics servers) and a few lines for Prometheus at ``/metrics``.

Upstream: ``pkg/kubelet/server/stats``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sampan.api import clock
from sampan.kubelet.containers import Pod
from sampan.kubelet.runtime_state import container_name
from sampan.runtime.base import ContainerStats, RuntimeFailure

if TYPE_CHECKING:
    from sampan.kubelet.kubelet import Kubelet


async def stats_summary(kubelet: Kubelet) -> dict[str, Any]:
    pods = [await _pod_stats(kubelet, pod) for pod in kubelet.pods()]
    return {"node": {"nodeName": kubelet.config.node_name}, "pods": pods}


async def _pod_stats(kubelet: Kubelet, pod: Pod) -> dict[str, Any]:
    meta = pod["metadata"]
    containers = []
    for status in kubelet.state(meta["uid"]).containers:
        if status.state == "running":
            try:
                stats = await kubelet.context.runtime.container_stats(status.id)
            except RuntimeFailure:
                continue  # it ended meanwhile
            containers.append(_container_stats(container_name(status), status.started_at, stats))
    return {
        "podRef": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "startTime": (pod.get("status") or {}).get("startTime"),
        "containers": containers,
    }


def _container_stats(name: str, started_at: float, stats: ContainerStats) -> dict[str, Any]:
    time = _time(stats.timestamp)
    return {
        "name": name,
        "startTime": _time(started_at),
        "cpu": {"time": time, "usageCoreNanoSeconds": stats.cpu_usage_nanoseconds},
        "memory": {
            "time": time,
            "usageBytes": stats.memory_usage_bytes,
            "workingSetBytes": stats.memory_working_set_bytes,
        },
        "rootfs": {"time": time, "usedBytes": stats.writable_layer_bytes},
    }


def _time(seconds: float) -> str:
    return clock.rfc3339(datetime.fromtimestamp(seconds, UTC))


def metrics_text(kubelet: Kubelet) -> str:
    pods = kubelet.pods()
    running = sum(
        c.state == "running" for pod in pods for c in kubelet.state(pod["metadata"]["uid"]).containers
    )
    return (
        "# HELP kubelet_running_pods Number of pods that have a running pod sandbox\n"
        "# TYPE kubelet_running_pods gauge\n"
        f"kubelet_running_pods {sum(kubelet.state(p['metadata']['uid']).sandbox is not None for p in pods)}\n"
        "# HELP kubelet_running_containers Number of containers currently running\n"
        "# TYPE kubelet_running_containers gauge\n"
        f'kubelet_running_containers{{container_state="running"}} {running}\n'
        "# HELP kubelet_node_name The node's name. The count is always 1.\n"
        "# TYPE kubelet_node_name gauge\n"
        f'kubelet_node_name{{node="{kubelet.config.node_name}"}} 1\n'
    )
