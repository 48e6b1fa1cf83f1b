"""What a pod worker sees, and what it can do: the values that go into and come out of ``plan``.

Each action has a ``key``; a worker never has two actions of the same key under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sampan.kubelet.runtime_state import PodState

SANDBOX = ""  # the name under which the sandbox stands among container names


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the probes of one running container say. ``failed`` is the probe that wants it killed, or ``""``."""

    started: bool = True
    ready: bool = True
    failed: str = ""
    grace_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something could not be started, as a waiting reason, and when it is tried again."""

    reason: str
    message: str
    retry_at: float


@dataclass(frozen=True, slots=True)
class Termination:
    """The pod is to end. ``phase`` is set when the kubelet itself decided so (a deadline, an eviction)."""

    since: float
    grace_seconds: float
    phase: str = ""
    reason: str = ""
    message: str = ""

    @property
    def deadline(self) -> float:
        return self.since + self.grace_seconds


@dataclass(frozen=True, slots=True)
class Observed:
    """All that a decision may depend on, besides the pod itself. Times are seconds since the epoch."""

    state: PodState
    now: float
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)  # by container id; only containers with probes
    failures: Mapping[str, Failure] = field(default_factory=dict)  # by container name, or SANDBOX
    busy: frozenset[str] = frozenset()  # names whose start is under way, or SANDBOX
    hooking: frozenset[str] = frozenset()  # ids of containers whose postStart hook has not returned
    stopping: Mapping[str, float] = field(default_factory=dict)  # container id -> deadline of the stop under way
    stopped: frozenset[str] = frozenset()  # ids of sandboxes that were torn down
    termination: Termination | None = None
    unmounted: bool = False  # volumes were taken away

    def verdict(self, container_id: str) -> Verdict:
        if container_id in self.hooking:
            return Verdict(started=False, ready=False)
        return self.verdicts.get(container_id, Verdict())


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    attempt: int
    key: str = "sandbox"


@dataclass(frozen=True, slots=True)
class StopSandbox:
    id: str

    @property
    def key(self) -> str:
        return f"stop-sandbox {self.id}"


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    id: str

    @property
    def key(self) -> str:
        return f"remove {self.id}"


@dataclass(frozen=True, slots=True)
class StartContainer:
    """``backoff_seconds`` is written on the container: the wait after its end before another attempt."""

    name: str
    attempt: int
    backoff_seconds: float = 0.0

    @property
    def key(self) -> str:
        return f"start {self.name}"


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Kill by ``deadline``, after the preStop hook and the stop signal. ``message`` goes into the Killing event."""

    id: str
    name: str
    deadline: float
    message: str = ""

    @property
    def key(self) -> str:
        return f"stop {self.id} {self.deadline}"


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    id: str

    @property
    def key(self) -> str:
        return f"remove {self.id}"


@dataclass(frozen=True, slots=True)
class Unmount:
    """Take the pod's volumes away."""

    key: str = "unmount"


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing of the pod runs any more: delete it from the API, then remove its remains."""

    key: str = "finish"


Action = (
    CreateSandbox | StopSandbox | RemoveSandbox | StartContainer | StopContainer | RemoveContainer | Unmount | Finish
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when to look again even if nothing happens."""

    actions: tuple[Action, ...] = ()
    wake_at: float | None = None
