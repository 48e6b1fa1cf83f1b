"""The Pod's answers to the verbs. Upstream: ``pkg/registry/core/pod/strategy.go``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sampan.api.clock import rfc3339
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import Context, Kind, Object, keep
from sampan.apiserver.kinds.pod import columns
from sampan.apiserver.kinds.pod.defaults import default_pod
from sampan.apiserver.kinds.pod.qos import qos_class
from sampan.apiserver.kinds.pod.spec import validate_spec
from sampan.apiserver.kinds.pod.update import (
    validate_ephemeral_update,
    validate_pod_update,
    validate_resize,
    validate_status_update,
)

_SCHEDULING_GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                     "message": "Scheduling is blocked due to non-empty scheduling gates"}


class PodKind(Kind):
    columns = columns.COLUMNS
    has_generation = True

    def default(self, obj: Object) -> None:
        default_pod(obj)

    def prepare_for_create(self, obj: Object, ctx: Context) -> None:
        super().prepare_for_create(obj, ctx)
        obj["status"] = {"phase": "Pending", "qosClass": _qos(obj)}
        if obj["spec"].get("schedulingGates"):
            obj["status"]["conditions"] = [{**_SCHEDULING_GATED, "lastTransitionTime": rfc3339(ctx.now)}]

    def prepare_for_update(self, obj: Object, old: Object, ctx: Context, subresource: str = "") -> None:
        if subresource == "binding":
            return  # made by the server itself from the stored Pod: node and condition PodScheduled come with it
        if subresource == "binding":
            return  # it sets the node and a condition, which no other write may do together
        if subresource == "ephemeralcontainers":
            _take_only_ephemeral(obj, old)
        elif subresource == "resize":
            _take_only_resources(obj, old)
        super().prepare_for_update(obj, old, ctx, subresource)
        if subresource == "status":
            keep(obj["metadata"], old["metadata"], "ownerReferences")
            status = obj.setdefault("status", {})
            if not status.get("qosClass") and (old.get("status") or {}).get("qosClass"):
                status["qosClass"] = old["status"]["qosClass"]

    def validate_object(self, obj: Object) -> list[FieldError]:
        errors = validate_spec(obj.get("spec") or {}, "spec")
        if obj["spec"].get("ephemeralContainers"):
            errors.append(FieldError.forbidden(
                "spec.ephemeralContainers", "cannot be set on create"))
        return errors

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        if subresource == "binding":
            return []
        if subresource == "binding":
            return []
        if subresource == "status":
            return validate_status_update(obj, old)
        if subresource == "ephemeralcontainers":
            return validate_spec(obj["spec"], "spec") + validate_ephemeral_update(obj, old)
        if subresource == "resize":
            return validate_spec(obj["spec"], "spec") + validate_resize(obj, old)
        return validate_spec(obj["spec"], "spec") + validate_pod_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return env_warnings(obj.get("spec") or {}, "spec")

    def graceful(self, obj: Object, options: Mapping[str, Any], now: datetime) -> int | None:
        """The asked grace period, else the spec's; nothing runs yet or any more: at once."""
        spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
        seconds = options.get("gracePeriodSeconds")
        if seconds is None:
            seconds = spec.get("terminationGracePeriodSeconds") or 0
        if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
            return 0
        return 1 if seconds < 0 else int(seconds)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return columns.row(obj, now)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        ips = status.get("podIPs") or ()
        return super().selectable_fields(obj) | {
            "spec.nodeName": spec.get("nodeName") or "",
            "spec.restartPolicy": spec.get("restartPolicy") or "",
            "spec.schedulerName": spec.get("schedulerName") or "",
            "spec.serviceAccountName": spec.get("serviceAccountName") or "",
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase") or "",
            "status.podIP": (ips[0].get("ip") if ips else status.get("podIP")) or "",
            "status.nominatedNodeName": status.get("nominatedNodeName") or "",
        }


def _qos(pod: Object) -> str:
    try:
        return qos_class(pod)
    except ValueError:
        return "BestEffort"  # a malformed quantity: validation, which comes next, refuses the Pod


def _take_only_ephemeral(obj: Object, old: Object) -> None:
    """Everything but the ephemeral containers is as it was."""
    wanted = obj.get("spec") or {}
    obj["spec"] = copy.deepcopy(old["spec"])
    keep(obj["spec"], wanted, "ephemeralContainers")
    keep(obj, old, "status")


def _take_only_resources(obj: Object, old: Object) -> None:
    """Everything but the containers' resources is as it was."""
    spec = copy.deepcopy(old["spec"])
    for key in ("containers", "initContainers"):
        wanted = {c.get("name"): c for c in (obj.get("spec") or {}).get(key) or ()}
        for container in spec.get(key) or ():
            if container["name"] in wanted:
                keep(container, wanted[container["name"]], "resources")
                keep(container, wanted[container["name"]], "resizePolicy")
    obj["spec"] = spec


def env_warnings(spec: Object, path: str) -> list[str]:
    """A variable set twice: the last one holds, and server-side apply merges by name."""
    warnings = []
    for key in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(key) or ()):
            seen: set[str] = set()
            for j, variable in enumerate(container.get("env") or ()):
                name = variable.get("name", "")
                if name in seen and name:
                    warnings.append(f'{path}.{key}[{i}].env[{j}]: hides previous definition of "{name}", which may '
                                    "be dropped when using apply")
                seen.add(name)
    return warnings
