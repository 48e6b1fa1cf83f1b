"""Volume mounts and devices of a container. Upstream: ``ValidateVolumeMounts``, ``ValidateVolumeDevices``."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from sampan.api.errors import FieldError
from sampan.apiserver.kinds.pod.paths import descending_path
from sampan.apiserver.kinds.rules import one_of

Object = dict[str, Any]
_PROPAGATION = ("Bidirectional", "HostToContainer", "None")


def validate_mounts(container: Object, volumes: Container[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    devices = {device.get("devicePath") for device in container.get("volumeDevices") or ()}
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        at = f"{path}.volumeMounts[{i}]"
        errors += _volume_name(mount.get("name"), volumes, f"{at}.name")
        where = mount.get("mountPath") or ""
        if not where:
            errors.append(FieldError.required(f"{at}.mountPath"))
        if where in seen:
            errors.append(FieldError.invalid(f"{at}.mountPath", where, "must be unique"))
        if where in devices:
            errors.append(FieldError.invalid(f"{at}.mountPath", where, "must not already exist in volumeDevices"))
        seen.add(where)
        errors += _sub_path(mount, at) + _propagation(mount, container, at)
    return errors + _devices(container, volumes, path)


def _volume_name(name: str | None, volumes: Container[str], path: str) -> list[FieldError]:
    if not name:
        return [FieldError.required(path)]
    return [] if name in volumes else [FieldError.not_found(path, name)]


def _sub_path(mount: Object, path: str) -> list[FieldError]:
    errors = []
    for key in ("subPath", "subPathExpr"):
        if mount.get(key):
            errors += descending_path(mount[key], f"{path}.{key}")
    if mount.get("subPath") and mount.get("subPathExpr"):
        errors.append(FieldError.invalid(
            f"{path}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"))
    return errors


def _propagation(mount: Object, container: Object, path: str) -> list[FieldError]:
    value = mount.get("mountPropagation")
    errors = one_of(value, _PROPAGATION, f"{path}.mountPropagation")
    if value == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        errors.append(FieldError.forbidden(
            f"{path}.mountPropagation", "Bidirectional mount propagation is available only to privileged containers"))
    return errors


def _devices(container: Object, volumes: Container[str], path: str) -> list[FieldError]:
    errors = []
    for i, device in enumerate(container.get("volumeDevices") or ()):
        at = f"{path}.volumeDevices[{i}]"
        errors += _volume_name(device.get("name"), volumes, f"{at}.name")
        if not device.get("devicePath"):
            errors.append(FieldError.required(f"{at}.devicePath"))
    return errors
