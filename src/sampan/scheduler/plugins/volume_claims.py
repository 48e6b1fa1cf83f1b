"""A pod waits for its PersistentVolumeClaims. This API has none, so such a pod waits, and says for what.

Upstream: ``plugins/volumebinding``.
"""

from __future__ import annotations

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import Event, Filter, Rejection
from sampan.scheduler.pod_info import PodInfo


class VolumeClaims:
    name = "VolumeBinding"
    events: frozenset[Event] = frozenset()

    def filter(self, pod: PodInfo, cluster: ClusterState) -> Filter | None:
        for volume in pod.spec.get("volumes") or ():
            if volume.get("persistentVolumeClaim"):
                raise Rejection(f'persistentvolumeclaim "{volume["persistentVolumeClaim"]["claimName"]}" not found')
        return None
