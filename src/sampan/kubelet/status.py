"""The status of a pod, computed from the pod and from what runs: a pure function.

Times of transitions are kept from the status the API has, so the same picture always gives the same status.
Upstream: ``pkg/kubelet/kubelet_pods.go`` ``generateAPIPodStatus``, ``pkg/kubelet/status/generate.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sampan.api import clock
from sampan.kubelet.actions import Observed
from sampan.kubelet.container_status import ContainerView, container_view
from sampan.kubelet.containers import Pod, containers_of
from sampan.kubelet.phase import any_app_created, phase_of
from sampan.kubelet.qos import qos_class

#: The condition types that the kubelet owns; others' conditions are never sent.
OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def pod_status(pod: Pod, seen: Observed, host_ips: tuple[str, ...]) -> dict[str, Any]:
    """The whole status as the kubelet sees it; ``host_ips`` are the node's addresses."""
    phase = phase_of(pod, seen)
    before = pod.get("status") or {}
    views = {c.name: container_view(pod, c, seen, phase) for c in containers_of(pod)}
    status: dict[str, Any] = {
        "phase": phase,
        "conditions": _conditions(pod, seen, phase, views),
        "startTime": before.get("startTime") or clock.rfc3339(moment(seen.now)),
        "qosClass": before.get("qosClass") or qos_class(pod),
        "hostIP": host_ips[0],
        "hostIPs": [{"ip": ip} for ip in host_ips],
    }
    if (generation := pod["metadata"].get("generation")) is not None:
        status["observedGeneration"] = generation
    status.update(_addresses(pod, seen, host_ips))
    status.update(_reason(pod, seen))
    for field, kinds in (
        ("initContainerStatuses", ("init", "sidecar")),
        ("containerStatuses", ("app",)),
        ("ephemeralContainerStatuses", ("ephemeral",)),
    ):
        listed = [views[c.name].status for c in containers_of(pod) if c.kind in kinds]
        if listed:
            status[field] = listed
    return status


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _addresses(pod: Pod, seen: Observed, host_ips: tuple[str, ...]) -> dict[str, Any]:
    sandbox = seen.state.newest_sandbox
    ips: Iterable[str] = ()
    if pod["spec"].get("hostNetwork"):
        ips = host_ips if sandbox else ()
    elif sandbox:
        ips = sandbox.ips
    found = list(ips) or [entry["ip"] for entry in (pod.get("status") or {}).get("podIPs") or ()]
    return {"podIP": found[0], "podIPs": [{"ip": ip} for ip in found]} if found else {}


def _reason(pod: Pod, seen: Observed) -> dict[str, str]:
    before = pod.get("status") or {}
    if seen.termination and seen.termination.reason:
        return {"reason": seen.termination.reason, "message": seen.termination.message}
    return {k: before[k] for k in ("reason", "message") if before.get(k)}


def _conditions(pod: Pod, seen: Observed, phase: str, views: Mapping[str, ContainerView]) -> list[dict[str, Any]]:
    containers_ready = _containers_ready(pod, phase, views)
    found = [
        _condition("PodReadyToStartContainers", seen.state.sandbox is not None),
        _initialized(pod, seen, phase, views),
        _ready(pod, containers_ready),
        containers_ready,
        _condition("PodScheduled", True),
    ]
    generation = pod["metadata"].get("generation")
    before = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    for condition in found:
        same = before.get(condition["type"])
        kept = same["lastTransitionTime"] if same and same["status"] == condition["status"] else None
        condition["lastProbeTime"] = None
        condition["lastTransitionTime"] = kept or clock.rfc3339(moment(seen.now))
        if generation is not None:
            condition["observedGeneration"] = generation
    return found


def _condition(kind: str, true: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "status": "True" if true else "False"}
    if reason:
        found["reason"] = reason
    if message:
        found["message"] = message
    return found


def _initialized(pod: Pod, seen: Observed, phase: str, views: Mapping[str, ContainerView]) -> dict[str, Any]:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    if any_app_created(pod, seen):
        return _condition("Initialized", True)
    waiting = [c.name for c in containers_of(pod) if c.kind in ("init", "sidecar") and not views[c.name].initialized]
    if waiting:
        text = f"containers with incomplete status: [{' '.join(waiting)}]"
        return _condition("Initialized", False, "ContainersNotInitialized", text)
    return _condition("Initialized", True)


def _containers_ready(pod: Pod, phase: str, views: Mapping[str, ContainerView]) -> dict[str, Any]:
    if phase in ("Succeeded", "Failed"):
        return _condition("ContainersReady", False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    counted = [c for c in containers_of(pod) if c.kind in ("app", "sidecar")]
    unready = [c.name for c in counted if not views[c.name].status["ready"]]
    if not unready:
        return _condition("ContainersReady", True)
    return _condition("ContainersReady", False, "ContainersNotReady", _unready_text(unready))


def _unready_text(names: list[str]) -> str:
    return f"containers with unready status: [{' '.join(names)}]"


def _ready(pod: Pod, containers_ready: Mapping[str, Any]) -> dict[str, Any]:
    """Ready is ContainersReady plus every condition named by the pod's readinessGates."""
    if containers_ready["status"] != "True":
        return _condition("Ready", False, containers_ready["reason"], containers_ready.get("message", ""))
    have = {c["type"]: c["status"] for c in (pod.get("status") or {}).get("conditions") or ()}
    messages = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in have:
            messages.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif have[kind] != "True":
            messages.append(f'the status of pod readiness gate "{kind}" is not "True", but {have[kind]}')
    if messages:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(messages))
    return _condition("Ready", True)


def rejected(reason: str, message: str, now: float) -> dict[str, Any]:
    """The status of a pod that this node refuses to run at all."""
    return {"phase": "Failed", "reason": reason, "message": message, "startTime": clock.rfc3339(moment(now))}

