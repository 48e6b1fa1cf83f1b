"""The phase of a pod, computed from its containers: a pure function used by ``plan`` and by ``status``.

Upstream: ``pkg/kubelet/kubelet_pods.go`` ``getPhase``.
"""

from __future__ import annotations

from sampan.kubelet.actions import Observed
from sampan.kubelet.containers import Container, Pod, containers_of, is_terminal, restarts
from sampan.runtime.base import ContainerStatus


def phase_of(pod: Pod, seen: Observed) -> str:
    """Pending, Running, Succeeded or Failed. A finished pod stays finished."""
    if is_terminal(pod):
        return str(pod["status"]["phase"])
    if seen.termination and seen.termination.phase:
        return seen.termination.phase
    if any(init_failed(pod, c, seen) for c in containers_of(pod) if c.kind == "init"):
        return "Failed"
    apps = [c for c in containers_of(pod) if c.kind == "app"]
    ended = [seen.state.latest(c.name) for c in apps]
    if all(_is_over(pod, c, s, seen) for c, s in zip(apps, ended, strict=True)):
        return "Succeeded" if all(s is not None and s.exit_code == 0 for s in ended) else "Failed"
    if not initialized(pod, seen):
        return "Pending"
    return "Running" if all(s is not None and s.state != "created" for s in ended) else "Pending"


def _is_over(pod: Pod, container: Container, status: ContainerStatus | None, seen: Observed) -> bool:
    if status is None or status.state != "exited":
        return False
    # Of a pod that is being deleted nothing starts again, whatever its restart policy says.
    return bool(seen.termination) or not restarts(pod, container, status.exit_code)


def init_failed(pod: Pod, container: Container, seen: Observed) -> bool:
    """Whether an init container ended for good without success, which fails the pod."""
    status = seen.state.latest(container.name)
    if status is None or status.state != "exited" or status.exit_code == 0:
        return False
    return bool(not restarts(pod, container, status.exit_code))


def initialized(pod: Pod, seen: Observed) -> bool:
    """Whether the app containers may run: every init container succeeded and every sidecar has started."""
    return any_app_created(pod, seen) or next_init(pod, seen) is None


def any_app_created(pod: Pod, seen: Observed) -> bool:
    """Whether the current sandbox is past its init stage, however its init containers look by now."""
    sandbox = seen.state.newest_sandbox
    apps = {c.name for c in containers_of(pod) if c.kind == "app"}
    return sandbox is not None and any(
        s.sandbox_id == sandbox.id and s.config.name in apps for s in seen.state.containers
    )


def next_init(pod: Pod, seen: Observed) -> Container | None:
    """The init container that the others wait for, or ``None`` when all are through."""
    for container in containers_of(pod):
        if container.kind not in ("init", "sidecar"):
            break
        status = in_sandbox(seen, container.name)
        if status is None:
            return container
        if container.kind == "init" and not (status.state == "exited" and status.exit_code == 0):
            return container
        if container.kind == "sidecar" and not (status.state == "running" and seen.verdict(status.id).started):
            return container
    return None


def in_sandbox(seen: Observed, name: str) -> ContainerStatus | None:
    """The newest attempt within the current sandbox: what an earlier sandbox ran does not count for init."""
    sandbox, status = seen.state.newest_sandbox, seen.state.latest(name)
    return status if status and sandbox and status.sandbox_id == sandbox.id else None
