"""Rules for ``metadata``, the same for every kind.

Upstream: ``staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go``, ``rest.BeforeUpdate``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.api.resources import Resource
from sampan.apiserver.kinds.rules import IMMUTABLE, non_negative

Object = dict[str, Any]

_ANNOTATIONS_LIMIT_BYTES = 256 * 1024
_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")
_KEPT = ("generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def carry_over(obj: Object, old: Object) -> None:
    """Take from ``old`` what no update may change, and what the client may leave out."""
    new_metadata, old_metadata = obj["metadata"], old["metadata"]
    for key in _KEPT:
        if key in old_metadata:
            new_metadata[key] = old_metadata[key]
        else:
            new_metadata.pop(key, None)
    for key in ("uid", "creationTimestamp"):
        if not new_metadata.get(key) and key in old_metadata:
            new_metadata[key] = old_metadata[key]


def validate_metadata(obj: Object, resource: Resource, name_check: names.Check) -> list[FieldError]:
    """Everything wrong with the metadata of a new object."""
    metadata = obj.get("metadata") or {}
    return (_name(metadata, name_check) + _namespace(metadata, resource)
            + non_negative(metadata.get("generation", 0), "metadata.generation") + _shared(metadata))


def validate_metadata_update(obj: Object, old: Object) -> list[FieldError]:
    """What may never change, and no new finalizers once deletion has begun."""
    new, before = obj["metadata"], old["metadata"]
    errors = _shared(new)
    errors += [FieldError.invalid(f"metadata.{key}", new.get(key), IMMUTABLE)
               for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp",
                           "deletionGracePeriodSeconds")
               if (new.get(key) or None) != (before.get(key) or None)]
    added = [f for f in new.get("finalizers") or () if f not in (before.get("finalizers") or ())]
    if before.get("deletionTimestamp") and added:
        listed = ", ".join(f'"{name}"' for name in added)
        errors.append(FieldError.forbidden(
            "metadata.finalizers", "no new finalizers can be added if the object is being deleted, found new "
            f"finalizers []string{{{listed}}}"))
    return errors


def validate_labels(labels: Object, path: str) -> list[FieldError]:
    errors = []
    for key, value in (labels or {}).items():
        errors += [FieldError.invalid(path, key, why) for why in names.qualified_name(key)]
        errors += [FieldError.invalid(path, value, why) for why in names.label_value(value or "")]
    return errors


def validate_annotations(annotations: Object, path: str) -> list[FieldError]:
    errors = [FieldError.invalid(path, key, why)
              for key in annotations or () for why in names.qualified_name(key.lower())]
    size = sum(len(key.encode()) + len((value or "").encode()) for key, value in (annotations or {}).items())
    if size > _ANNOTATIONS_LIMIT_BYTES:
        errors.append(FieldError.too_long(path, "", _ANNOTATIONS_LIMIT_BYTES))
    return errors


def _name(metadata: Object, check: names.Check) -> list[FieldError]:
    errors = []
    name, prefix = metadata.get("name", ""), metadata.get("generateName", "")
    if prefix:
        errors += [FieldError.invalid("metadata.generateName", prefix, why)
                   for why in names.generate_name(check, prefix)]
    if not name:
        errors.append(FieldError.required("metadata.name", "name or generateName is required"))
    else:
        errors += [FieldError.invalid("metadata.name", name, why) for why in check(name)]
    return errors


def _namespace(metadata: Object, resource: Resource) -> list[FieldError]:
    namespace = metadata.get("namespace", "")
    if not resource.namespaced:
        return [FieldError.forbidden("metadata.namespace", "not allowed on this type")] if namespace else []
    if not namespace:
        return [FieldError.required("metadata.namespace")]
    return [FieldError.invalid("metadata.namespace", namespace, why) for why in names.dns_label(namespace)]


def _shared(metadata: Object) -> list[FieldError]:
    return (validate_labels(metadata.get("labels") or {}, "metadata.labels")
            + validate_annotations(metadata.get("annotations") or {}, "metadata.annotations")
            + _owners(metadata.get("ownerReferences") or []) + _finalizers(metadata.get("finalizers") or []))


def _owners(references: list[Object]) -> list[FieldError]:
    errors, controllers = [], []
    for i, reference in enumerate(references):
        path = f"metadata.ownerReferences[{i}]"
        for key in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(key):
                what = "version must not be empty" if key == "apiVersion" else "must not be empty"
                errors.append(FieldError.invalid(f"{path}.{key}", reference.get(key, ""), what))
        if reference.get("controller"):
            controllers.append(reference)
    if len(controllers) > 1:
        first, second = (c.get("name", "") for c in controllers[:2])
        errors.append(FieldError.invalid(
            "metadata.ownerReferences", references, 'Only one reference can have Controller set to true. Found "true" '
            f"in references for {first} and {second}"))
    return errors


def _finalizers(finalizers: list[str]) -> list[FieldError]:
    errors = []
    for finalizer in finalizers:
        problems = names.qualified_name(finalizer)
        errors += [FieldError.invalid("metadata.finalizers", finalizer, why) for why in problems]
        if not problems and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            errors.append(FieldError.invalid(
                "metadata.finalizers", finalizer,
                "name is neither a standard finalizer name nor is it fully qualified"))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        errors.append(FieldError.invalid(
            "metadata.finalizers", finalizers, "finalizer orphan and foregroundDeletion cannot be both set"))
    return errors
