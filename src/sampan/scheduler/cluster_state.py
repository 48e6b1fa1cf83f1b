"""All nodes and the pods on them, including pods placed a moment ago whose binding the watch has not shown yet.

A placed pod is *assumed* at once: the next pod must not be given the same room.  The watch later confirms it, or a
failed binding takes it back.  Upstream: ``pkg/scheduler/backend/cache``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sampan.api import meta
from sampan.scheduler.counts import Counts
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo

Object = dict[str, Any]


def _no_selectors(pod: PodInfo) -> list[Object]:
    return []


class ClusterState:
    """``spread_selectors`` gives the label selectors of the Services and owners that a pod belongs to."""

    def __init__(self, spread_selectors: Callable[[PodInfo], list[Object]] = _no_selectors) -> None:
        self.spread_selectors = spread_selectors
        self.nodes: dict[str, NodeInfo] = {}
        self.node_list: list[NodeInfo] = []  # those that exist, in a stable order
        self.namespace_labels: dict[str, dict[str, str]] = {}
        self.with_affinity: dict[str, NodeInfo] = {}
        self.with_anti_terms: dict[str, NodeInfo] = {}
        self.image_nodes: Counter[str] = Counter()
        self.tainted: set[str] = set()  # nodes with taints that forbid, and cordoned ones: mostly none, then
        self.cordoned: set[str] = set()  # the rules about them need not look at any node
        self.counts = Counts(self.nodes)
        self._pods: dict[str, PodInfo] = {}
        self._assumed: set[str] = set()
        self._topology: dict[str, Counter[str]] = {}

    # -- nodes -------------------------------------------------------------------------------------------------------

    def set_node(self, node: Object) -> None:
        """Added or changed."""
        info = self.nodes.setdefault(meta.name(node), NodeInfo(meta.name(node)))
        fresh, old_labels = info.node is None, info.labels
        self.image_nodes.subtract(info.image_sizes.keys())
        info.set_node(node)
        self.image_nodes.update(info.image_sizes.keys())
        self._index_taints(info)
        if fresh:
            self.node_list.append(info)
        if fresh or old_labels != info.labels:
            self._topology_changed()

    def remove_node(self, name: str) -> None:
        info = self.nodes.get(name)
        if info is None or info.node is None:
            return
        self.image_nodes.subtract(info.image_sizes.keys())
        info.set_node(None)
        self._index_taints(info)
        self.node_list.remove(info)
        if not info.pods:
            del self.nodes[name]
        self._topology_changed()

    def _index_taints(self, node: NodeInfo) -> None:
        for index, is_in in ((self.tainted, bool(node.hard_taints)), (self.cordoned, node.unschedulable)):
            (index.add if is_in else index.discard)(node.name)

    def _topology_changed(self) -> None:
        self._topology.clear()
        self.counts.forget_topology()

    def topology_values(self, key: str) -> Counter[str]:
        """How many nodes have each value of the label ``key``."""
        values = self._topology.get(key)
        if values is None:
            values = self._topology[key] = Counter(
                node.labels[key] for node in self.node_list if key in node.labels)
        return values

    # -- pods --------------------------------------------------------------------------------------------------------

    def assume(self, pod: PodInfo, node_name: str) -> None:
        pod.node_name = node_name
        self._assumed.add(pod.uid)
        self._add(pod)

    def forget(self, pod: PodInfo) -> None:
        """The binding failed."""
        if pod.uid in self._assumed:
            self._assumed.discard(pod.uid)
            self._remove(pod.uid)
            pod.node_name = ""

    def set_pod(self, pod: Object) -> None:
        """The watch shows a pod on a node."""
        uid = meta.uid(pod)
        known = self._pods.get(uid)
        if known is not None and known.node_name == pod["spec"]["nodeName"] and _same_for_us(known.pod, pod):
            self._assumed.discard(uid)
            return
        self._remove(uid)
        self._assumed.discard(uid)
        self._add(PodInfo(pod))

    def remove_pod(self, uid: str) -> bool:
        """Was it there?"""
        self._assumed.discard(uid)
        return self._remove(uid)

    def is_assumed(self, uid: str) -> bool:
        return uid in self._assumed

    def _add(self, pod: PodInfo) -> None:
        node = self.nodes.setdefault(pod.node_name, NodeInfo(pod.node_name))
        self._pods[pod.uid] = pod
        node.add(pod)
        self.counts.change(node, pod, 1)
        self._index(node)

    def _remove(self, uid: str) -> bool:
        pod = self._pods.pop(uid, None)
        node = self.nodes.get(pod.node_name) if pod is not None else None
        if pod is None or node is None:
            return False
        node.remove(pod)
        self.counts.change(node, pod, -1)
        self._index(node)
        if node.node is None and not node.pods:
            del self.nodes[node.name]
        return True

    def _index(self, node: NodeInfo) -> None:
        for index, some in ((self.with_affinity, node.with_affinity), (self.with_anti_terms, node.with_anti_terms)):
            if some:
                index[node.name] = node
            else:
                index.pop(node.name, None)

    # -- namespaces --------------------------------------------------------------------------------------------------

    def set_namespace(self, name: str, labels: dict[str, str] | None) -> None:
        """``None``: it is gone."""
        before = self.namespace_labels.get(name)
        if labels is None:
            self.namespace_labels.pop(name, None)
        else:
            self.namespace_labels[name] = labels
        if before != labels:
            self.counts.clear()


def _same_for_us(old: Object, new: Object) -> bool:
    """Status reports come often and change nothing here."""
    return (meta.labels(old) == meta.labels(new) and meta.is_deleted(old) == meta.is_deleted(new)
            and (old["spec"] is new["spec"] or _unplaced(old["spec"]) == _unplaced(new["spec"])))


def _unplaced(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if key != "nodeName"}
