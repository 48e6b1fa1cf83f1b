"""Node. Upstream: ``pkg/registry/core/node``, ``ValidateNode``, ``printNode``."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.api.meta import condition
from sampan.apiserver.kinds.base import AGE, NAME, Column, Context, Kind, Object
from sampan.apiserver.kinds.rules import one_of
from sampan.apiserver.kinds.table import NONE, UNKNOWN, age

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


class NodeKind(Kind):
    columns = (
        NAME, Column("Status", description="The status of the node"),
        Column("Roles", description="The roles of the node"), AGE,
        Column("Version", description="Kubelet Version reported by the node."),
        Column("Internal-IP", priority=1, description="List of addresses reachable to the node."),
        Column("External-IP", priority=1, description="List of addresses reachable to the node."),
        Column("OS-Image", priority=1, description="OS Image reported by the node."),
        Column("Kernel-Version", priority=1, description="Kernel version reported by the node."),
        Column("Container-Runtime", priority=1, description="Container runtime reported by the node."),
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        spec = obj["spec"]
        if spec.get("podCIDR") and not spec.get("podCIDRs"):
            spec["podCIDRs"] = [spec["podCIDR"]]
        status = obj.get("status") or {}
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def prepare_for_create(self, obj: Object, ctx: Context) -> None:
        """Unlike other kinds a Node keeps the status it comes with: the kubelet registers with one write."""

    def validate_object(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = _taints(spec.get("taints") or [], "spec.taints")
        for i, cidr in enumerate(spec.get("podCIDRs") or ()):
            try:
                ipaddress.ip_network(cidr)
            except ValueError:
                errors.append(FieldError.invalid(f"spec.podCIDRs[{i}]", cidr, "must be a valid CIDR value, "
                                                 "(e.g. 10.9.8.0/24 or 2001:db8::/64)"))
        return errors

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        new, before = obj.get("spec") or {}, old.get("spec") or {}
        errors = [] if subresource == "status" else self.validate_object(obj)
        if before.get("podCIDRs") and new.get("podCIDRs") != before["podCIDRs"]:
            errors.append(FieldError.forbidden(
                "spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
        if before.get("providerID") and new.get("providerID") != before["providerID"]:
            errors.append(FieldError.forbidden(
                "spec.providerID", 'node updates may not change providerID except from "" to valid'))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        status = obj.get("status") or {}
        info = status.get("nodeInfo") or {}
        return [obj["metadata"].get("name", ""), _status(obj), _roles(obj), age(obj, now),
                info.get("kubeletVersion", ""), _address(status, "InternalIP"), _address(status, "ExternalIP"),
                info.get("osImage") or UNKNOWN, info.get("kernelVersion") or UNKNOWN,
                info.get("containerRuntimeVersion") or UNKNOWN]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        unschedulable = (obj.get("spec") or {}).get("unschedulable")
        return super().selectable_fields(obj) | {"spec.unschedulable": "true" if unschedulable else "false"}


def _taints(taints: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        at, identity = f"{path}[{i}]", (taint.get("key", ""), taint.get("effect", ""))
        errors += [FieldError.invalid(f"{at}.key", identity[0], why) for why in names.qualified_name(identity[0])]
        errors += [FieldError.invalid(f"{at}.value", taint["value"], why)
                   for why in names.label_value(taint.get("value") or "")]
        errors += one_of(identity[1], _EFFECTS, f"{at}.effect", required=True)
        if identity in seen:
            error = FieldError.duplicate(at, taint)
            errors.append(FieldError(error.type, at, "taints must be unique by key and effect pair", taint))
        seen.add(identity)
    return errors


def _status(node: Object) -> str:
    ready = condition(node, "Ready")
    words = ["Unknown"] if ready is None else ["Ready" if ready.get("status") == "True" else "NotReady"]
    if (node.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)} - {""}
    if labels.get(_ROLE_LABEL):
        roles.add(labels[_ROLE_LABEL])
    return ",".join(sorted(roles)) or NONE


def _address(status: Object, kind: str) -> str:
    return next((a["address"] for a in status.get("addresses") or () if a.get("type") == kind), NONE)
