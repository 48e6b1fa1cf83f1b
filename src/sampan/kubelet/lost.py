"""Containers that the API knows and the runtime no longer does, as after a reboot that took the runtime's state.

They are put back into the picture as ended with code 137, so that a pod that must not restart is found finished and
restart counts go on.  Upstream: ``ContainerStatusUnknown`` in ``convertToAPIContainerStatuses``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sampan.kubelet.containers import Container, Pod, containers_of, spec_hash
from sampan.kubelet.labels import HASH, container_labels
from sampan.kubelet.runtime_state import PodState
from sampan.runtime.base import ContainerConfig, ContainerStatus

MESSAGE = "The container could not be located when the pod was terminated"
STATUS_LISTS = {"init": "initContainerStatuses", "sidecar": "initContainerStatuses", "app": "containerStatuses",
                "ephemeral": "ephemeralContainerStatuses"}


def with_lost(pod: Pod, state: PodState, now: float) -> PodState:
    """The state with what the API says ran and the runtime has forgotten. ``now`` stands for the unknown end."""
    lost = []
    for container in containers_of(pod):
        known = reported(pod, container)
        if known and known.get("containerID") and state.latest(container.name) is None:
            lost.append(_ended(pod, container, known, now))
    return replace(state, containers=tuple(lost) + state.containers) if lost else state


def reported(pod: Pod, container: Container) -> Mapping[str, Any] | None:
    """The container's status as the API has it."""
    listed = (pod.get("status") or {}).get(STATUS_LISTS[container.kind]) or ()
    return next((s for s in listed if s["name"] == container.name), None)


def _ended(pod: Pod, container: Container, known: Mapping[str, Any], now: float) -> ContainerStatus:
    done = (known.get("state") or {}).get("terminated") or {}
    config = ContainerConfig(
        name=container.name,
        image=known.get("image", ""),
        attempt=int(known.get("restartCount", 0)),
        labels=container_labels(pod, container.name),
        annotations={HASH: spec_hash(container.spec)},
    )
    return ContainerStatus(
        id=str(known["containerID"]).rpartition("/")[2],
        sandbox_id="",
        state="exited",
        created_at=0.0,
        started_at=_seconds(done.get("startedAt")),
        finished_at=_seconds(done.get("finishedAt")) or now,
        exit_code=int(done.get("exitCode", 137)),
        reason=done.get("reason", "ContainerStatusUnknown"),
        message=done.get("message", "" if done else MESSAGE),
        pid=0,
        image=known.get("image", ""),
        image_id=known.get("imageID", ""),
        log_path="",
        config=config,
    )


def _seconds(text: str | None) -> float:
    from sampan.api import clock

    return clock.parse(text).timestamp() if text else 0.0
