"""The probes of one running container: when each runs, and what their results come to.

The startup probe runs alone until it succeeds; then liveness and readiness begin.  Each probe starts at once (after its
``initialDelaySeconds``) and repeats every ``periodSeconds``; a liveness probe without a delay waits one period first,
since all it can do to a container that has just started is harm.  A server needs some milliseconds until it listens,
so a first network probe that fails is repeated quickly until the first period is over; these attempts can succeed early
but are never counted as failures, so thresholds mean what the spec says.  Upstream: ``pkg/kubelet/prober``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sampan.kubelet.actions import Verdict

EAGER_SECONDS = 0.05
KINDS = ("startup", "readiness", "liveness")

#: ``(kind, probe) -> (healthy, output)``
Runner = Callable[[str, Mapping[str, Any]], Awaitable[tuple[bool, str]]]


@dataclass(frozen=True, slots=True)
class Tally:
    """Results in a row. ``healthy`` changes only when a threshold is reached."""

    healthy: bool
    successes: int = 0
    failures: int = 0


def count(tally: Tally, healthy: bool, probe: Mapping[str, Any]) -> Tally:
    """The tally after one more result."""
    if healthy:
        successes = tally.successes + 1
        return Tally(tally.healthy or successes >= int(probe.get("successThreshold") or 1), successes, 0)
    failures = tally.failures + 1
    return Tally(tally.healthy and failures < int(probe.get("failureThreshold") or 3), 0, failures)


class ContainerProbes:
    """Runs until closed. ``changed`` is called when the verdict is another one, ``unhealthy`` for each failure."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        run: Runner,
        *,
        changed: Callable[[], None],
        unhealthy: Callable[[str, str], None],
        already: Verdict | None = None,
    ) -> None:
        self._probes = {kind: spec[f"{kind}Probe"] for kind in KINDS if spec.get(f"{kind}Probe")}
        self._run = run
        self._changed = changed
        self._unhealthy = unhealthy
        self._started = "startup" not in self._probes or bool(already and already.started)
        self._ready = "readiness" not in self._probes or bool(already and already.ready)
        self._failed = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._born = 0.0

    def start(self, age_seconds: float = 0.0) -> None:
        """``age_seconds``: how long the container has been running already."""
        self._born = asyncio.get_running_loop().time() - age_seconds
        if not self._started:
            self._launch("startup")
        else:
            self._launch_rest()

    def verdict(self) -> Verdict:
        failed = self._probes.get(self._failed, {})
        grace = failed.get("terminationGracePeriodSeconds")
        seconds = None if grace is None else float(grace)
        return Verdict(self._started, self._ready and self._started, self._failed, seconds)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _launch_rest(self) -> None:
        for kind in ("readiness", "liveness"):
            if kind in self._probes:
                self._launch(kind)

    def _launch(self, kind: str) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(self._repeat(kind)))

    async def _repeat(self, kind: str) -> None:
        probe, loop = self._probes[kind], asyncio.get_running_loop()
        tally = Tally(healthy={"startup": False, "readiness": self._ready, "liveness": True}[kind])
        period = float(probe.get("periodSeconds") or 10)
        first = self._born + float(probe.get("initialDelaySeconds") or (period if kind == "liveness" else 0))
        await asyncio.sleep(max(0.0, first - loop.time()))
        due = loop.time()
        healthy, output = await self._first(kind, probe, due + period)
        while True:
            tally = count(tally, healthy, probe)
            if not healthy:
                self._unhealthy(kind, output)
            if self._settle(kind, tally, probe):
                return
            due = max(due + period, loop.time())
            await asyncio.sleep(due - loop.time())
            healthy, output = await self._run(kind, probe)

    async def _first(self, kind: str, probe: Mapping[str, Any], until: float) -> tuple[bool, str]:
        """The first result; a network probe for the start gets several chances within its first period."""
        loop, pause = asyncio.get_running_loop(), EAGER_SECONDS
        healthy, output = await self._run(kind, probe)
        eager = kind != "liveness" and "exec" not in probe and int(probe.get("successThreshold") or 1) == 1
        while eager and not healthy and loop.time() + pause < until:
            await asyncio.sleep(pause)
            pause *= 2
            again, later = await self._run(kind, probe)
            if again:
                return True, later
        return healthy, output

    def _settle(self, kind: str, tally: Tally, probe: Mapping[str, Any]) -> bool:
        """Take over the result; returns whether this probe is done for good."""
        before = self.verdict()
        done = False
        if kind == "readiness":
            self._ready = tally.healthy
        elif kind == "liveness":
            self._failed = "" if tally.healthy else "liveness"
            done = not tally.healthy
        elif tally.healthy:
            self._started = done = True
            self._launch_rest()
        elif tally.failures >= int(probe.get("failureThreshold") or 3):
            self._failed, done = "startup", True
        if self.verdict() != before:
            self._changed()
        return done
