"""``fieldRef`` and ``resourceFieldRef``: which facts of a Pod its own containers may ask for.

Upstream: ``validateObjectFieldSelector``, ``validateContainerResourceFieldSelector``.
"""

from __future__ import annotations

import re
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError

Object = dict[str, Any]
ENV_FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
              "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_RESOURCES = ("limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
              "requests.memory")
_KNOWN = {*ENV_FIELDS, *VOLUME_FIELDS}
_SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")


def validate_field_ref(reference: Object, allowed: tuple[str, ...], path: str) -> list[FieldError]:
    if not reference.get("apiVersion"):
        return [FieldError.required(f"{path}.apiVersion")]
    field = reference.get("fieldPath") or ""
    if not field:
        return [FieldError.required(f"{path}.fieldPath")]
    subscript = _SUBSCRIPT.fullmatch(field)
    if subscript:
        return [FieldError.invalid(path, subscript[2], why) for why in names.qualified_name(subscript[2].lower())]
    if field not in _KNOWN:
        return [FieldError.invalid(f"{path}.fieldPath", field,
                                   f"error converting fieldPath: field label not supported: {field}")]
    return [] if field in allowed else [FieldError.not_supported(f"{path}.fieldPath", field, list(allowed))]


def validate_resource_ref(reference: Object, path: str, *, needs_container: bool = False) -> list[FieldError]:
    """In volumes the container must be named; in ``env`` it is the container at hand."""
    if needs_container and not reference.get("containerName"):
        return [FieldError.required(f"{path}.containerName")]
    resource = reference.get("resource") or ""
    if not resource:
        return [FieldError.required(f"{path}.resource")]
    if resource in _RESOURCES or resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        return []
    return [FieldError.not_supported(f"{path}.resource", resource, list(_RESOURCES))]
