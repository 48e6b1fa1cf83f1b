"""The probes of all running containers of one pod: begun when a container runs, ended when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sampan.kubelet.actions import Observed, Verdict
from sampan.kubelet.containers import Container, Pod, containers_of
from sampan.kubelet.context import Context
from sampan.kubelet.lost import reported
from sampan.kubelet.probe_run import run_probe
from sampan.kubelet.probes import KINDS, ContainerProbes
from sampan.runtime.base import ContainerStatus

FRESH_SECONDS = 2.0  # a container older than this was started by an earlier agent


class PodProbes:
    def __init__(self, context: Context, changed: Callable[[], None]) -> None:
        self._context = context
        self._changed = changed
        self._probes: dict[str, ContainerProbes] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def verdicts(self) -> dict[str, Verdict]:
        """By container id; a container without probes has none."""
        return {container_id: probes.verdict() for container_id, probes in self._probes.items()}

    def follow(self, pod: Pod, seen: Observed) -> None:
        """Probe exactly the containers that run and have passed their postStart hook."""
        wanted: dict[str, tuple[Container, ContainerStatus]] = {}
        for container in containers_of(pod):
            status = seen.state.latest(container.name)
            probed = any(container.spec.get(f"{kind}Probe") for kind in KINDS)
            if probed and status and status.state == "running" and status.id not in seen.hooking:
                wanted[status.id] = (container, status)
        ending = seen.termination is not None
        for container_id in [i for i in self._probes if i not in wanted or i in seen.stopping]:
            self._close(container_id)
        for container_id, (container, status) in wanted.items():
            if container_id not in self._probes and container_id not in seen.stopping and not ending:
                self._begin(pod, container, status, seen)

    async def close(self) -> None:
        for container_id in list(self._probes):
            self._close(container_id)
        await asyncio.gather(*self._closing)

    def _begin(self, pod: Pod, container: Container, status: ContainerStatus, seen: Observed) -> None:
        sandbox = next((s for s in seen.state.sandboxes if s.id == status.sandbox_id), None)
        host = sandbox.ips[0] if sandbox and sandbox.ips else self._context.config.node_ip
        age = max(0.0, seen.now - status.started_at)
        probes = ContainerProbes(
            container.spec,
            partial(self._run, container, status, host),
            changed=self._changed,
            unhealthy=partial(self._unhealthy, pod, container),
            already=_known(pod, container, status) if age > FRESH_SECONDS else None,
        )
        self._probes[status.id] = probes
        probes.start(age)

    async def _run(
        self, container: Container, status: ContainerStatus, host: str, kind: str, probe: Mapping[str, Any]
    ) -> tuple[bool, str]:
        return await run_probe(self._context.runtime, container, status, host, probe)

    def _unhealthy(self, pod: Pod, container: Container, kind: str, output: str) -> None:
        text = f"{kind.capitalize()} probe failed: {output}"
        self._context.event(pod, "Warning", "Unhealthy", text, container.field_path)

    def _close(self, container_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._probes.pop(container_id).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _known(pod: Pod, container: Container, status: ContainerStatus) -> Verdict | None:
    """After a restart of the agent a container stays as ready as it was, until a probe says otherwise."""
    known = reported(pod, container)
    if known and known.get("containerID") == f"sampan://{status.id}":
        return Verdict(started=bool(known.get("started")), ready=bool(known.get("ready")))
    return None
