"""Secret: its type says which keys it must have. Upstream: ``ValidateSecret``, ``pkg/registry/core/secret``."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

import orjson

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Context, Kind, Object
from sampan.apiserver.kinds.configmap import MAX_SIZE_BYTES, immutable_data
from sampan.apiserver.kinds.rules import immutable
from sampan.apiserver.kinds.table import age

SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME_ANNOTATION = "kubernetes.io/service-account.name"
_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


class SecretKind(Kind):
    columns = (NAME, Column("Type", description="Used to facilitate programmatic handling of secret data."),
               Column("Data", description="Data contains the secret data."), AGE)

    def default(self, obj: Object) -> None:
        if not obj.get("type"):
            obj["type"] = "Opaque"
        plain = obj.pop("stringData", None)  # write-only: merged over data, never stored
        if plain:
            encoded = {key: base64.b64encode((value or "").encode()).decode() for key, value in plain.items()}
            obj["data"] = {**(obj.get("data") or {}), **encoded}

    def prepare_for_update(self, obj: Object, old: Object, ctx: Context, subresource: str = "") -> None:
        super().prepare_for_update(obj, old, ctx, subresource)
        if obj.get("type") == "Opaque" and old.get("type") != "Opaque":
            obj["type"] = old.get("type")  # left out on update means unchanged, not Opaque

    def validate_object(self, obj: Object) -> list[FieldError]:
        data, errors = obj.get("data") or {}, []
        for key in data:
            errors += [FieldError.invalid(f"data[{key}]", key, why) for why in names.config_map_key(key)]
        if sum(len(value or "") * 3 // 4 for value in data.values()) > MAX_SIZE_BYTES:
            errors.append(FieldError.too_long("data", "", MAX_SIZE_BYTES))
        return errors + _by_type(obj, data)

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        errors = immutable(obj.get("type"), old.get("type"), "type")
        return errors + immutable_data(obj, old, ("data",)) + self.validate_object(obj)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), obj.get("type", ""), len(obj.get("data") or ()), age(obj, now)]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return super().selectable_fields(obj) | {"type": obj.get("type") or ""}


def _by_type(obj: Object, data: Object) -> list[FieldError]:
    kind = obj.get("type") or ""
    if kind == SERVICE_ACCOUNT_TOKEN:
        account = (obj["metadata"].get("annotations") or {}).get(SERVICE_ACCOUNT_NAME_ANNOTATION)
        return [] if account else [FieldError.required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME_ANNOTATION}]")]
    if kind == "kubernetes.io/basic-auth":
        if "username" in data or "password" in data:
            return []
        return [FieldError.required("data[username]"), FieldError.required("data[password]")]
    errors = [FieldError.required(f"data[{key}]") for key in _REQUIRED_KEYS.get(kind, ()) if key not in data]
    if kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson") and not errors:
        errors += _json(data[_REQUIRED_KEYS[kind][0]], f"data[{_REQUIRED_KEYS[kind][0]}]")
    return errors


def _json(value: str, path: str) -> list[FieldError]:
    try:
        orjson.loads(base64.b64decode(value or ""))
    except (ValueError, binascii.Error) as error:
        return [FieldError.invalid(path, "<secret contents redacted>", str(error))]
    return []
