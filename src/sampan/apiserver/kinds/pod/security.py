"""Security contexts, the Pod's and the container's.

Upstream: ``ValidateSecurityContext``, ``validatePodSpecSecurityContext``, ``validateSysctls``.
"""

from __future__ import annotations

import re
from typing import Any

from sampan.api.errors import FieldError
from sampan.apiserver.kinds.pod.paths import descending_path
from sampan.apiserver.kinds.rules import one_of

Object = dict[str, Any]
_MAX_ID = 2**31 - 1
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_SYSCTL_TEXT = ("must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*"
                "[a-z0-9]([-_a-z0-9]*[a-z0-9])?$")
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")


def validate_pod_security(context: Object, spec: Object, path: str) -> list[FieldError]:
    errors = _ids(context, ("runAsUser", "runAsGroup", "fsGroup"), path)
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        errors += _id(group, f"{path}.supplementalGroups[{i}]")
    errors += one_of(context.get("fsGroupChangePolicy"), ("OnRootMismatch", "Always"), f"{path}.fsGroupChangePolicy")
    errors += one_of(context.get("supplementalGroupsPolicy"), ("Merge", "Strict"), f"{path}.supplementalGroupsPolicy")
    errors += _profile(context.get("seccompProfile"), f"{path}.seccompProfile")
    errors += _profile(context.get("appArmorProfile"), f"{path}.appArmorProfile")
    errors += _sysctls(context.get("sysctls") or [], spec, f"{path}.sysctls")
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        errors.append(FieldError.invalid(f"{path.rpartition('.')[0]}.shareProcessNamespace", True,
                                         "ShareProcessNamespace and HostPID cannot both be enabled"))
    return errors


def validate_container_security(context: Object, path: str) -> list[FieldError]:
    errors = _ids(context, ("runAsUser", "runAsGroup"), path)
    errors += _profile(context.get("seccompProfile"), f"{path}.seccompProfile")
    errors += _profile(context.get("appArmorProfile"), f"{path}.appArmorProfile")
    errors += one_of(context.get("procMount"), ("Default", "Unmasked"), f"{path}.procMount")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            errors.append(FieldError.invalid(
                path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
        if {"CAP_SYS_ADMIN", "SYS_ADMIN"} & set((context.get("capabilities") or {}).get("add") or ()):
            errors.append(FieldError.invalid(
                path, context,
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
    return errors


def _ids(context: Object, keys: tuple[str, ...], path: str) -> list[FieldError]:
    return [error for key in keys for error in _id(context.get(key), f"{path}.{key}")]


def _id(value: int | None, path: str) -> list[FieldError]:
    if value is None or 0 <= value <= _MAX_ID:
        return []
    return [FieldError.invalid(path, value, f"must be between 0 and {_MAX_ID}, inclusive")]


def _profile(profile: Object | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, file = profile.get("type"), profile.get("localhostProfile")
    errors = one_of(kind, _PROFILES, f"{path}.type", required=True)
    if kind == "Localhost":
        if not file:
            errors.append(FieldError.required(
                f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            errors += descending_path(file, f"{path}.localhostProfile")
    elif file:
        errors.append(FieldError.invalid(
            f"{path}.localhostProfile", file, "can only be set when seccomp type is Localhost"))
    return errors


def _sysctls(sysctls: list[Object], spec: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        name, at = sysctl.get("name") or "", f"{path}[{i}].name"
        if not name:
            errors.append(FieldError.required(at))
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            errors.append(FieldError.invalid(at, name, _SYSCTL_TEXT))
        elif name in seen:
            errors.append(FieldError.duplicate(at, name))
        seen.add(name)
        if spec.get("hostNetwork") and name.startswith("net."):
            errors.append(FieldError.invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        if spec.get("hostIPC") and name.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            errors.append(FieldError.invalid(at, name, "may not be specified when 'hostIPC' is true"))
    return errors
