"""What to do for a pod now: a pure function of the pod, of what runs, and of the time.

There is no stored progress.  Every decision is taken again from what the runtime has, so an agent that was killed
between any two steps continues at the right one, and nothing is started twice: a name with a living container, or
with a start under way, is never started.  Order: sandbox, init containers one by one (a sidecar counts once it has
started), then all app and ephemeral containers at once.

Upstream: ``pkg/kubelet/kuberuntime/kuberuntime_manager.go`` ``computePodActions`` and ``SyncPod``.
"""

from __future__ import annotations

from sampan.kubelet.actions import (
    SANDBOX,
    Action,
    CreateSandbox,
    Observed,
    Plan,
    RemoveContainer,
    RemoveSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
)
from sampan.kubelet.backoff import next_delay, waits_until
from sampan.kubelet.containers import Container, Pod, containers_of, grace_period, restarts, spec_hash
from sampan.kubelet.labels import HASH
from sampan.kubelet.phase import any_app_created, in_sandbox, next_init, phase_of
from sampan.kubelet.runtime_state import container_name
from sampan.kubelet.termination import plan_end
from sampan.runtime.base import ContainerStatus


def plan(pod: Pod, seen: Observed) -> Plan:
    """The next actions for this pod. Raises nothing; an empty plan without ``wake_at`` means: wait for news."""
    if seen.termination:
        return plan_end(pod, seen, final="deletionTimestamp" in pod["metadata"])
    if phase_of(pod, seen) in ("Succeeded", "Failed"):
        return plan_end(pod, seen, final=False)
    if seen.state.sandbox is None:
        return _plan_sandbox(pod, seen)
    return _Deciding(pod, seen).decide()


def _plan_sandbox(pod: Pod, seen: Observed) -> Plan:
    """Clear away what lived in the last sandbox, then make a new one; its containers can't outlive it."""
    newest = seen.state.newest_sandbox
    leftover = [s for s in _stop_all(pod, seen, "Pod sandbox changed, it will be killed and re-created.")]
    if newest and newest.id not in seen.stopped:
        leftover.append(StopSandbox(newest.id))
    if leftover or seen.state.running():
        return Plan(tuple(leftover))
    failure = seen.failures.get(SANDBOX)
    if SANDBOX in seen.busy:
        return Plan()
    if failure and failure.retry_at > seen.now:
        return Plan(wake_at=failure.retry_at)
    return Plan((CreateSandbox(newest.config.attempt + 1 if newest else 0),))


def _stop_all(pod: Pod, seen: Observed, why: str) -> list[Action]:
    deadline = seen.now + grace_period(pod)
    return [
        StopContainer(c.id, container_name(c), deadline, why)
        for c in seen.state.running()
        if c.id not in seen.stopping
    ]


