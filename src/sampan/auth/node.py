"""What a kubelet may do: with its own node and pods everything it needs, with others' nothing.

RBAC can't say "the Secrets that Pods on this node mount"; a graph can: node -> its Pods -> what they refer to.  The
graph follows the Pods in memory.  ``shape`` is what has to be kept of a Pod for it.

Upstream: ``plugin/pkg/auth/authorizer/node``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from sampan.api.meta import namespace, uid
from sampan.api.resources import PODS
from sampan.auth.authorize import NO_OPINION, Attributes, Decision, SubjectRules
from sampan.auth.objects import Objects
from sampan.auth.rules import Rule
from sampan.auth.user import UserInfo

Object = dict[str, Any]
Target = tuple[str, str, str]  # (resource, namespace, name)

LEASE_NAMESPACE = "kube-node-lease"
_READ = frozenset({"get", "list", "watch"})
_ALLOWED = Decision(True)

#: What every kubelet may do whatever its name is; NodeRestriction narrows writes to its own objects.
RULES: tuple[Object, ...] = (
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews", "localsubjectaccessreviews"],
     "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["create", "get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch", "update"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch", "update"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]},
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch", "update"]},
    {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"],
     "verbs": ["create", "get", "list", "watch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
     "verbs": ["create", "get", "update", "patch", "delete"]},
    {"apiGroups": ["storage.k8s.io"], "resources": ["csidrivers", "csinodes", "volumeattachments"],
     "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["node.k8s.io"], "resources": ["runtimeclasses"], "verbs": ["get", "list", "watch"]},
)
_RULES = tuple(Rule.of(rule) for rule in RULES)
_GUARDED = {"secrets", "configmaps", "serviceaccounts", "persistentvolumeclaims"}


class NodeAuthorizer:
    """Answers for ``system:node:NAME`` in ``system:nodes``; no opinion on anybody else."""

    def __init__(self, objects: Objects) -> None:
        self._reachable: dict[str, Counter[Target]] = defaultdict(Counter)
        objects.on_change(PODS, self._pod_changed)
        for pod in objects.list(PODS):
            self._pod_changed(None, pod)

    def authorize(self, attributes: Attributes) -> Decision:
        node = attributes.user.node_name()
        if node is None or not attributes.is_resource:
            return NO_OPINION
        if attributes.group == "" and attributes.resource in _GUARDED:
            return self._guarded(node, attributes)
        why = _not_own(node, attributes)
        if why:
            return Decision(False, why)
        return _ALLOWED if any(rule.allows(attributes) for rule in _RULES) else NO_OPINION

    def rules_for(self, user: UserInfo, namespace: str) -> SubjectRules:
        if user.node_name() is None:
            return SubjectRules()
        return SubjectRules(incomplete=True, error="node authorizer does not support user rule resolution")

    def _guarded(self, node: str, asked: Attributes) -> Decision:
        """One named object that a Pod on the node refers to; a kubelet may watch it by name, but never list all."""
        if asked.resource == "serviceaccounts":
            if asked.subresource != "token" or asked.verb != "create":
                return Decision(False, "can only create tokens for individual service accounts")
        elif asked.subresource or asked.verb not in _READ:
            return Decision(False, "can only read namespaced object of this type")
        target = (asked.resource, asked.namespace, asked.name)
        if asked.namespace and asked.name and self._reachable.get(node, Counter())[target] > 0:
            return _ALLOWED
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for pod, step in ((old, -1), (new, 1)):
            node = ((pod or {}).get("spec") or {}).get("nodeName")
            if pod is None or not node:
                continue
            reachable = self._reachable[node]
            for target in targets(pod):
                reachable[target] += step
                if reachable[target] <= 0:
                    del reachable[target]
            if not reachable:
                del self._reachable[node]


def _not_own(node: str, asked: Attributes) -> str:
    """Writing other nodes' leases and Node objects is refused here; NodeRestriction looks inside the objects."""
    if asked.resource == "leases":
        if asked.namespace != LEASE_NAMESPACE:
            return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        if asked.verb != "create" and asked.name != node:
            return "can only access node lease with the same name as the requesting node"
    if asked.resource == "nodes" and asked.verb in ("get", "list", "watch", "patch", "update") and asked.name != node:
        return "" if asked.verb in ("list", "watch") and not asked.name else \
            f"node '{node}' cannot read '{asked.name}', only its own Node object"
    return ""


def shape(pod: Object) -> Object:
    """What is kept of a Pod: enough for tokens bound to it and for the graph, 1 % of the rest."""
    meta = pod["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "uid", "deletionTimestamp") if key in meta}
    spec = pod.get("spec") or {}
    return {"kind": "Pod", "metadata": kept, "spec": {"nodeName": spec.get("nodeName", "")},
            "targets": tuple(_targets(pod))}


def targets(pod: Object) -> Iterator[Target]:
    """What a Pod (whole or in outline) refers to."""
    return iter(pod["targets"]) if "targets" in pod else _targets(pod)


def _targets(pod: Object) -> Iterator[Target]:
    where, spec = namespace(pod), pod.get("spec") or {}
    if uid(pod) and "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {}):
        return  # a mirror Pod is written by the kubelet itself: it must not open doors
    yield "serviceaccounts", where, spec.get("serviceAccountName") or "default"
    seen = {("secrets", s.get("name", "")) for s in spec.get("imagePullSecrets") or ()}
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key) or ():
            seen.update(_of_container(container))
    for volume in spec.get("volumes") or ():
        seen.update(_of_volume(volume))
    for resource, referred in sorted(seen):
        yield resource, where, referred


def _of_container(container: Object) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for key, resource in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
            if source.get(key):
                yield resource, source[key].get("name", "")
    for source in container.get("envFrom") or ():
        for key, resource in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
            if source.get(key):
                yield resource, source[key].get("name", "")


def _of_volume(volume: Object) -> Iterator[tuple[str, str]]:
    if volume.get("secret"):
        yield "secrets", volume["secret"].get("secretName", "")
    if volume.get("configMap"):
        yield "configmaps", volume["configMap"].get("name", "")
    if volume.get("persistentVolumeClaim"):
        yield "persistentvolumeclaims", volume["persistentVolumeClaim"].get("claimName", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        for key, resource in (("secret", "secrets"), ("configMap", "configmaps")):
            if source.get(key):
                yield resource, source[key].get("name", "")
