"""What a Pod means by what it leaves out.

Templates get the defaults of a PodSpec, but not those that only a Pod has (service links, host ports, requests from
limits), so that a template stays as its author wrote it.  Upstream: ``pkg/apis/core/v1/defaults.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import quantity
from sampan.apiserver.kinds.pod.volumes import default_volume

Object = dict[str, Any]
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


def default_pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    default_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in (spec.get("initContainers") or []) + (spec.get("containers") or []):
        _requests_from_limits(container["resources"])
    if spec.get("resources"):
        _requests_from_limits(spec["resources"])
    if spec.get("hostNetwork"):
        _host_ports(spec)


def default_spec(spec: Object) -> None:
    """The defaults of any PodSpec, a template's included."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    _service_account_alias(spec)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    for key in CONTAINER_LISTS:
        for container in spec.get(key) or ():
            default_container(container)
    if spec.get("overhead"):
        spec["overhead"] = {name: _canonical(value) for name, value in spec["overhead"].items()}
    if spec.get("resources"):
        canonical_resources(spec["resources"])


def default_container(container: Object) -> None:
    container.setdefault("imagePullPolicy", pull_policy(container.get("image") or ""))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if container.get("resources") is None:
        container["resources"] = {}
    canonical_resources(container["resources"])
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        _default_env(variable)
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(key):
            _default_probe(container[key])
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _default_http(handler)


def pull_policy(image: str) -> str:
    """Always for ``:latest`` and for no tag at all; a digest or any other tag never changes: IfNotPresent."""
    if "@" in image:
        return "Always" if image.partition("@")[0].endswith(":latest") else "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def canonical_resources(resources: Object) -> None:
    """``0.5`` becomes ``500m``, ``1024Mi`` becomes ``1Gi``: quantities are stored in their canonical form."""
    for key in ("limits", "requests"):
        if resources.get(key):
            resources[key] = {name: _canonical(value) for name, value in resources[key].items()}


def _canonical(value: Any) -> Any:
    try:
        return quantity.canonical(quantity.parse(value))
    except ValueError:
        return value  # validation names the field


def _default_env(variable: Object) -> None:
    source = variable.get("valueFrom") or {}
    if source.get("fieldRef"):
        source["fieldRef"].setdefault("apiVersion", "v1")
    if source.get("resourceFieldRef"):
        divisor = source["resourceFieldRef"].setdefault("divisor", "0")
        source["resourceFieldRef"]["divisor"] = _canonical(divisor)


def _default_probe(probe: Object) -> None:
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(key):
            probe[key] = value
    _default_http(probe)
    if probe.get("grpc"):
        probe["grpc"].setdefault("service", "")


def _default_http(handler: Object) -> None:
    if handler.get("httpGet"):
        if not handler["httpGet"].get("path"):
            handler["httpGet"]["path"] = "/"
        if not handler["httpGet"].get("scheme"):
            handler["httpGet"]["scheme"] = "HTTP"


def _service_account_alias(spec: Object) -> None:
    """``serviceAccount`` is the old name of ``serviceAccountName``; both are shown."""
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def _requests_from_limits(resources: Object) -> None:
    if resources.get("limits"):
        resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def _host_ports(spec: Object) -> None:
    for container in (spec.get("initContainers") or []) + (spec.get("containers") or []):
        for port in container.get("ports") or ():
            if not port.get("hostPort") and port.get("containerPort"):
                port["hostPort"] = port["containerPort"]
