"""Stopping one container: the preStop hook, the stop signal, and the kill at the deadline.

The hook's time is part of the grace period.  A hook that used it all up still leaves the container two seconds for its
own end, as upstream does.  Upstream: ``pkg/kubelet/kuberuntime/kuberuntime_container.go`` ``killContainer``.
"""

from __future__ import annotations

import asyncio
import logging

from sampan.kubelet.actions import StopContainer
from sampan.kubelet.containers import Container, Pod, container_named
from sampan.kubelet.context import Context
from sampan.kubelet.hooks import HookFailure, run_hook
from sampan.kubelet.runtime_state import PodState
from sampan.runtime.base import RuntimeFailure

log = logging.getLogger(__name__)

MINIMAL_SECONDS = 2.0


async def stop_container(context: Context, pod: Pod, state: PodState, action: StopContainer, *, hurried: bool) -> None:
    """Returns when the container is gone. ``hurried``: an earlier stop is under way, only its deadline moves."""
    container = container_named(pod, action.name)
    if not hurried:
        _tell(context, pod, container, action)
        if container and (hook := (container.spec.get("lifecycle") or {}).get("preStop")):
            await _pre_stop(context, pod, container, state, action, hook)
    left = action.deadline - context.now()
    try:
        await context.runtime.stop_container(action.id, max(left, 0.0))
    except RuntimeFailure as error:
        log.warning("container was not stopped container=%s error=%s", action.id, error)
        context.event(pod, "Warning", "FailedKillPod", f"error killing pod: {error}")
        await asyncio.sleep(1)  # the next plan tries again
    await context.cache.refresh_container(action.id)


async def _pre_stop(
    context: Context, pod: Pod, container: Container, state: PodState, action: StopContainer, hook: dict[str, object]
) -> None:
    sandbox = next((s for s in state.sandboxes for c in state.containers
                    if c.id == action.id and c.sandbox_id == s.id), None)
    host = sandbox.ips[0] if sandbox and sandbox.ips else context.config.node_ip
    try:
        async with asyncio.timeout(max(action.deadline - context.now(), 0)):
            await run_hook(context.runtime, pod, container, action.id, host, hook)
    except HookFailure as error:
        log.info("preStop hook failed pod=%s/%s error=%s", pod["metadata"]["namespace"], pod["metadata"]["name"], error)
        context.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container.field_path)
    except TimeoutError:
        log.info("preStop hook used up the grace period container=%s", action.id)
        try:
            await context.runtime.stop_container(action.id, MINIMAL_SECONDS)
        except RuntimeFailure as error:
            log.warning("container was not stopped container=%s error=%s", action.id, error)


def _tell(context: Context, pod: Pod, container: Container | None, action: StopContainer) -> None:
    message = action.message or f"Stopping container {action.name}"
    context.event(pod, "Normal", "Killing", message, container.field_path if container else "")
