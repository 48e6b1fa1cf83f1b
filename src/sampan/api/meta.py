"""Short words for what nearly everybody asks of an object's metadata and status conditions.

Upstream: apimachinery/pkg/apis/meta/v1 (controller_ref.go, helpers), apimachinery/pkg/api/meta/conditions.go.
"""

from datetime import datetime
from typing import Any

from sampan.api.clock import rfc3339

Object = dict[str, Any]


def metadata(obj: Object) -> Object:
    """The metadata, ``{}`` where there is none (then it is not part of the object)."""
    return obj.get("metadata") or {}


def name(obj: Object) -> str:
    return metadata(obj).get("name") or ""


def namespace(obj: Object) -> str:
    return metadata(obj).get("namespace") or ""


def uid(obj: Object) -> str:
    return metadata(obj).get("uid") or ""


def resource_version(obj: Object) -> str:
    return metadata(obj).get("resourceVersion") or ""


def generation(obj: Object) -> int:
    return metadata(obj).get("generation") or 0


def key(obj: Object) -> str:
    """``namespace/name``, or ``name`` of what is in no namespace."""
    where = namespace(obj)
    return f"{where}/{name(obj)}" if where else name(obj)


def split_key(text: str) -> tuple[str, str]:
    """The ``(namespace, name)`` of a key."""
    where, _, which = text.rpartition("/")
    return where, which


def labels(obj: Object) -> dict[str, str]:
    return metadata(obj).get("labels") or {}


def annotations(obj: Object) -> dict[str, str]:
    return metadata(obj).get("annotations") or {}


def finalizers(obj: Object) -> list[str]:
    return metadata(obj).get("finalizers") or []


def owner_references(obj: Object) -> list[Object]:
    return metadata(obj).get("ownerReferences") or []


def controller_of(obj: Object) -> Object | None:
    """The one owner reference that has ``controller: true``."""
    return next((ref for ref in owner_references(obj) if ref.get("controller")), None)


def owner_reference(owner: Object, controller: bool = True, block: bool = True) -> Object:
    """A reference to ``owner``; ``block`` is ``blockOwnerDeletion``."""
    reference: Object = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner),
                         "uid": uid(owner)}
    if controller:
        reference["controller"] = True
    if block:
        reference["blockOwnerDeletion"] = True
    return reference


def is_deleted(obj: Object) -> bool:
    """Has deletion been asked for?  Finalizers or a grace period may still keep the object."""
    return bool(metadata(obj).get("deletionTimestamp"))


def condition(obj: Object, type: str) -> Object | None:
    """The status condition of that type."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == type), None)


def is_true(obj: Object, type: str) -> bool:
    """Is the status condition there, and ``"True"``?"""
    found = condition(obj, type)
    return found is not None and found.get("status") == "True"


def set_condition(conditions: list[Object], cond: Object, now: datetime) -> bool:
    """Put ``cond`` into the list, in place; ``lastTransitionTime`` moves only when the status does.

    Returns whether anything changed, so that a second call with the same condition needs no write.
    """
    index = next((i for i, old in enumerate(conditions) if old.get("type") == cond["type"]), None)
    if index is None:
        conditions.append({"lastTransitionTime": rfc3339(now)} | cond)
        return True
    old = conditions[index]
    fresh = old | cond
    if "lastTransitionTime" not in cond and old.get("status") != cond.get("status"):
        fresh["lastTransitionTime"] = rfc3339(now)
    conditions[index] = fresh
    return fresh != old
