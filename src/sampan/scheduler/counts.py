"""How many pods match a selector, per node and per topology value, kept up to date pod by pod.

Spreading and affinity ask for this for every pod; counting the whole cluster each time would make every decision cost
as much as the cluster is large.  A count is built on first use and then follows the events; counts that nobody asked
for lately are dropped.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping

from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo

Predicate = Callable[[PodInfo], bool]

KEPT = 256


class MatchCount:
    """The pods that one predicate picks."""

    __slots__ = ("_nodes", "_predicate", "_totals", "by_node", "total")

    def __init__(self, predicate: Predicate, nodes: Mapping[str, NodeInfo]) -> None:
        self._predicate, self._nodes = predicate, nodes
        self._totals: dict[str, Counter[str]] = {}
        self.by_node: Counter[str] = Counter()
        self.total = 0
        for node in nodes.values():
            for pod in node.pods.values():
                self.change(node, pod, 1)

    def change(self, node: NodeInfo, pod: PodInfo, sign: int) -> None:
        if not self._predicate(pod):
            return
        self.total += sign
        self.by_node[node.name] += sign
        if not self.by_node[node.name]:
            del self.by_node[node.name]
        for key, totals in self._totals.items():
            value = node.labels.get(key)
            if value is not None:
                totals[value] += sign

    def by_topology(self, key: str) -> Counter[str]:
        """Matching pods per value of the node label ``key``."""
        totals = self._totals.get(key)
        if totals is None:
            totals = self._totals[key] = self.sum_over(key, self._nodes.values())
        return totals

    def sum_over(self, key: str, nodes: Iterable[NodeInfo]) -> Counter[str]:
        """As ``by_topology``, but only over the pods on some nodes; computed anew each time."""
        totals: Counter[str] = Counter()
        for node in nodes:
            count = self.by_node.get(node.name)
            if count and key in node.labels:
                totals[node.labels[key]] += count
        return totals

    def forget_topology(self) -> None:
        self._totals.clear()


class Counts:
    """All live counts, by a key that names the predicate."""

    def __init__(self, nodes: Mapping[str, NodeInfo]) -> None:
        self._nodes = nodes
        self._live: OrderedDict[str, MatchCount] = OrderedDict()

    def of(self, key: str, predicate: Predicate) -> MatchCount:
        """The count for ``predicate``; the same key must always come with the same meaning."""
        found = self._live.get(key)
        if found is None:
            found = self._live[key] = MatchCount(predicate, self._nodes)
            if len(self._live) > KEPT:
                self._live.popitem(last=False)
        else:
            self._live.move_to_end(key)
        return found

    def change(self, node: NodeInfo, pod: PodInfo, sign: int) -> None:
        for count in self._live.values():
            count.change(node, pod, sign)

    def forget_topology(self) -> None:
        """A node came, went or changed its labels."""
        for count in self._live.values():
            count.forget_topology()

    def clear(self) -> None:
        """The meaning of predicates changed (namespace labels)."""
        self._live.clear()
