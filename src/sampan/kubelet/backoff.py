"""How long a crashed container waits before its next attempt: 10 s, doubled at each crash, at most 300 s.

The first restart is immediate.  The delay that follows an attempt is written on the container itself when it is
created, so the agent can be killed and started again without forgetting it.  It starts anew when the container had
lasted ten minutes.  Upstream: ``pkg/kubelet/kuberuntime`` ``doBackOff`` and ``client-go/util/flowcontrol/backoff.go``.
"""

from __future__ import annotations

from sampan.kubelet.labels import BACKOFF
from sampan.runtime.base import ContainerStatus

INITIAL_SECONDS = 10.0
MAX_SECONDS = 300.0
RESET_SECONDS = 600.0


def delay_after(status: ContainerStatus) -> float:
    """Seconds to wait after the end of this attempt."""
    return float(status.config.annotations.get(BACKOFF, 0) or 0)


def next_delay(previous: ContainerStatus | None) -> float:
    """The delay to write on the attempt that follows ``previous``."""
    if previous is None:
        return 0.0
    lasted = previous.finished_at - (previous.started_at or previous.finished_at)
    if lasted >= RESET_SECONDS:
        return INITIAL_SECONDS
    return min(max(INITIAL_SECONDS, 2 * delay_after(previous)), MAX_SECONDS)


def waits_until(status: ContainerStatus, now: float) -> float | None:
    """When the next attempt may start, or ``None`` if it may start now."""
    lasted = status.finished_at - (status.started_at or status.finished_at)
    due = status.finished_at + delay_after(status)
    return due if due > now and lasted < RESET_SECONDS else None


def seconds_text(seconds: float) -> str:
    """``10s``, ``1m20s``, ``5m0s``, as Go prints a duration."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
