"""The status of one container: waiting, running or terminated, the state before that, and what it was given.

Upstream: ``pkg/kubelet/kubelet_pods.go`` ``convertToAPIContainerStatuses``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sampan.api import clock
from sampan.kubelet.actions import SANDBOX, Observed
from sampan.kubelet.backoff import delay_after, seconds_text, waits_until
from sampan.kubelet.containers import Container, Pod, containers_of, pod_text, restarts
from sampan.kubelet.lost import reported
from sampan.runtime.base import ContainerStatus

NEVER_RAN = "The container could not be located when the pod was terminated"


@dataclass(frozen=True, slots=True)
class ContainerView:
    """``status`` is the API's ContainerStatus; ``initialized`` whether init may go on past this container."""

    status: dict[str, Any]
    initialized: bool


def container_view(pod: Pod, container: Container, seen: Observed, phase: str) -> ContainerView:
    latest = seen.state.latest(container.name)
    status: dict[str, Any] = {
        "name": container.name,
        "image": container.spec.get("image", ""),
        "imageID": "",
        "restartCount": latest.config.attempt if latest else 0,
        "lastState": _last_state(pod, container, seen, latest),
        "state": _state(pod, container, seen, latest, phase),
    }
    if latest and latest.state != "created":
        status["image"] = latest.image or status["image"]
        status["imageID"] = latest.image_id
        status["containerID"] = f"sampan://{latest.id}"
        status |= _given(container, latest)
    ready, started = _ready(container, seen, latest, status["state"])
    status["ready"] = ready
    if container.kind != "ephemeral":
        status["started"] = started
    status |= _volume_mounts(container)
    done = "terminated" in status["state"] and status["state"]["terminated"]["exitCode"] == 0
    return ContainerView(status, done if container.kind == "init" else started)


def _ready(
    container: Container, seen: Observed, latest: ContainerStatus | None, state: dict[str, Any]
) -> tuple[bool, bool]:
    """``ready`` and ``started``. An init container is ready once it has succeeded."""
    if latest is None or "waiting" in state:
        return False, False
    if container.kind == "init":
        return latest.state == "exited" and latest.exit_code == 0, latest.state == "running"
    if latest.state != "running":
        return False, False
    if container.kind == "ephemeral":
        return False, False
    verdict = seen.verdict(latest.id)
    return verdict.ready and verdict.started, verdict.started


def _state(
    pod: Pod, container: Container, seen: Observed, latest: ContainerStatus | None, phase: str
) -> dict[str, Any]:
    if latest is None or latest.state == "created":
        return _never_started(pod, container, seen, phase)
    if latest.id in seen.hooking:
        return _waiting("ContainerCreating")
    if latest.state in ("running", "unknown"):
        return {"running": {"startedAt": _time(latest.started_at)}}
    if _comes_again(pod, container, seen, latest, phase):
        waiting = _restart_wait(pod, container, seen, latest)
        if waiting:
            return waiting
    return {"terminated": terminated(latest)}


def _never_started(pod: Pod, container: Container, seen: Observed, phase: str) -> dict[str, Any]:
    over = phase in ("Succeeded", "Failed") and container.kind == "app" and not _init_stopped_it(pod, seen)
    if over and (seen.termination or (reported(pod, container) or {}).get("containerID")):
        ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": NEVER_RAN}
        return {"terminated": {**ended, "startedAt": None, "finishedAt": None}}
    failure = seen.failures.get(container.name)
    if failure:
        return _waiting(failure.reason, failure.message)
    has_init = any(c.kind in ("init", "sidecar") for c in containers_of(pod))
    return _waiting("PodInitializing" if has_init and SANDBOX not in seen.failures else "ContainerCreating")


def _init_stopped_it(pod: Pod, seen: Observed) -> bool:
    """Whether the app containers never had their turn: they stay waiting in a pod whose init container failed."""
    inits = [seen.state.latest(c.name) for c in containers_of(pod) if c.kind == "init"]
    return any(s is None or s.state != "exited" or s.exit_code != 0 for s in inits)


def _comes_again(pod: Pod, container: Container, seen: Observed, latest: ContainerStatus, phase: str) -> bool:
    over = bool(seen.termination) or phase in ("Succeeded", "Failed")
    return not over and restarts(pod, container, latest.exit_code)


def _restart_wait(
    pod: Pod, container: Container, seen: Observed, latest: ContainerStatus
) -> dict[str, Any] | None:
    failure = seen.failures.get(container.name)
    if failure:
        return _waiting(failure.reason, failure.message)
    if waits_until(latest, seen.now) is None:
        return None
    return _waiting("CrashLoopBackOff", crash_loop_text(pod, container.name, delay_after(latest)))


def crash_loop_text(pod: Pod, name: str, delay_seconds: float) -> str:
    return f"back-off {seconds_text(delay_seconds)} restarting failed container={name} pod={pod_text(pod)}"


def _last_state(pod: Pod, container: Container, seen: Observed, latest: ContainerStatus | None) -> dict[str, Any]:
    """How the attempt before the shown one ended; while a restart is awaited, that is the latest."""
    attempts = [s for s in seen.state.attempts(container.name) if s.state == "exited"]
    if latest is None or not attempts:
        return {}
    if latest.state == "exited":
        phase = (pod.get("status") or {}).get("phase", "")
        waits = _comes_again(pod, container, seen, latest, phase) and _restart_wait(pod, container, seen, latest)
        shown = latest if waits else (attempts[-2] if len(attempts) > 1 else None)
    else:
        shown = attempts[-1]
    return {"terminated": terminated(shown)} if shown else {}


def terminated(status: ContainerStatus) -> dict[str, Any]:
    """The API's ContainerStateTerminated."""
    ended: dict[str, Any] = {
        "exitCode": status.exit_code,
        "reason": status.reason or ("Completed" if status.exit_code == 0 else "Error"),
        "startedAt": _time(status.started_at),
        "finishedAt": _time(status.finished_at),
        "containerID": f"sampan://{status.id}",
    }
    if status.message:
        ended["message"] = status.message
    return ended


def _waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def _given(container: Container, latest: ContainerStatus) -> dict[str, Any]:
    """The resources and the user that the running container has (KEP-1287, KEP-3619)."""
    given: dict[str, Any] = {}
    resources = container.spec.get("resources") or {}
    if latest.state == "running" and resources:
        kept = {k: resources[k] for k in ("limits", "requests") if resources.get(k)}
        given["resources"] = kept
        if kept.get("requests"):
            given["allocatedResources"] = kept["requests"]
    security = latest.config.security
    if latest.state == "running" and security.run_as_user is not None:
        gid = security.run_as_group or 0
        groups = sorted({gid, *security.supplemental_groups})
        given["user"] = {"linux": {"uid": security.run_as_user, "gid": gid, "supplementalGroups": groups}}
    return given


def _volume_mounts(container: Container) -> dict[str, Any]:
    mounts = [
        {"name": m["name"], "mountPath": m["mountPath"]}
        | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if m.get("readOnly") else {})
        for m in container.spec.get("volumeMounts") or ()
    ]
    return {"volumeMounts": mounts} if mounts else {}


def _time(seconds: float) -> str | None:
    return clock.rfc3339(datetime.fromtimestamp(seconds, UTC)) if seconds else None
