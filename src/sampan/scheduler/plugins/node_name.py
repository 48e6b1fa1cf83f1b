"""A pod that names its node goes there or nowhere. (One with ``spec.nodeName`` never gets to a scheduler: this is for
callers that ask about such a pod.)  Upstream: ``plugins/nodename``."""

from __future__ import annotations

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import Event, Filter, Reason
from sampan.scheduler.pod_info import PodInfo

WRONG_NODE = (Reason("node(s) didn't match the requested node name", resolvable=False),)


class NodeName:
    name = "NodeName"
    events = frozenset({Event.NODE_ADDED})

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        wanted = pod.spec.get("nodeName")
        if not wanted:
            return None
        return lambda node: None if node.name == wanted else WRONG_NODE
