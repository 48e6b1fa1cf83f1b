"""Environment variables of a container, and where their values come from.

Upstream: ``ValidateEnv``, ``validateEnvVarValueFrom``, ``ValidateEnvFrom``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.pod.fieldrefs import ENV_FIELDS, validate_field_ref, validate_resource_ref
from sampan.apiserver.kinds.rules import checked

Object = dict[str, Any]
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def validate_env(container: Object, path: str) -> list[FieldError]:
    errors = []
    for i, variable in enumerate(container.get("env") or ()):
        errors += _variable(variable, f"{path}.env[{i}]")
    for i, source in enumerate(container.get("envFrom") or ()):
        errors += _env_from(source, f"{path}.envFrom[{i}]")
    return errors


def _variable(variable: Object, path: str) -> list[FieldError]:
    errors = checked(variable.get("name"), names.env_var_name, f"{path}.name", required=True)
    if variable.get("valueFrom") is not None:
        errors += _value_from(variable, f"{path}.valueFrom")
    return errors


def _value_from(variable: Object, path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    present = [key for key in _SOURCES if source.get(key) is not None]
    errors = [error for key in present for error in _source(key, source[key], f"{path}.{key}")]
    if not present:
        errors.append(FieldError.invalid(
            path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
            "`fileKeyRef`"))
    elif variable.get("value"):
        errors.append(FieldError.invalid(path, "", "may not be specified when `value` is not empty"))
    if len(present) > 1:
        errors.append(FieldError.invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def _source(key: str, source: Object, path: str) -> list[FieldError]:
    if key == "fieldRef":
        return validate_field_ref(source, ENV_FIELDS, path)
    if key == "resourceFieldRef":
        return validate_resource_ref(source, path)
    if key == "fileKeyRef":
        return [FieldError.required(f"{path}.{part}") for part in ("key", "volumeName", "path") if not source.get(part)]
    errors = [] if source.get("name") else [FieldError.required(f"{path}.name")]
    return errors + checked(source.get("key"), names.config_map_key, f"{path}.key", required=True)


def _env_from(source: Object, path: str) -> list[FieldError]:
    errors = checked(source.get("prefix"), names.env_var_name, f"{path}.prefix")
    present = [key for key in ("configMapRef", "secretRef") if source.get(key) is not None]
    for key in present:
        errors += checked(source[key].get("name"), names.dns_subdomain, f"{path}.{key}.name", required=True)
    if not present:
        errors.append(FieldError.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
    if len(present) > 1:
        errors.append(FieldError.invalid(path, "", "may not have more than one field specified at a time"))
    return errors
