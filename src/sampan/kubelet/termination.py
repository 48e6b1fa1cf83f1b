"""How a pod ends: its containers first, sidecars after the others and in reverse order, then sandbox and volumes.

All containers share one deadline, counted from when the termination began; when a later request shortens the grace
period, running stops are hurried.  A container that lives past the deadline is killed, sidecar or not.
Upstream: ``pkg/kubelet/kuberuntime/kuberuntime_termination_order.go``, ``pkg/kubelet/pod_workers.go``.
"""

from __future__ import annotations

from sampan.kubelet.actions import (
    Action,
    Finish,
    Observed,
    Plan,
    RemoveContainer,
    StopContainer,
    StopSandbox,
    Unmount,
)
from sampan.kubelet.containers import Pod, containers_of, grace_period
from sampan.kubelet.runtime_state import container_name
from sampan.runtime.base import ContainerStatus

HURRY_SECONDS = 0.5  # a deadline that moves by less is the same deadline


def plan_end(pod: Pod, seen: Observed, *, final: bool) -> Plan:
    """Stop everything; ``final`` also takes the pod out of the API once nothing of it is left running."""
    deadline = seen.termination.deadline if seen.termination else seen.now + grace_period(pod)
    running = seen.state.running()
    if running:
        stops = tuple(
            StopContainer(c.id, container_name(c), deadline)
            for c in _allowed_to_stop(pod, running, seen.now >= deadline)
            if seen.stopping.get(c.id, float("inf")) > deadline + HURRY_SECONDS
        )
        return Plan(stops, wake_at=deadline if seen.now < deadline else None)
    if seen.busy:
        return Plan()
    return Plan(tuple(_clear_away(seen, final)))


def _allowed_to_stop(pod: Pod, running: list[ContainerStatus], overdue: bool) -> list[ContainerStatus]:
    """The main containers while any runs, then the last sidecar in the spec's order; all of them when overdue."""
    sidecars = [c.name for c in containers_of(pod) if c.kind == "sidecar"]
    others = [c for c in running if container_name(c) not in sidecars]
    if overdue or not sidecars:
        return running
    if others:
        return others
    last = max(sidecars.index(container_name(c)) for c in running)
    return [c for c in running if container_name(c) == sidecars[last]]


def _clear_away(seen: Observed, final: bool) -> list[Action]:
    actions: list[Action] = [RemoveContainer(c.id) for c in seen.state.containers if c.state == "created"]
    standing = [s for s in seen.state.sandboxes if s.id not in seen.stopped]
    actions += [StopSandbox(s.id) for s in standing]
    if not seen.unmounted:
        actions.append(Unmount())
    if final and not actions:
        actions.append(Finish())
    return actions
