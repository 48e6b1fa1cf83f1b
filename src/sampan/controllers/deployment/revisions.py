"""Which ReplicaSet belongs to which pod template, and the annotations that ``kubectl rollout`` reads.

The newest template's ReplicaSet carries the highest ``deployment.kubernetes.io/revision``; going back to an old
template makes its ReplicaSet the newest again, with a new number.
Upstream: ``pkg/controller/deployment/util``, ``pkg/util/hash``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from sampan.api import meta

Object = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"
_NOT_COPIED = frozenset({
    "kubectl.kubernetes.io/last-applied-configuration", REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
})
_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, nothing that looks alike: no words by accident


def template_hash(template: Object, collision_count: int = 0) -> str:
    """A short name part that is the same for the same template. FNV-1a, as short as a label wants it."""
    digest = 0x811C9DC5
    salt = b"#%d" % collision_count if collision_count else b""
    for byte in orjson.dumps(template, option=orjson.OPT_SORT_KEYS) + salt:
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_SAFE[ord(char) % len(_SAFE)] for char in str(digest))


def same_template(left: Object, right: Object) -> bool:
    """Equal but for the hash label that the controller itself adds."""
    return _without_hash(left) == _without_hash(right)


def _without_hash(template: Object) -> Object:
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if v}
    labels = {k: v for k, v in (metadata.pop("labels", None) or {}).items() if k != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    return {"metadata": metadata, "labels": labels, "spec": template.get("spec") or {}}


def by_age(sets: Iterable[Object]) -> list[Object]:
    return sorted(sets, key=lambda rs: (meta.metadata(rs).get("creationTimestamp") or "~", meta.name(rs)))


def find_new(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet of the current template: the oldest, should there be two."""
    template = deployment["spec"]["template"]
    return next((rs for rs in by_age(sets) if same_template(rs["spec"]["template"], template)), None)


def revision(obj: Object) -> int:
    try:
        return int(meta.annotations(obj).get(REVISION) or 0)
    except ValueError:
        return 0


def max_revision(sets: Sequence[Object]) -> int:
    return max((revision(rs) for rs in sets), default=0)


def new_annotations(deployment: Object, rs: Object, number: int) -> dict[str, str]:
    """The annotations of the newest ReplicaSet: the Deployment's own (change-cause…), plus the revision."""
    result = dict(meta.annotations(rs))
    result |= {k: v for k, v in meta.annotations(deployment).items() if k not in _NOT_COPIED}
    old = result.get(REVISION)
    if revision(rs) < number and (old is None or old.isdigit()):
        result[REVISION] = str(number)
        if old is not None:
            history = result.get(REVISION_HISTORY)
            result[REVISION_HISTORY] = f"{history},{old}" if history else old
    return result


def replicas_annotations(desired: int, most: int) -> dict[str, str]:
    """What a later scaling of the Deployment needs to tell a scaling from a rollout, and to keep proportions."""
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(most)}


def number_annotation(rs: Object, name: str) -> int | None:
    try:
        return int(meta.annotations(rs)[name])
    except (KeyError, ValueError):
        return None


def new_replica_set(deployment: Object, number: int) -> Object:
    """The ReplicaSet for the current template, still without replicas."""
    spec = deployment["spec"]
    collisions = (deployment.get("status") or {}).get("collisionCount") or 0
    digest = template_hash(spec["template"], collisions)
    template = dict(spec["template"])
    template_metadata = dict(template.get("metadata") or {})
    labels = {**(template_metadata.get("labels") or {}), HASH_LABEL: digest}
    template["metadata"] = template_metadata | {"labels": labels}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    rs: Object = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta.name(deployment)}-{digest}", "namespace": meta.namespace(deployment), "labels": labels,
            "ownerReferences": [meta.owner_reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        rs["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    rs["metadata"]["annotations"] = new_annotations(deployment, rs, number)
    return rs
