"""Containers, init containers and ephemeral containers.

Upstream: ``validateContainers``, ``validateInitContainers``, ``validateEphemeralContainers``.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.pod.env import validate_env
from sampan.apiserver.kinds.pod.mounts import validate_mounts
from sampan.apiserver.kinds.pod.ports import validate_host_ports, validate_ports
from sampan.apiserver.kinds.pod.probes import PROBES, validate_probes
from sampan.apiserver.kinds.pod.quantities import validate_resources
from sampan.apiserver.kinds.pod.security import validate_container_security
from sampan.apiserver.kinds.rules import checked, one_of

Object = dict[str, Any]
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_NOT_EPHEMERAL = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy")


def validate_all_containers(spec: Object, volumes: Container[str], path: str) -> list[FieldError]:
    """Every container of a PodSpec. ``volumes`` are the names that may be mounted."""
    grace = spec.get("terminationGracePeriodSeconds") or 0
    host_network = bool(spec.get("hostNetwork"))
    main, init = spec.get("containers") or [], spec.get("initContainers") or []
    if not main:
        return [FieldError.required(f"{path}.containers")]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, container in enumerate(main):
        at = f"{path}.containers[{i}]"
        errors += _common(container, volumes, seen, at) + validate_probes(container, grace, at)
        errors += _main_restart_policy(container, at)
    errors += validate_host_ports(main, host_network, f"{path}.containers")
    for i, container in enumerate(init):
        errors += _init(container, volumes, seen, grace, f"{path}.initContainers[{i}]")
    errors += validate_host_ports(init, host_network, f"{path}.initContainers")
    return errors + validate_ephemeral(spec, volumes, path)


def is_sidecar(container: Object) -> bool:
    """An init container that keeps running: ``restartPolicy: Always``."""
    return container.get("restartPolicy") == "Always"


def _common(container: Object, volumes: Container[str], seen: set[str], path: str) -> list[FieldError]:
    name = container.get("name") or ""
    errors = checked(name, names.dns_label, f"{path}.name", required=True)
    if name and name in seen:
        errors.append(FieldError.duplicate(f"{path}.name", name))
    seen.add(name)
    errors += _image(container.get("image") or "", f"{path}.image")
    errors += one_of(container.get("terminationMessagePolicy"), _MESSAGE_POLICIES,
                     f"{path}.terminationMessagePolicy", required=True)
    errors += one_of(container.get("imagePullPolicy"), PULL_POLICIES, f"{path}.imagePullPolicy", required=True)
    errors += validate_ports(container.get("ports") or [], f"{path}.ports")
    errors += validate_env(container, path) + validate_mounts(container, volumes, path)
    errors += validate_resources(container.get("resources") or {}, f"{path}.resources")
    return errors + validate_container_security(container.get("securityContext") or {}, f"{path}.securityContext")


def _image(image: str, path: str) -> list[FieldError]:
    if not image:
        return [FieldError.required(path)]
    if image != image.strip():
        return [FieldError.invalid(path, image, "must not have leading or trailing whitespace")]
    return []


def _main_restart_policy(container: Object, path: str) -> list[FieldError]:
    value = container.get("restartPolicy")
    return one_of(value, ("Always", "Never", "OnFailure"), f"{path}.restartPolicy")


def _init(container: Object, volumes: Container[str], seen: set[str], grace: int, path: str) -> list[FieldError]:
    errors = _common(container, volumes, seen, path)
    errors += one_of(container.get("restartPolicy"), ("Always", "Never", "OnFailure"), f"{path}.restartPolicy")
    if is_sidecar(container):
        return errors + validate_probes(container, grace, path)
    return errors + [
        FieldError.forbidden(f"{path}.{key}", "may not be set for init containers without restartPolicy=Always")
        for key in ("lifecycle", *PROBES) if container.get(key) is not None]


def validate_ephemeral(spec: Object, volumes: Container[str], path: str) -> list[FieldError]:
    """Containers for debugging: no ports, probes or resources, and a name of their own."""
    others = {c.get("name") for key in ("containers", "initContainers") for c in spec.get(key) or ()}
    seen: set[str] = set()
    errors: list[FieldError] = []
    for i, container in enumerate(spec.get("ephemeralContainers") or ()):
        at = f"{path}.ephemeralContainers[{i}]"
        errors += _common(container, volumes, seen, at)
        if container.get("name") in others:
            errors.append(FieldError.duplicate(f"{at}.name", container.get("name")))
        target = container.get("targetContainerName")
        if target and target not in others:
            errors.append(FieldError.not_found(f"{at}.targetContainerName", target))
        errors += [FieldError.forbidden(f"{at}.{key}", "cannot be set for an Ephemeral Container")
                   for key in _NOT_EPHEMERAL if container.get(key) not in (None, [])]
        if container.get("resources"):
            errors.append(FieldError.forbidden(f"{at}.resources", "cannot be set for an Ephemeral Container"))
        errors += [FieldError.forbidden(f"{at}.volumeMounts[{j}].{key}", "cannot be set for an Ephemeral Container")
                   for j, mount in enumerate(container.get("volumeMounts") or ())
                   for key in ("subPath", "subPathExpr") if mount.get(key)]
    return errors
