"""NamespaceLifecycle: nothing is created in a namespace that is missing or going; three namespaces can't be deleted.

Upstream: ``plugin/pkg/admission/namespace/lifecycle``.
"""

from __future__ import annotations

from sampan.api.errors import Forbidden, NotFound
from sampan.api.resources import NAMESPACES
from sampan.apiserver.admission.base import Attributes, Plugin

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
#: Reviews answer and store nothing, so they may name any namespace.
_EXEMPT_GROUPS = frozenset({"authorization.k8s.io"})


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"

    async def admit(self, attributes: Attributes) -> None:
        self._protect(attributes)
        if attributes.operation != "CREATE" or not attributes.namespace or not attributes.resource.namespaced:
            return
        if attributes.resource.group in _EXEMPT_GROUPS:
            return
        await self._require_active(attributes)

    def _protect(self, attributes: Attributes) -> None:
        """Raises: Forbidden."""
        if attributes.on(NAMESPACES, "DELETE") and attributes.name in IMMORTAL:
            raise Forbidden.of(NAMESPACES, attributes.name, "this namespace may not be deleted")

    async def _require_active(self, attributes: Attributes) -> None:
        """Raises: NotFound, Forbidden."""
        where = attributes.namespace
        namespace = await attributes.server.get_object(NAMESPACES, where)
        if namespace is None:
            raise NotFound.of(NAMESPACES, where)
        phase = (namespace.get("status") or {}).get("phase")
        if phase != "Terminating" and not namespace["metadata"].get("deletionTimestamp"):
            return
        error = Forbidden.of(attributes.resource, attributes.name or _name(attributes),
                             f"unable to create new content in namespace {where} because it is being terminated")
        error.status.setdefault("details", {})["causes"] = [{
            "reason": "NamespaceTerminating", "message": f"namespace {where} is being terminated",
            "field": "metadata.namespace"}]
        raise error


def _name(attributes: Attributes) -> str:
    return str(((attributes.obj or {}).get("metadata") or {}).get("name") or "")
