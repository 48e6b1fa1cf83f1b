"""configMap: the keys of a ConfigMap as files.  Upstream: ``pkg/volume/configmap``."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from sampan.kubelet.volumes.base import Payload, VolumeContext, VolumeError, select

DEFAULT_MODE = 0o644


async def payload(context: VolumeContext) -> Payload:
    """``source``: a ConfigMapVolumeSource, or a projection with its ``defaultMode`` filled in."""
    source = context.source
    name, optional = source.get("name") or "", bool(source.get("optional"))
    found = await context.objects.config_map(context.namespace, name)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    mode = source.get("defaultMode")
    return select(contents(found), source.get("items"), DEFAULT_MODE if mode is None else mode, optional)


def contents(config_map: Mapping[str, Any]) -> dict[str, bytes]:
    text = {key: str(value).encode() for key, value in (config_map.get("data") or {}).items()}
    return text | {key: b64decode(value) for key, value in (config_map.get("binaryData") or {}).items()}
