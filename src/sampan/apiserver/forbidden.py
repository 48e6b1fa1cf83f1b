"""How a refusal by authorization reads.

``pods "web" is forbidden: User "jane" cannot get resource "pods" in API group "" in the namespace "default"``

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go``.
"""

from __future__ import annotations

from sampan.api.errors import Forbidden, quote
from sampan.auth.authorize import Attributes, forbidden_message


def denial(attributes: Attributes, reason: str = "") -> Forbidden:
    """The 403 for ``attributes``; ``reason`` is what the authorizer has to add."""
    why = forbidden_message(attributes, reason)
    if not attributes.is_resource:
        return Forbidden(f"forbidden: {why}")
    subject = f"{attributes.resource}.{attributes.group}" if attributes.group else attributes.resource
    if attributes.name:
        subject += f" {quote(attributes.name)}"
    details = {"name": attributes.name, "group": attributes.group, "kind": attributes.resource}
    return Forbidden(f"{subject} is forbidden: {why}", details={key: value for key, value in details.items() if value})
