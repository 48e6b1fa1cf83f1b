"""secret: the keys of a Secret as files, in memory only.  Upstream: ``pkg/volume/secret``."""

from __future__ import annotations

from base64 import b64decode

from sampan.kubelet.volumes.base import Payload, VolumeContext, VolumeError, select

DEFAULT_MODE = 0o644


async def payload(context: VolumeContext) -> Payload:
    """``source``: a SecretVolumeSource (``secretName``), or a projection (``name``)."""
    source = context.source
    name, optional = source.get("secretName") or source.get("name") or "", bool(source.get("optional"))
    found = await context.objects.secret(context.namespace, name)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'secret "{name}" not found')
    data = {key: b64decode(value or "") for key, value in (found.get("data") or {}).items()}
    mode = source.get("defaultMode")
    return select(data, source.get("items"), DEFAULT_MODE if mode is None else mode, optional)
