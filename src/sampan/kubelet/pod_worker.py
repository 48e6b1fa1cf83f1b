"""One worker per pod: look, plan, act, report; again at every change.

The worker keeps nothing that matters across a restart of the agent.  Upstream: ``pkg/kubelet/pod_workers.go``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sampan.kubelet import lost
from sampan.kubelet.actions import Observed, Termination
from sampan.kubelet.containers import Pod, grace_period, is_terminal
from sampan.kubelet.context import Context
from sampan.kubelet.last_words import termination_message
from sampan.kubelet.plan import active_deadline, plan
from sampan.kubelet.pod_actions import PodActions
from sampan.kubelet.pod_probes import PodProbes
from sampan.kubelet.restart_events import RestartEvents
from sampan.kubelet.runtime_state import PodState
from sampan.kubelet.sandbox import refusal
from sampan.kubelet.security import forbidden_sysctl
from sampan.kubelet.status import pod_status

GONE_GRACE_SECONDS = 2.0
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"
_UNREMARKABLE = {"ContainerCreating", "PodInitializing"}


class PodWorker:
    """``update`` gives it the pod as the API has it, ``wake`` makes it look again; ``run`` ends with the pod."""

    def __init__(self, context: Context, pod: Pod) -> None:
        self.pod = pod
        self.uid = str(pod["metadata"]["uid"])
        self._context = context
        self._wake = asyncio.Event()
        self._words: dict[str, str] = {}
        self._termination: Termination | None = None
        self._gone_from_api = False
        self._actions = PodActions(context, self.uid, lambda: (self.pod, self.state()), self._wake.set)
        self._probes = PodProbes(context, self._wake.set)
        self._restarts = RestartEvents(context)

    def update(self, pod: Pod) -> None:
        labels_before, self.pod = _downward(self.pod), pod
        if _downward(pod) != labels_before:
            self._actions.refresh()
        self._wake.set()

    def gone(self) -> None:
        """The API no longer has the pod: end it, and tell nobody."""
        self._gone_from_api = True
        self._actions.in_api = False
        meta = {"deletionTimestamp": "", **self.pod["metadata"]}
        self.pod = {**self.pod, "metadata": meta}
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def objects_changed(self) -> None:
        """A ConfigMap or Secret is another one: refresh the files, and try again what failed for want of it."""
        self._actions.failures.clear()
        self._actions.refresh()
        self._wake.set()

    async def run(self) -> None:
        """Until the pod is gone for good. Cancelling it leaves every container as it is."""
        try:
            self._admit()
            while not self._actions.finished:
                self._wake.clear()
                self._begin_termination()
                self._probes.follow(self.pod, self.observed())
                seen = self.observed()
                step = plan(self.pod, seen)
                for action in step.actions:
                    self._actions.launch(action)
                self._report(self.observed())
                await self._wait(step.wake_at)
        finally:
            await self._probes.close()
            await self._actions.close()

    def state(self) -> PodState:
        """What runs of the pod, with each ended container's termination message."""
        state = self._context.cache.state(self.uid)
        for status in state.containers:
            if status.state == "exited" and status.id not in self._words:
                self._words[status.id] = termination_message(status)
        named = tuple(replace(c, message=self._words.get(c.id, c.message)) for c in state.containers)
        return lost.with_lost(self.pod, replace(state, containers=named), self._context.now())

    def observed(self) -> Observed:
        """All that the next plan depends on."""
        actions = self._actions
        return Observed(
            state=self.state(),
            now=self._context.now(),
            verdicts=self._probes.verdicts(),
            failures=dict(actions.failures),
            busy=actions.busy(),
            hooking=frozenset(actions.hooking),
            stopping=dict(actions.stopping),
            stopped=frozenset(actions.stopped),
            termination=self._termination,
            unmounted=actions.unmounted,
        )

    def _admit(self) -> None:
        """Refuse for good what this node can't or may not run."""
        if is_terminal(self.pod) or "deletionTimestamp" in self.pod["metadata"]:
            return
        sysctl, other = forbidden_sysctl(self.pod, self._context.config.allowed_unsafe_sysctls), refusal(self.pod)
        if sysctl or other:
            reason, message = ("SysctlForbidden", sysctl) if sysctl else ("PodFeatureUnsupported", other)
            self._context.event(self.pod, "Warning", reason, message)
            self._termination = Termination(self._context.now(), 0, "Failed", reason, f"Pod was rejected: {message}")

    def _begin_termination(self) -> None:
        now, current, meta = self._context.now(), self._termination, self.pod["metadata"]
        due = active_deadline(self.pod)
        if current is None and due is not None and now >= due and not is_terminal(self.pod):
            self._context.event(self.pod, "Normal", "DeadlineExceeded", DEADLINE_MESSAGE)
            current = Termination(now, grace_period(self.pod), "Failed", "DeadlineExceeded", DEADLINE_MESSAGE)
        if "deletionTimestamp" in meta:
            grace = float(meta.get("deletionGracePeriodSeconds", GONE_GRACE_SECONDS))
            if self._gone_from_api:
                grace = max(grace, GONE_GRACE_SECONDS) if grace == 0 else grace
            current = replace(current, grace_seconds=grace) if current else Termination(now, grace)
        self._termination = current
        if current:
            self._actions.interrupt_starts()

    def _report(self, seen: Observed) -> None:
        if self._gone_from_api or self._actions.finished:
            return
        self._restarts.tell(self.pod, seen)
        status = pod_status(self.pod, seen, self._context.host_ips)
        listed = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        waiting = {s["state"]["waiting"]["reason"] for s in listed if "waiting" in s["state"]}
        quiet = status["phase"] == "Pending" and waiting <= _UNREMARKABLE
        self._context.status.submit(self.pod, status, urgent=not quiet)

    async def _wait(self, wake_at: float | None) -> None:
        """Until something happens, or one of the times has come: the plan's, or a token's renewal."""
        if self._actions.finished:
            return
        renewal = None if self._actions.refreshing else self._context.tokens.next_renewal(self.uid)
        times = [t for t in (wake_at, renewal) if t is not None]
        try:
            seconds = max(min(times) - self._context.now(), 0.0) if times else None
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            if renewal is not None and renewal <= self._context.now():
                self._actions.refresh()


def _downward(pod: Pod) -> tuple[object, object]:
    """What a downwardAPI volume can show of a living pod."""
    return pod["metadata"].get("labels"), pod["metadata"].get("annotations")
