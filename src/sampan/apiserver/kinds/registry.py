"""Which file answers for which resource.  Modules are imported when first asked for: a cluster starts in a second."""

from __future__ import annotations

from importlib import import_module

from sampan.api.resources import RBAC_GROUP, Resource
from sampan.apiserver.kinds.base import Kind

#: (group, plural) -> module and class, relative to this package.
_KINDS = {
    ("", "namespaces"): "namespace:NamespaceKind",
    ("", "nodes"): "node:NodeKind",
    ("", "pods"): "pod.kind:PodKind",
    ("", "services"): "service.kind:ServiceKind",
    ("", "endpoints"): "endpoints:EndpointsKind",
    ("", "configmaps"): "configmap:ConfigMapKind",
    ("", "secrets"): "secret:SecretKind",
    ("", "serviceaccounts"): "serviceaccount:ServiceAccountKind",
    ("", "events"): "event:CoreEventKind",
    ("events.k8s.io", "events"): "event:EventKind",
    ("discovery.k8s.io", "endpointslices"): "endpointslice:EndpointSliceKind",
    ("apps", "deployments"): "deployment:DeploymentKind",
    ("apps", "replicasets"): "replicaset:ReplicaSetKind",
    ("coordination.k8s.io", "leases"): "lease:LeaseKind",
    (RBAC_GROUP, "roles"): "role:RoleKind",
    (RBAC_GROUP, "clusterroles"): "role:ClusterRoleKind",
    (RBAC_GROUP, "rolebindings"): "rolebinding:RoleBindingKind",
    (RBAC_GROUP, "clusterrolebindings"): "rolebinding:ClusterRoleBindingKind",
    ("authentication.k8s.io", "tokenreviews"): "authentication_review:TokenReviewKind",
    ("authentication.k8s.io", "selfsubjectreviews"): "authentication_review:SelfSubjectReviewKind",
    ("authorization.k8s.io", "subjectaccessreviews"): "access_review:SubjectAccessReviewKind",
    ("authorization.k8s.io", "localsubjectaccessreviews"): "access_review:LocalSubjectAccessReviewKind",
    ("authorization.k8s.io", "selfsubjectaccessreviews"): "access_review:SelfSubjectAccessReviewKind",
    ("authorization.k8s.io", "selfsubjectrulesreviews"): "access_review:SelfSubjectRulesReviewKind",
}

_made: dict[tuple[str, str, str], Kind] = {}


def kind_of(resource: Resource) -> Kind:
    """The one Kind object of a resource: the special one if there is any, else the generic."""
    identity = (resource.group, resource.version, resource.plural)
    kind = _made.get(identity)
    if kind is None:
        kind = _made[identity] = _make(resource)
    return kind


def _make(resource: Resource) -> Kind:
    place = _KINDS.get((resource.group, resource.plural))
    if place is None:
        return Kind(resource)
    module, _, name = place.partition(":")
    made = getattr(import_module(f"sampan.apiserver.kinds.{module}"), name)(resource)
    assert isinstance(made, Kind)
    return made
