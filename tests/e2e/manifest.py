"""Short ways to write pods down and to ask what became of them."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.cluster import Kubectl, Result, eventually

Object = dict[str, Any]


def container(script: str = "sleep 1000", *, name: str = "main", **fields: Any) -> Object:
    """A busybox container that runs a shell script."""
    return {"name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script]} | fields


def nginx(name: str = "nginx", **fields: Any) -> Object:
    return {"name": name, "image": "nginx", "imagePullPolicy": "IfNotPresent",
            "ports": [{"name": "http", "containerPort": 80}]} | fields


def pod(*containers: Object, name: str = "pod", labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    """Dies at once when it is told to, unless the test says otherwise."""
    metadata = {"name": name, "labels": labels or {"app": name}, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"terminationGracePeriodSeconds": 0, "containers": list(containers)} | spec}


def once(*containers: Object, name: str = "pod", **spec: Any) -> Object:
    """A pod whose containers run to their end."""
    return pod(*containers, name=name, restartPolicy="Never", **spec)


def deployment(template: Object, name: str = "web", replicas: int = 1, **spec: Any) -> Object:
    labels = template["metadata"]["labels"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": template["spec"]}} | spec}


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def service(name: str, app: str = "", port: int = 80, **spec: Any) -> Object:
    selector = {"selector": {"app": app}} if app else {}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"name": "http", "port": port}]} | selector | spec}


def apply(kubectl: Kubectl, *objects: Object) -> Result:
    return kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def refused(kubectl: Kubectl, item: Object) -> str:
    """What kubectl says about an object that the server must refuse."""
    result = kubectl("create", "-f", "-", stdin=json.dumps(item), check=False)
    assert result.code == 1, result
    return result.err


def status(kubectl: Kubectl, name: str = "pod") -> Object:
    found: Object = kubectl.json("get", "pod", name)["status"]
    return found


def container_status(kubectl: Kubectl, container: str = "main", name: str = "pod",
                     field: str = "containerStatuses") -> Object:
    statuses = status(kubectl, name).get(field) or []
    return next((entry for entry in statuses if entry["name"] == container), {"state": {}, "lastState": {}})


def ended(kubectl: Kubectl, name: str = "pod", seconds: float = 30) -> Object:
    """The pod's status once it has run to its end."""

    def over() -> Object | None:
        found = status(kubectl, name)
        return found if found["phase"] in ("Succeeded", "Failed") else None

    found: Object = eventually(over, seconds)
    return found


def output(kubectl: Kubectl, item: Object, *others: Object) -> str:
    """What a pod printed that ran to its end with success."""
    apply(kubectl, *others, item)
    name = item["metadata"]["name"]
    found = ended(kubectl, name)
    printed = kubectl("logs", name).out
    assert found["phase"] == "Succeeded", f"{found}\n{printed}"
    return printed


def running(kubectl: Kubectl, item: Object, *others: Object) -> str:
    """Applies a pod and waits until it is Ready; gives its address."""
    apply(kubectl, *others, item)
    name = item["metadata"]["name"]
    kubectl.wait(f"pod/{name}", "condition=Ready")
    return str(status(kubectl, name)["podIP"])


def events(kubectl: Kubectl, name: str = "pod") -> dict[str, str]:
    """The latest message of each reason, of events about one object."""
    found = kubectl.json("get", "events", "--field-selector", f"involvedObject.name={name}")["items"]
    return {event["reason"]: event["message"] for event in found}


def execute(kubectl: Kubectl, name: str, script: str, container: str = "", check: bool = True) -> str:
    chosen = ["-c", container] if container else []
    result = kubectl("exec", name, *chosen, "--", "sh", "-c", script, check=check)
    return result.out if check else result.out + result.err