class _Deciding:
    """One decision in the making: collects actions and the earliest time to look again."""

    def __init__(self, pod: Pod, seen: Observed) -> None:
        self.pod = pod
        self.seen = seen
        self.actions: list[Action] = []
        self.wake_at: float | None = None

    def decide(self) -> Plan:
        self._init_containers()
        if any_app_created(self.pod, self.seen) or next_init(self.pod, self.seen) is None:
            for container in containers_of(self.pod):
                if container.kind in ("app", "ephemeral"):
                    self._keep(container)
        self._strangers()
        self._collect_garbage()
        self._active_deadline()
        return Plan(tuple(self.actions), self.wake_at)

    def _init_containers(self) -> None:
        """Start the one that is next in the order; keep the sidecars before it, and all of them later, alive."""
        past_init = any_app_created(self.pod, self.seen)
        waited_for = None if past_init else next_init(self.pod, self.seen)
        for container in containers_of(self.pod):
            if container.kind == "sidecar" or (container.kind == "init" and container == waited_for):
                self._keep(container, fresh=not past_init)
            if waited_for is not None and container == waited_for:
                return

    def _keep(self, container: Container, fresh: bool = False) -> None:
        """Bring one container to run, or leave it alone. ``fresh``: only attempts in this sandbox count as run."""
        if container.name in self.seen.busy:
            return
        status = in_sandbox(self.seen, container.name) if fresh else self.seen.state.latest(container.name)
        if status is None or status.state == "created":
            self._start_over(container, status)
        elif status.state in ("running", "unknown"):
            self._watch_over(container, status)
        elif self._wants_restart(container, status):
            self._restart(container, status)

    def _wants_restart(self, container: Container, status: ContainerStatus) -> bool:
        if container.kind != "ephemeral" and status.config.annotations.get(HASH, "") != spec_hash(container.spec):
            return True
        if container.kind in ("app", "sidecar") and in_sandbox(self.seen, container.name) is None:
            # It ran in an earlier sandbox: it is started here unless it had ended for good.
            return restarts(self.pod, container, status.exit_code)
        return restarts(self.pod, container, status.exit_code)

    def _start_over(self, container: Container, created: ContainerStatus | None) -> None:
        """No attempt here yet, or one that a crash of the agent left between create and start: that is removed."""
        if created is not None:
            self.actions.append(RemoveContainer(created.id))
            return
        latest = self.seen.state.latest(container.name)
        self._start(container, latest.config.attempt + 1 if latest else 0, next_delay(latest))

    def _restart(self, container: Container, ended: ContainerStatus) -> None:
        due = waits_until(ended, self.seen.now)
        if due is not None:
            self._wake(due)
        else:
            self._start(container, ended.config.attempt + 1, next_delay(ended))

    def _start(self, container: Container, attempt: int, delay: float) -> None:
        failure = self.seen.failures.get(container.name)
        if failure and failure.retry_at > self.seen.now:
            self._wake(failure.retry_at)
        else:
            self.actions.append(StartContainer(container.name, attempt, delay))

    def _watch_over(self, container: Container, status: ContainerStatus) -> None:
        """Kill a running container that a probe gave up, or whose image is no longer the one in the spec."""
        if status.id in self.seen.stopping:
            return
        verdict, why = self.seen.verdict(status.id), ""
        if container.kind != "ephemeral" and status.config.annotations.get(HASH, "") != spec_hash(container.spec):
            why = f"Container {container.name} definition changed"
        elif verdict.failed:
            why = f"Container {container.name} failed {verdict.failed} probe"
        elif status.state == "unknown":
            why = f"Container {container.name} is in unknown state, try killing it before restart"
        if why:
            grace = grace_period(self.pod) if verdict.grace_seconds is None else verdict.grace_seconds
            again = why if container.kind in ("init", "ephemeral") else f"{why}, will be restarted"
            self.actions.append(StopContainer(status.id, container.name, self.seen.now + grace, again))

    def _strangers(self) -> None:
        """Stop what runs in a sandbox that is no longer the pod's."""
        sandbox = self.seen.state.sandbox
        for status in self.seen.state.running():
            if sandbox and status.sandbox_id != sandbox.id and status.id not in self.seen.stopping:
                deadline = self.seen.now + grace_period(self.pod)
                self.actions.append(StopContainer(status.id, container_name(status), deadline))

    def _collect_garbage(self) -> None:
        """Keep of each name the newest attempt and the one before it, for ``kubectl logs --previous``."""
        kept: set[str] = set()
        for name in {container_name(c) for c in self.seen.state.containers}:
            attempts = self.seen.state.attempts(name)
            kept.update(c.sandbox_id for c in attempts[-2:])
            self.actions += [RemoveContainer(c.id) for c in attempts[:-2] if c.state == "exited"]
            kept.update(c.sandbox_id for c in attempts[:-2])  # its sandbox goes once it has gone
        for old in self.seen.state.sandboxes[:-1]:
            if old.id not in self.seen.stopped:
                self.actions.append(StopSandbox(old.id))
            elif old.id not in kept:
                self.actions.append(RemoveSandbox(old.id))

    def _active_deadline(self) -> None:
        due = active_deadline(self.pod)
        if due is not None:
            self._wake(due)

    def _wake(self, at: float) -> None:
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)


def active_deadline(pod: Pod) -> float | None:
    """When ``activeDeadlineSeconds`` is over, counted from ``status.startTime``."""
    from sampan.api import clock

    seconds = pod["spec"].get("activeDeadlineSeconds")
    started = (pod.get("status") or {}).get("startTime")
    return clock.parse(started).timestamp() + seconds if seconds is not None and started else None
