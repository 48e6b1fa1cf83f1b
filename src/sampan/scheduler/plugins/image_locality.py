"""A node that has the pod's images already starts it sooner.

An image that only few nodes have counts less, so that not every pod runs to the one node that pulled first.
Upstream: ``plugins/imagelocality``.
"""

from __future__ import annotations

from collections.abc import Sequence

from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import MAX_SCORE
from sampan.scheduler.node_info import NodeInfo
from sampan.scheduler.pod_info import PodInfo

MIB = 1024 * 1024
LEAST_BYTES, MOST_BYTES_PER_CONTAINER = 23 * MIB, 1000 * MIB


def normalized(image: str) -> str:
    """With the tag that is meant where none is given."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


class ImageLocality:
    name = "ImageLocality"
    weight = 1

    def score(self, pod: PodInfo, cluster: ClusterState, nodes: Sequence[NodeInfo]) -> Sequence[float] | None:
        containers = [*(pod.spec.get("initContainers") or ()), *(pod.spec.get("containers") or ())]
        images = [normalized(container.get("image") or "") for container in containers]
        shares = {image: cluster.image_nodes[image] / len(cluster.node_list)
                  for image in images if cluster.image_nodes[image] > 0}
        if not shares:
            return None
        most = MOST_BYTES_PER_CONTAINER * len(containers)
        return [_stretch(sum(int(node.image_sizes[image] * share) for image, share in shares.items()
                             if image in node.image_sizes), most) for node in nodes]


def _stretch(size: int, most: int) -> int:
    return MAX_SCORE * (max(LEAST_BYTES, min(size, most)) - LEAST_BYTES) // (most - LEAST_BYTES)
