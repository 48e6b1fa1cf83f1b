"""Pod templates: what Deployment and ReplicaSet ask of theirs.

Upstream: ``ValidatePodTemplateSpec``, ``ValidatePodTemplateSpecForReplicaSet``.
"""

from __future__ import annotations

from typing import Any

from sampan.api.errors import FieldError
from sampan.apiserver.kinds.metadata import validate_annotations, validate_labels
from sampan.apiserver.kinds.pod.defaults import default_spec
from sampan.apiserver.kinds.pod.spec import validate_spec
from sampan.apiserver.kinds.rules import label_selector

Object = dict[str, Any]
MISMATCH = "`selector` does not match template `labels`"


def default_template(template: Object) -> None:
    template.setdefault("metadata", {})
    default_spec(template.setdefault("spec", {}))


def validate_template(template: Object, path: str) -> list[FieldError]:
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    errors = validate_labels(metadata.get("labels") or {}, f"{path}.labels")
    errors += validate_annotations(metadata.get("annotations") or {}, f"{path}.annotations")
    errors += validate_spec(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        errors.append(FieldError.forbidden(
            f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return errors


def validate_selected_template(spec: Object, what: str) -> list[FieldError]:
    """The selector and template of a workload's ``spec``. ``what`` names it in messages: ``deployment``."""
    from sampan.api.selectors import from_label_selector

    selector, template, path = spec.get("selector"), spec.get("template") or {}, "spec.template"
    if selector is None:
        errors = [FieldError.required("spec.selector")]
    else:
        errors = label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            errors.append(FieldError.invalid("spec.selector", selector, f"empty selector is invalid for {what}"))
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not errors and not from_label_selector(selector).matches(labels):
        errors.append(FieldError.invalid(f"{path}.metadata.labels", labels, MISMATCH))
    errors += validate_template(template, path)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") not in (None, "Always"):
        errors.append(FieldError.not_supported(f"{path}.spec.restartPolicy", pod["restartPolicy"], ["Always"]))
    if pod.get("activeDeadlineSeconds") is not None:
        errors.append(FieldError.forbidden(
            f"{path}.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"))
    return errors
