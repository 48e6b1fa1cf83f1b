"""What may change in a Pod that exists: little, because its processes already run.

Upstream: ``ValidatePodUpdate``, ``ValidatePodEphemeralContainersUpdate``, ``ValidatePodResize``,
``ValidatePodStatusUpdate``.
"""

from __future__ import annotations

import copy
from typing import Any

from sampan.api.errors import FieldError
from sampan.apiserver.kinds.pod.qos import qos_class

Object = dict[str, Any]
_CHANGEABLE = ("`spec.containers[*].image`", "`spec.initContainers[*].image`", "`spec.activeDeadlineSeconds`",
               "`spec.tolerations` (only additions to existing tolerations)",
               "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")
_QOS_TEXT = "Pod QOS Class may not change as a result of resizing"


def validate_pod_update(pod: Object, old: Object) -> list[FieldError]:
    """The main endpoint: images, deadline down, tolerations up, gates away; all else is forbidden."""
    new, before = pod["spec"], old["spec"]
    errors = []
    for key in ("containers", "initContainers"):
        if len(new.get(key) or ()) != len(before.get(key) or ()):
            errors.append(FieldError.forbidden(f"spec.{key}", "pod updates may not add or remove containers"))
    if errors:
        return errors
    errors = _deadline(new.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    errors += _tolerations(new.get("tolerations") or [], before.get("tolerations") or [])
    errors += _gates(new.get("schedulingGates") or [], before.get("schedulingGates") or [])
    changed = differences(_without_changeable(new, before), before, "spec")
    if changed:
        errors.append(FieldError.forbidden(
            "spec", f"pod updates may not change fields other than {','.join(_CHANGEABLE)}\n" + "\n".join(changed)))
    return errors


def _without_changeable(spec: Object, old: Object) -> Object:
    """``spec`` with all that may change put back."""
    munged = copy.deepcopy(spec)
    for key in ("containers", "initContainers"):
        for container, before in zip(munged.get(key) or (), old.get(key) or (), strict=True):
            container["image"] = before.get("image")
    for key in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _restore(munged, old, key)
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        _restore(munged, old, "terminationGracePeriodSeconds")
    if old.get("schedulingGates"):  # a gated Pod has not been looked at by the scheduler yet
        for key in ("nodeSelector", "affinity"):
            _restore(munged, old, key)
    return munged


def _restore(spec: Object, old: Object, key: str) -> None:
    if key in old:
        spec[key] = old[key]
    else:
        spec.pop(key, None)


def _deadline(new: int | None, old: int | None) -> list[FieldError]:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        return [] if old is None else [FieldError.invalid(path, None, "must not update from a positive integer to nil "
                                                          "value")]
    if old is not None and new > old:
        return [FieldError.invalid(path, new, "must be less than or equal to previous value")]
    return []


def _tolerations(new: list[Object], old: list[Object]) -> list[FieldError]:
    def identity(toleration: Object) -> Object:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    kept = [identity(each) for each in new]
    if all(identity(each) in kept for each in old):
        return []
    return [FieldError.forbidden("spec.tolerations", "existing toleration can not be modified except its "
                                 "tolerationSeconds")]


def _gates(new: list[Object], old: list[Object]) -> list[FieldError]:
    added = [gate.get("name", "") for gate in new if gate not in old]
    if not added:
        return []
    return [FieldError.forbidden("spec.schedulingGates", "only deletion is allowed, but found new scheduling gates "
                                 f"'{', '.join(added)}'")]


def validate_ephemeral_update(pod: Object, old: Object) -> list[FieldError]:
    """pods/ephemeralcontainers: more may come, none may change or go."""
    path = "spec.ephemeralContainers"
    new = {c.get("name"): c for c in pod["spec"].get("ephemeralContainers") or ()}
    errors = []
    for before in old["spec"].get("ephemeralContainers") or ():
        name = before.get("name")
        if name not in new:
            errors.append(FieldError.forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif new[name] != before:
            errors.append(FieldError.forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n'))
    return errors


def validate_resize(pod: Object, old: Object) -> list[FieldError]:
    """pods/resize: cpu and memory of running containers, within the same QoS class."""
    if qos_class(pod) != qos_class(old):
        return [FieldError.invalid("spec", qos_class(pod), _QOS_TEXT)]
    errors = []
    for key in ("containers", "initContainers"):
        for i, (new, before) in enumerate(zip(pod["spec"].get(key) or (), old["spec"].get(key) or (), strict=True)):
            errors += _only_cpu_and_memory(new, before, f"spec.{key}[{i}].resources")
    return errors


def _only_cpu_and_memory(new: Object, old: Object, path: str) -> list[FieldError]:
    errors = []
    for kind in ("requests", "limits"):
        after, before = ((c.get("resources") or {}).get(kind) or {} for c in (new, old))
        others = {name for name in {*after, *before} - {"cpu", "memory"} if after.get(name) != before.get(name)}
        if others:
            errors.append(FieldError.forbidden(f"{path}.{kind}", "only cpu and memory resources are mutable"))
        gone = [name for name in ("cpu", "memory") if name in before and name not in after]
        if gone:
            errors.append(FieldError.forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed"))
    return errors


def validate_status_update(pod: Object, old: Object) -> list[FieldError]:
    """pods/status: the QoS class stays, and a container that ended for good does not come back to life."""
    new, before = pod.get("status") or {}, old.get("status") or {}
    errors = []
    if before.get("qosClass") and new.get("qosClass") != before["qosClass"]:
        errors.append(FieldError.invalid("status.qosClass", new.get("qosClass", ""), "field is immutable"))
    if old["spec"].get("restartPolicy") == "Always" or before.get("phase") in (None, "Pending"):
        return errors
    after = {s.get("name"): s for s in new.get("containerStatuses") or ()}
    for i, status in enumerate(before.get("containerStatuses") or ()):
        ended = (status.get("state") or {}).get("terminated")
        state = (after.get(status.get("name"), status).get("state") or {})
        final = old["spec"].get("restartPolicy") == "Never" or (ended is not None and not ended.get("exitCode"))
        if ended is not None and final and state.get("terminated") is None:
            errors.append(FieldError.forbidden(
                f"status.containerStatuses[{i}].state", "may not be transitioned to non-terminated state"))
    return errors


def differences(new: Any, old: Any, path: str) -> list[str]:
    """What differs, one line a field: ``- path: old`` and ``+ path: new``."""
    if isinstance(new, dict) and isinstance(old, dict):
        return [line for key in sorted({*new, *old})
                for line in differences(new.get(key), old.get(key), f"{path}.{key}")]
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [line for i, pair in enumerate(zip(new, old, strict=True))
                for line in differences(*pair, f"{path}[{i}]")]
    return [] if new == old else [f"- {path}: {old!r}", f"+ {path}: {new!r}"]
