"""What ``/metrics`` tells: requests, how long they took, what is under way.  Prometheus' text format.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/metrics``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from sampan.apiserver.request_info import RequestInfo

BUCKETS_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0)

Labels = tuple[str, str, str, str]
_NAMES = ("verb", "group", "resource", "subresource")


class Histogram:
    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self.total = 0.0


class Metrics:
    """Counts in place; text is made only when asked for."""

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[Labels, int], int] = defaultdict(int)
        self.durations: defaultdict[Labels, Histogram] = defaultdict(Histogram)

    def observe(self, info: RequestInfo, status: int, seconds: float) -> None:
        """One answered request; a watch counts when its head leaves."""
        # only known resources become labels, or anybody could fill the memory with made-up paths
        if info.is_resource and status != 404:
            labels = (info.verb, info.group, info.resource, info.subresource)
        else:
            labels = (info.verb if info.is_resource else "path", "", "", "")
        self.requests[labels, status] += 1
        histogram = self.durations[labels]
        histogram.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        histogram.total += seconds

    def text(self, reads: int, writes: int) -> str:
        return "\n".join([*self._requests(), *self._durations(), *_inflight(reads, writes), ""])

    def _requests(self) -> Iterator[str]:
        yield "# TYPE apiserver_request_total counter"
        for (labels, status), count in sorted(self.requests.items()):
            yield f'apiserver_request_total{{{_text(labels)},code="{status}"}} {count}'

    def _durations(self) -> Iterator[str]:
        name = "apiserver_request_duration_seconds"
        yield f"# TYPE {name} histogram"
        for labels, histogram in sorted(self.durations.items()):
            text, running = _text(labels), 0
            for bound, count in zip((*BUCKETS_SECONDS, "+Inf"), histogram.counts, strict=True):
                running += count
                yield f'{name}_bucket{{{text},le="{bound}"}} {running}'
            yield f"{name}_sum{{{text}}} {histogram.total:.6f}"
            yield f"{name}_count{{{text}}} {running}"


def _text(labels: Labels) -> str:
    return ",".join(f'{name}="{value}"' for name, value in zip(_NAMES, labels, strict=True))


def _inflight(reads: int, writes: int) -> Iterator[str]:
    yield "# TYPE apiserver_current_inflight_requests gauge"
    yield f'apiserver_current_inflight_requests{{request_kind="readOnly"}} {reads}'
    yield f'apiserver_current_inflight_requests{{request_kind="mutating"}} {writes}'
