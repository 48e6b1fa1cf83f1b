"""Why no node would do, in one sentence: each reason with the number of nodes it holds for.

``0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate,
preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for
incoming pod.``  People and programs read this text, so it is upstream's, to the letter.

Upstream: ``FitError`` in ``pkg/scheduler/framework/types.go``, ``preemption.go``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sampan.scheduler.framework import Reason

NO_NODES = "no nodes available to schedule pods"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NO_CLAIMS = "no new claims to deallocate"


class Unschedulable(Exception):
    """No node can take the pod now. ``rules`` are the names of those that turned nodes away."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.message)
        self.diagnosis = diagnosis


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``per_node``: the reasons of the first rule that turned the node away. ``rejection``: one for all nodes."""

    total: int
    per_node: Mapping[str, Sequence[Reason]] = field(default_factory=dict)
    rules: frozenset[str] = frozenset()
    rejection: str = ""
    never_preempts: bool = False

    @property
    def message(self) -> str:
        if not self.total:
            return NO_NODES
        text = f"0/{self.total} nodes are available:"
        if self.rejection:
            text += f" {self.rejection}."
        elif self.per_node:
            text += f" {_histogram([r.text for reasons in self.per_node.values() for r in reasons])}."
        return f"{text} {NO_CLAIMS}, preemption: {self._preemption()}"

    def _preemption(self) -> str:
        if self.never_preempts:
            return "not eligible due to preemptionPolicy=Never."
        hopeless = self.total - len(self.per_node) + sum(
            not all(reason.resolvable for reason in reasons) for reasons in self.per_node.values())
        texts = Counter({NOT_HELPFUL: hopeless, NO_VICTIMS: self.total - hopeless})
        return f"0/{self.total} nodes are available: {_histogram(list(texts.elements()))}."


def _histogram(texts: Sequence[str]) -> str:
    return ", ".join(sorted(f"{count} {text}" for text, count in Counter(texts).items()))
