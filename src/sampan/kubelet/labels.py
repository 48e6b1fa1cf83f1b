"""The labels and annotations by which an agent knows its own containers again after a restart.

They are upstream's, so that crictl and other tools that read them work.  Upstream: ``pkg/kubelet/types/labels.go``
and ``pkg/kubelet/kuberuntime/labels.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"

HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
PRE_STOP = "io.kubernetes.container.preStopHandler"
GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"
#: How long to wait after this container's end before the next attempt, in seconds. Upstream keeps it in memory.
BACKOFF = "io.sampan.container.backoffSeconds"
#: The file on the host that is mounted over the termination message path.
TERMINATION_FILE = "io.sampan.container.terminationFile"


def pod_labels(pod: Mapping[str, Any]) -> dict[str, str]:
    """The pod's own labels with the identifying ones on top."""
    meta = pod["metadata"]
    own = {POD_NAME: meta["name"], POD_NAMESPACE: meta.get("namespace", ""), POD_UID: meta["uid"]}
    return {**(meta.get("labels") or {}), **own}


def container_labels(pod: Mapping[str, Any], name: str) -> dict[str, str]:
    meta = pod["metadata"]
    return {
        POD_NAME: meta["name"],
        POD_NAMESPACE: meta.get("namespace", ""),
        POD_UID: meta["uid"],
        CONTAINER_NAME: name,
    }
