"""The downward API: what a container may learn of its own pod, by ``fieldRef`` and ``resourceFieldRef``.

Upstream: ``pkg/fieldpath``, ``pkg/api/v1/resource/helpers.go`` ``ExtractContainerResourceValue``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sampan.api import quantity
from sampan.kubelet.containers import Pod, container_named

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


class FieldMissing(Exception):
    """No such field can be asked for."""


def pod_field(pod: Pod, path: str, *, pod_ips: tuple[str, ...] = (), host_ips: tuple[str, ...] = ()) -> str:
    """The value at ``metadata.name``, ``status.podIP`` and so on, as text. Raises: FieldMissing."""
    meta, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.match(path):
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return _lines(meta.get(path.partition(".")[2]) or {})
    simple = {
        "metadata.name": meta.get("name", ""),
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": host_ips[0] if host_ips else "",
        "status.hostIPs": ",".join(host_ips),
        "status.podIP": pod_ips[0] if pod_ips else "",
        "status.podIPs": ",".join(pod_ips),
    }
    if path not in simple:
        raise FieldMissing(f"unsupported fieldPath: {path}")
    return str(simple[path])


def _lines(mapping: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(mapping.items()))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def resource_field(
    pod: Pod, default_container: str, ref: Mapping[str, Any], allocatable: Mapping[str, str]
) -> str:
    """``limits.cpu`` and so on, divided by the divisor and rounded up; the node's allocatable where no limit is set.

    Raises: FieldMissing.
    """
    name = ref.get("containerName") or default_container
    container = container_named(pod, name)
    if container is None:
        raise FieldMissing(f"container {name} not found")
    kind, _, resource = str(ref["resource"]).partition(".")
    if kind not in ("limits", "requests") or not resource:
        raise FieldMissing(f"unsupported container resource : {ref['resource']}")
    listed = (container.spec.get("resources") or {}).get(kind) or {}
    fallback = allocatable.get(resource, "0") if kind == "limits" else "0"
    amount = quantity.parse(listed.get(resource, fallback))
    divisor = quantity.parse(ref.get("divisor") or "1")
    return str(math.ceil(amount / (divisor if divisor > 0 else quantity.parse("1"))))
