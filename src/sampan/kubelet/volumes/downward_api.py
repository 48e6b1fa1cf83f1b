"""downwardAPI: fields of the pod as files, rewritten when labels or annotations change.

Upstream: ``pkg/volume/downwardapi``.
"""

from __future__ import annotations

from sampan.kubelet.fields import FieldMissing, pod_field, resource_field
from sampan.kubelet.volumes.base import File, Payload, VolumeContext, VolumeError, checked_path

DEFAULT_MODE = 0o644


async def payload(context: VolumeContext) -> Payload:
    default = context.source.get("defaultMode")
    files: dict[str, File] = {}
    for item in context.source.get("items") or ():
        mode = item.get("mode")
        if mode is None:
            mode = DEFAULT_MODE if default is None else default
        try:
            if ref := item.get("fieldRef"):
                value = pod_field(context.pod, ref["fieldPath"])
            else:
                value = resource_field(context.pod, "", item["resourceFieldRef"], context.allocatable)
        except FieldMissing as error:
            raise VolumeError(str(error)) from error
        files[checked_path(item["path"])] = File(value.encode(), mode)
    return files
