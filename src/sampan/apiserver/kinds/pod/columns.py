"""How ``kubectl get pods`` shows a Pod: above all the STATUS word, which is not the phase.

Upstream: ``printPod`` in ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sampan.api.meta import condition
from sampan.apiserver.kinds.base import AGE, NAME, Column
from sampan.apiserver.kinds.pod.containers import is_sidecar
from sampan.apiserver.kinds.table import NONE, age, since

Object = dict[str, Any]

COLUMNS = (
    NAME,
    Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", description="The aggregate status of the containers in this pod."),
    Column("Restarts", description="The number of times the containers in this pod have been restarted and when the "
           "last container in this pod has restarted."),
    AGE,
    Column("IP", priority=1, description="IP address allocated to the pod, reachable at least within the cluster."),
    Column("Node", priority=1, description="The node that the pod is scheduled to."),
    Column("Nominated Node", priority=1, description="The node that preemption has reserved for the pod."),
    Column("Readiness Gates", priority=1, description="How many of the pod's readiness gates are true."),
)


@dataclass(slots=True)
class _Tally:
    """What is added up over the containers."""

    ready: int = 0
    restarts: int = 0
    last_restart: str = ""

    def count(self, status: Object) -> None:
        self.restarts += status.get("restartCount") or 0
        finished = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last_restart = max(self.last_restart, finished)  # RFC 3339 in UTC sorts as text


def row(pod: Object, now: datetime) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    reason, tally = summarize(pod)
    sidecars = sum(1 for c in spec.get("initContainers") or () if is_sidecar(c))
    restarts = str(tally.restarts)
    if tally.restarts and tally.last_restart:
        restarts += f" ({since(tally.last_restart, now)} ago)"
    ips = status.get("podIPs") or [{"ip": status.get("podIP")}]
    return [
        pod["metadata"].get("name", ""), f"{tally.ready}/{len(spec.get('containers') or ()) + sidecars}", reason,
        restarts, age(pod, now), (ips[0].get("ip") if ips else "") or NONE, spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE, _gates(spec, pod),
    ]


def summarize(pod: Object) -> tuple[str, _Tally]:
    """The STATUS word, and what the other columns count."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    scheduled = condition(pod, "PodScheduled") or {}
    reason = status.get("reason") or status.get("phase") or ""
    if scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    init_reason, everything, sidecars = _init(spec, status)
    if init_reason:
        reason = init_reason
    tally = everything
    if not init_reason or _is_true(pod, "Initialized"):
        tally = sidecars
        tally.ready = everything.ready
        reason = _main(pod, status, tally, reason)
    return _deleted(pod, status, reason), tally


def _init(spec: Object, status: Object) -> tuple[str, _Tally, _Tally]:
    """Why initialization isn't done (or ""), the tally of all init containers, that of the sidecars alone."""
    containers = {c.get("name"): c for c in spec.get("initContainers") or ()}
    everything, sidecars = _Tally(), _Tally()
    for i, each in enumerate(status.get("initContainerStatuses") or ()):
        sidecar = is_sidecar(containers.get(each.get("name"), {}))
        everything.count(each)
        if sidecar:
            sidecars.count(each)
        state = each.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and each.get("started"):
            everything.ready += bool(each.get("ready"))
            continue
        if terminated is not None:
            return "Init:" + _terminated(terminated), everything, sidecars
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}", everything, sidecars
        return f"Init:{i}/{len(containers)}", everything, sidecars
    return "", everything, sidecars


def _main(pod: Object, status: Object, tally: _Tally, reason: str) -> str:
    running = False
    for each in reversed(status.get("containerStatuses") or ()):
        tally.count(each)
        state = each.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _terminated(terminated)
        elif each.get("ready") and state.get("running") is not None:
            running = True
            tally.ready += 1
    if reason == "Completed" and running:
        return "Running" if _is_true(pod, "Ready") else "NotReady"
    return reason


def _terminated(state: Object) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state.get('exitCode', 0)}"


def _deleted(pod: Object, status: Object, reason: str) -> str:
    if not pod["metadata"].get("deletionTimestamp"):
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in ("Succeeded", "Failed") else "Terminating"


def _gates(spec: Object, pod: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    return f"{sum(1 for g in gates if _is_true(pod, g['conditionType']))}/{len(gates)}"


def _is_true(pod: Object, type: str) -> bool:
    found = condition(pod, type)
    return found is not None and found.get("status") == "True"
