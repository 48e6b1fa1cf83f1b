"""projected: several sources in one directory; above all the ServiceAccount token of every pod.

A token can be read by the user that the containers run as: mode 0600 owned by that user when all containers agree on
one, by the fsGroup otherwise (KEP-2451).  Upstream: ``pkg/volume/projected``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sampan.kubelet.containers import Pod, containers_of
from sampan.kubelet.volumes import config_map, downward_api, secret
from sampan.kubelet.volumes.base import File, Payload, VolumeContext, VolumeError, checked_path

DEFAULT_MODE = 0o644
DEFAULT_TOKEN_SECONDS = 3600
_KINDS = {"configMap": config_map.payload, "secret": secret.payload, "downwardAPI": downward_api.payload}


async def payload(context: VolumeContext) -> Payload:
    mode = context.source.get("defaultMode")
    mode = DEFAULT_MODE if mode is None else mode
    files: dict[str, File] = {}
    for projection in context.source.get("sources") or ():
        for kind, source in projection.items():
            files |= await _project(context, kind, source or {}, mode)
    return files


async def _project(context: VolumeContext, kind: str, source: Mapping[str, Any], mode: int) -> Payload:
    if kind == "serviceAccountToken":
        return await _token(context, source, mode)
    if kind not in _KINDS:
        raise VolumeError(f"projected volume source {kind} is not supported")
    return await _KINDS[kind](replace(context, source={**source, "defaultMode": mode}))


async def _token(context: VolumeContext, source: Mapping[str, Any], mode: int) -> Payload:
    seconds = source.get("expirationSeconds") or DEFAULT_TOKEN_SECONDS
    token = await context.token(context.pod, source.get("audience") or "", seconds)
    owner = common_user(context.pod)
    if owner is not None or context.fs_group is not None:
        mode = 0o600
    return {checked_path(source["path"]): File(token.encode(), mode, owner)}


def common_user(pod: Pod) -> int | None:
    """The one user id that all containers run as by the spec, if there is one."""
    shared = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = {
        (c.spec.get("securityContext") or {}).get("runAsUser", shared)
        for c in containers_of(pod)
        if c.kind != "ephemeral"
    }
    return users.pop() if len(users) == 1 else None
