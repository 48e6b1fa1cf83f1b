"""Clusters for tests of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.cycle import Placement, place
from sampan.scheduler.diagnosis import Unschedulable
from sampan.scheduler.plugins.rules import default_filters, default_scores
from sampan.scheduler.pod_info import PodInfo

Object = dict[str, Any]


def node(name: str, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", labels: dict[str, str] | None = None,
         taints: Sequence[Object] = (), images: Sequence[Object] = (), **spec: Any) -> Object:
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods} | spec.pop("more", {})
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name} | (labels or {})},
            "spec": {"taints": list(taints)} | spec,
            "status": {"allocatable": allocatable, "images": list(images)}}


def pod(name: str = "p", *, cpu: str = "", memory: str = "", labels: dict[str, str] | None = None, on: str = "",
        namespace: str = "default", requests: dict[str, str] | None = None, image: str = "i", **spec: Any) -> Object:
    wanted = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v} | (requests or {})
    container: Object = {"name": "c", "image": image, "resources": {"requests": wanted}}
    if "ports" in spec:
        container["ports"] = spec.pop("ports")
    body: Object = {"containers": [container]} | spec
    if on:
        body["nodeName"] = on
    return {"apiVersion": "v1", "kind": "Pod", "spec": body, "status": {"phase": "Pending"},
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}",
                         "labels": labels or {}}}


def cluster(*nodes: Object, pods: Sequence[Object] = (), selectors: Sequence[Object] = ()) -> ClusterState:
    state = ClusterState(lambda pod: list(selectors))
    state.set_namespace("default", {"kubernetes.io/metadata.name": "default"})
    for item in nodes:
        state.set_node(item)
    for item in pods:
        state.set_pod(item)
    return state


def decide(state: ClusterState, wanted: Object, start: int = 0) -> Placement:
    return place(PodInfo(wanted), state, default_filters(), default_scores(), start, lambda names: sorted(names)[0])


def chosen(state: ClusterState, wanted: Object) -> str:
    return decide(state, wanted).node_name


def why_not(state: ClusterState, wanted: Object) -> str:
    try:
        placed = decide(state, wanted)
    except Unschedulable as error:
        return str(error)
    raise AssertionError(f"it was placed on {placed.node_name}")
