"""Small objects for tests of plans: what is not said is as the API server would have defaulted it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def stamp(seconds_ago: float = 0) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, *, phase: str = "Running", ready: bool = True, node: str = "n1", ready_for: float = 3600,
        age: float = 3600, restarts: int = 0, labels: dict[str, str] | None = None, owner: Object | None = None,
        ip: str = "10.244.0.9", deleted: bool = False, spec: Object | None = None,
        annotations: dict[str, str] | None = None) -> Object:
    metadata: Object = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": labels or {},
                        "annotations": annotations or {}, "creationTimestamp": stamp(age), "resourceVersion": "1"}
    if deleted:
        metadata["deletionTimestamp"] = stamp()
    if owner is not None:
        metadata["ownerReferences"] = [reference(owner)]
    status: Object = {"phase": phase, "containerStatuses": [{"restartCount": restarts}]}
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    status["conditions"] = [{"type": "Ready", "status": "True" if ready else "False",
                             "lastTransitionTime": stamp(ready_for)}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status,
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]} | (spec or {})}


def reference(owner: Object, **fields: Any) -> Object:
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True} | fields


def template(image: str = "nginx:1", **labels: str) -> Object:
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deployment(replicas: int = 3, *, image: str = "nginx:1", status: Object | None = None, generation: int = 1,
               annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-web", "generation": generation,
                     "annotations": annotations or {}, "resourceVersion": "1", "creationTimestamp": stamp(7200)},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image),
                 "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                 "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                 } | spec,
        "status": status or {},
    }


def replica_set(image: str = "nginx:1", replicas: int = 3, *, available: int | None = None, revision: int = 1,
                desired: int | None = None, most: int | None = None, age: float = 3600,
                actual: int | None = None, name: str = "") -> Object:
    name = name or f"web-{image.rpartition(':')[2]}"
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    annotations["deployment.kubernetes.io/desired-replicas"] = str(replicas if desired is None else desired)
    annotations["deployment.kubernetes.io/max-replicas"] = str(
        replicas + 1 if most is None else most)
    ready = replicas if available is None else available
    actual = replicas if actual is None else actual
    return {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": annotations,
                     "generation": 1, "resourceVersion": "1", "creationTimestamp": stamp(age),
                     "labels": {"app": "web", "pod-template-hash": name}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web", "pod-template-hash": name}},
                 "template": template(image, **{"pod-template-hash": name})},
        "status": {"replicas": actual, "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": 1,
                   "terminatingReplicas": 0},
    }
