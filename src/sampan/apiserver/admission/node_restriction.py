"""NodeRestriction: a kubelet writes its own Node, its own Pods' status and tokens, and its own lease; nothing else.

The node authorizer lets it write these kinds; this plugin looks inside, so that a stolen kubelet key is worth no more
than its node.  Upstream: ``plugin/pkg/admission/noderestriction``.
"""

from __future__ import annotations

from typing import Any

from sampan.api.errors import ApiError, Forbidden
from sampan.api.resources import LEASES, NODES, PODS, SERVICEACCOUNTS
from sampan.apiserver.admission.base import Attributes, Plugin
from sampan.auth.node import LEASE_NAMESPACE

Object = dict[str, Any]
_MIRROR = "kubernetes.io/config.mirror"
#: Labels under kubernetes.io and k8s.io that a kubelet may set on its own Node.
_OWN_LABELS = frozenset({
    "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os", "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
})
_OWN_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


class NodeRestriction(Plugin):
    name = "NodeRestriction"

    async def admit(self, attributes: Attributes) -> None:
        node = attributes.user.node_name()
        if node is None:
            return
        resource = (attributes.resource.group, attributes.resource.plural)
        if resource == ("", PODS.plural):
            await self._pod(attributes, node)
        elif resource == ("", NODES.plural):
            self._node(attributes, node)
        elif resource == ("", SERVICEACCOUNTS.plural) and attributes.subresource == "token":
            await self._token(attributes, node)
        elif resource == (LEASES.group, LEASES.plural):
            self._lease(attributes, node)

    async def _pod(self, attributes: Attributes, node: str) -> None:
        operation, subresource = attributes.operation, attributes.subresource
        if subresource == "status":
            if (attributes.old or {}).get("spec", {}).get("nodeName") != node:
                raise _refused(attributes, f"node {node!r} can only update pod status for pods with spec.nodeName set "
                               "to itself")
            if _labels(attributes.obj) != _labels(attributes.old):
                raise _refused(attributes, f"node {node!r} cannot update labels through pod status")
        elif subresource == "eviction" or (operation == "DELETE" and not subresource):
            pod = attributes.old or await attributes.server.get_object(PODS, attributes.name, attributes.namespace)
            if pod is not None and (pod.get("spec") or {}).get("nodeName") != node:
                what = "evict" if subresource else "delete"
                raise _refused(attributes, f"node {node!r} can only {what} pods with spec.nodeName set to itself")
        elif operation == "CREATE" and not subresource:
            self._mirror(attributes, node)
        elif operation == "UPDATE":
            raise _refused(attributes, f"unexpected pod subresource {subresource!r}, only 'status' and 'eviction' are "
                           "allowed")

    def _mirror(self, attributes: Attributes, node: str) -> None:
        """The only Pods that a kubelet creates: copies of the static ones that it runs."""
        pod = attributes.obj or {}
        if _MIRROR not in ((pod.get("metadata") or {}).get("annotations") or {}):
            raise _refused(attributes, f"pod does not have {_MIRROR!r} annotation, node {node!r} can only create "
                           "mirror pods")
        if (pod.get("spec") or {}).get("nodeName") != node:
            raise _refused(attributes, f"node {node!r} can only create pods with spec.nodeName set to itself")

    def _node(self, attributes: Attributes, node: str) -> None:
        name = attributes.name or ((attributes.obj or {}).get("metadata") or {}).get("name")
        if name != node:
            raise _refused(attributes, f"node {node!r} is not allowed to modify node {name!r}")
        if attributes.operation == "DELETE":
            raise _refused(attributes, f"node {node!r} is not allowed to delete its own Node")
        new, old = attributes.obj or {}, attributes.old or {}
        if attributes.operation == "UPDATE" and (new.get("spec") or {}).get("taints") != (
                old.get("spec") or {}).get("taints"):
            raise _refused(attributes, f"node {node!r} is not allowed to modify taints")
        before, after = _labels(old), _labels(new)
        changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        refused = sorted(key for key in changed if not _may_label(key))
        if refused:
            raise _refused(attributes, f"is not allowed to modify labels: {', '.join(refused)}")

    async def _token(self, attributes: Attributes, node: str) -> None:
        """Only tokens bound to a Pod that runs here, as the uid says."""
        reference = ((attributes.obj or {}).get("spec") or {}).get("boundObjectRef") or {}
        if reference.get("kind") != "Pod" or not reference.get("name"):
            raise _refused(attributes, "node requested token not bound to a pod")
        if not reference.get("uid"):
            raise _refused(attributes, "node requested token with a pod binding without a uid")
        pod = await attributes.server.get_object(PODS, reference["name"], attributes.namespace)
        if pod is None or pod["metadata"].get("uid") != reference["uid"]:
            raise _refused(attributes, "the UID in the bound object reference does not match the UID in record")
        if (pod.get("spec") or {}).get("nodeName") != node:
            raise _refused(attributes, "node requested token bound to a pod scheduled on a different node")

    def _lease(self, attributes: Attributes, node: str) -> None:
        name = attributes.name or ((attributes.obj or {}).get("metadata") or {}).get("name")
        if attributes.namespace != LEASE_NAMESPACE:
            raise _refused(attributes, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if name != node:
            raise _refused(attributes, "can only access node lease with the same name as the requesting node")


def _may_label(key: str) -> bool:
    """Labels outside kubernetes.io and k8s.io are free; of those inside, only some are the kubelet's."""
    domain = key.partition("/")[0] if "/" in key else ""
    if domain == "node-restriction.kubernetes.io" or domain.endswith(".node-restriction.kubernetes.io"):
        return False
    if not any(domain == root or domain.endswith("." + root) for root in ("kubernetes.io", "k8s.io")):
        return True
    return key in _OWN_LABELS or any(domain == p or domain.endswith("." + p) for p in _OWN_PREFIXES)


def _labels(obj: Object | None) -> Object:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}


def _refused(attributes: Attributes, why: str) -> ApiError:
    return Forbidden.of(attributes.resource, attributes.name, why)
