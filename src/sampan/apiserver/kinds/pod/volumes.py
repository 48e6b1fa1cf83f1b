"""Volumes: their defaults, and what may be said of them.

A volume has exactly one source.  Sources that reach for the outside (NFS, iSCSI, ...) pass here when well-formed; the
kubelet that can't mount one says so by name.  Upstream: ``validateVolumes``, ``validateVolumeSource``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.pod.fieldrefs import VOLUME_FIELDS, validate_field_ref, validate_resource_ref
from sampan.apiserver.kinds.pod.paths import relative_path
from sampan.apiserver.kinds.rules import checked, one_of

Object = dict[str, Any]
DEFAULT_MODE = 0o644
_HOST_PATH_TYPES = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_MIN_TOKEN_SECONDS, _MAX_TOKEN_SECONDS = 600, 1 << 32


def default_volume(volume: Object) -> None:
    sources = source_names(volume)
    if not sources:
        volume["emptyDir"] = {}
    for name in sources:
        if name in ("secret", "configMap", "downwardAPI", "projected"):
            volume[name].setdefault("defaultMode", DEFAULT_MODE)
    if "hostPath" in sources:
        volume["hostPath"].setdefault("type", "")
    _default_items((volume.get("downwardAPI") or {}).get("items"))
    for source in (volume.get("projected") or {}).get("sources") or ():
        _default_items((source.get("downwardAPI") or {}).get("items"))
        if source.get("serviceAccountToken") is not None:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def _default_items(items: list[Object] | None) -> None:
    for item in items or ():
        if item.get("fieldRef"):
            item["fieldRef"].setdefault("apiVersion", "v1")
        if item.get("resourceFieldRef"):
            item["resourceFieldRef"].setdefault("divisor", "0")


def source_names(volume: Object) -> list[str]:
    return [key for key, value in volume.items() if key != "name" and value is not None]


def validate_volumes(volumes: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, volume in enumerate(volumes):
        at, name = f"{path}[{i}]", volume.get("name", "")
        problems = checked(name, names.dns_label, f"{at}.name", required=True)
        if name in seen:
            problems.append(FieldError.duplicate(f"{at}.name", name))
        elif not problems:
            seen.add(name)
        errors += problems + _source(volume, at)
    return errors


def _source(volume: Object, path: str) -> list[FieldError]:
    sources = source_names(volume)
    if not sources:
        return [FieldError.required(path, "must specify a volume type")]
    errors = [FieldError.forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
              for name in sources[1:]]
    check = _CHECKS.get(sources[0])
    return errors + (check(volume[sources[0]], f"{path}.{sources[0]}") if check else [])


def _host_path(source: Object, path: str) -> list[FieldError]:
    if not source.get("path"):
        return [FieldError.required(f"{path}.path")]
    errors = []
    if ".." in source["path"].split("/"):
        errors.append(FieldError.invalid(f"{path}.path", source["path"], "must not contain '..'"))
    return errors + one_of(source.get("type"), _HOST_PATH_TYPES, f"{path}.type")


def _empty_dir(source: Object, path: str) -> list[FieldError]:
    from sampan.apiserver.kinds.pod.quantities import quantity_problems

    limit = source.get("sizeLimit")
    return [] if limit is None else quantity_problems(limit, f"{path}.sizeLimit")


def _secret(source: Object, path: str) -> list[FieldError]:
    return _file_source(source, path, "secretName")


def _config_map(source: Object, path: str) -> list[FieldError]:
    return _file_source(source, path, "name")


def _file_source(source: Object, path: str, name_key: str) -> list[FieldError]:
    errors = [] if source.get(name_key) else [FieldError.required(f"{path}.{name_key}")]
    return errors + _mode(source.get("defaultMode"), f"{path}.defaultMode") + _key_items(source, path)


def _mode(mode: int | None, path: str) -> list[FieldError]:
    return [] if mode is None or 0 <= mode <= 0o777 else [FieldError.invalid(path, mode, _MODE_TEXT)]


def _key_items(source: Object, path: str) -> list[FieldError]:
    errors = []
    for i, item in enumerate(source.get("items") or ()):
        at = f"{path}.items[{i}]"
        if not item.get("key"):
            errors.append(FieldError.required(f"{at}.key"))
        errors += relative_path(item.get("path"), f"{at}.path", required=True)
        errors += _mode(item.get("mode"), f"{at}.mode")
    return errors


def _downward(source: Object, path: str) -> list[FieldError]:
    errors = _mode(source.get("defaultMode"), f"{path}.defaultMode")
    for i, item in enumerate(source.get("items") or ()):
        at = f"{path}.items[{i}]"
        errors += relative_path(item.get("path"), f"{at}.path", required=True) + _mode(item.get("mode"), f"{at}.mode")
        if item.get("fieldRef"):
            errors += validate_field_ref(item["fieldRef"], VOLUME_FIELDS, f"{at}.fieldRef")
            if item.get("resourceFieldRef"):
                errors.append(FieldError.invalid(
                    f"{at}.fieldRef", "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
        elif item.get("resourceFieldRef"):
            errors += validate_resource_ref(item["resourceFieldRef"], f"{at}.resourceFieldRef", needs_container=True)
        else:
            errors.append(FieldError.required(at, "one of fieldRef and resourceFieldRef is required"))
    return errors


def _projected(source: Object, path: str) -> list[FieldError]:
    errors = _mode(source.get("defaultMode"), f"{path}.defaultMode")
    for i, part in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{i}]"
        present = [key for key, value in part.items() if value is not None]
        errors += [FieldError.forbidden(f"{at}.{key}", "may not specify more than 1 volume type per source")
                   for key in present[1:]]
        if not present:
            errors.append(FieldError.required(at, "one of: serviceAccountToken, configMap, secret, downwardAPI, "
                                              "clusterTrustBundle or podCertificate is required"))
        elif present[0] in ("secret", "configMap"):
            errors += _file_source(part[present[0]], f"{at}.{present[0]}", "name")
        elif present[0] == "downwardAPI":
            errors += _downward(part["downwardAPI"], f"{at}.downwardAPI")
        elif present[0] == "serviceAccountToken":
            errors += _token(part["serviceAccountToken"], f"{at}.serviceAccountToken")
    return errors


def _token(source: Object, path: str) -> list[FieldError]:
    errors, seconds = [], source.get("expirationSeconds") or 0
    if seconds < _MIN_TOKEN_SECONDS:
        errors.append(FieldError.invalid(
            f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _MAX_TOKEN_SECONDS:
        errors.append(FieldError.invalid(
            f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    return errors + relative_path(source.get("path"), f"{path}.path", required=True)


def _claim(source: Object, path: str) -> list[FieldError]:
    return [] if source.get("claimName") else [FieldError.required(f"{path}.claimName")]


def _nfs(source: Object, path: str) -> list[FieldError]:
    errors = [FieldError.required(f"{path}.{key}") for key in ("server", "path") if not source.get(key)]
    if source.get("path") and not source["path"].startswith("/"):
        errors.append(FieldError.invalid(f"{path}.path", source["path"], "must be an absolute path"))
    return errors


_CHECKS = {
    "hostPath": _host_path, "emptyDir": _empty_dir, "secret": _secret, "configMap": _config_map,
    "downwardAPI": _downward, "projected": _projected, "persistentVolumeClaim": _claim, "nfs": _nfs,
}
