"""The roles and bindings that every cluster is born with, under upstream's names.

Operators, Helm charts and people rely on them: ``cluster-admin``, ``admin``/``edit``/``view`` with their aggregation
labels, ``system:discovery`` and so on.  The data is compact (one line a rule); ``bootstrap`` brings the cluster up to
it at every start.

Upstream: ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sampan.api.resources import RBAC_GROUP
from sampan.auth.aggregation import aggregated_rules
from sampan.auth.controller_policy import CONTROLLERS, controller_role_name
from sampan.auth.node import RULES as NODE_RULES
from sampan.auth.policy_lines import cluster_role, rule, subject, urls

Object = dict[str, Any]

READ = "get list watch"
WRITE = "create delete deletecollection patch update"
ALL_WRITE = "get list watch create delete deletecollection patch update"
_AGGREGATE = RBAC_GROUP.replace("authorization.k8s.io", "authorization.k8s.io/aggregate-to-")
_HEALTH = "/healthz /livez /readyz"
_VERSION = "/version /version/"

_VIEW = [
    rule(READ, "core", "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
         "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status"),
    rule(READ, "core", "bindings events limitranges namespaces/status pods/log pods/status "
         "replicationcontrollers/status resourcequotas resourcequotas/status"),
    rule(READ, "core", "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(READ, "apps", "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
         "deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale "
         "statefulsets/status"),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
]
_EDIT = [
    rule(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "core", "serviceaccounts"),
    rule(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "core", "pods/eviction"),
    rule(WRITE, "core", "configmaps events persistentvolumeclaims replicationcontrollers "
         "replicationcontrollers/scale secrets serviceaccounts services services/proxy"),
    rule("create", "core", "serviceaccounts/token"),
    rule(WRITE, "apps", "daemonsets deployments deployments/rollback deployments/scale replicasets "
         "replicasets/scale statefulsets statefulsets/scale"),
    rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(WRITE, "batch", "cronjobs jobs"),
    rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(ALL_WRITE, "coordination.k8s.io", "leases"),
]
_ADMIN = [
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(ALL_WRITE, RBAC_GROUP, "rolebindings roles"),
]
_EVENTS = rule("create patch update", "core events.k8s.io", "events")

_CLUSTER_ROLES: list[Object] = [
    cluster_role("cluster-admin", [rule("*", "*", "*"), urls("*", "*")]),
    cluster_role("system:discovery", [urls("get", f"/api /api/* /apis /apis/* {_HEALTH} /openapi /openapi/* "
                                           + _VERSION)]),
    cluster_role("system:public-info-viewer", [urls("get", f"{_HEALTH} {_VERSION}")]),
    cluster_role("system:monitoring", [urls("get", f"{_HEALTH} /healthz/* /livez/* /readyz/* /metrics /metrics/slis")]),
    cluster_role("system:basic-user", [
        rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        rule("create", "authentication.k8s.io", "selfsubjectreviews")]),
    cluster_role("admin", [], aggregate="admin"),
    cluster_role("edit", [], aggregate="edit", labels={_AGGREGATE + "admin": "true"}),
    cluster_role("view", [], aggregate="view", labels={_AGGREGATE + "edit": "true"}),
    cluster_role("system:aggregate-to-admin", _ADMIN, labels={_AGGREGATE + "admin": "true"}),
    cluster_role("system:aggregate-to-edit", _EDIT, labels={_AGGREGATE + "edit": "true"}),
    cluster_role("system:aggregate-to-view", _VIEW, labels={_AGGREGATE + "view": "true"}),
    cluster_role("system:node", list(NODE_RULES)),
    cluster_role("system:node-proxier", [
        rule("list watch", "core", "endpoints services"), rule(READ, "core", "nodes"), _EVENTS,
        rule("list watch", "discovery.k8s.io", "endpointslices"),
        rule("list watch", "networking.k8s.io", "servicecidrs")]),
    cluster_role("system:kubelet-api-admin", [
        rule(READ, "core", "nodes"), rule("proxy", "core", "nodes"),
        rule("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats nodes/configz nodes/healthz nodes/pods")]),
    cluster_role("system:auth-delegator", [rule("create", "authentication.k8s.io", "tokenreviews"),
                                           rule("create", "authorization.k8s.io", "subjectaccessreviews")]),
    cluster_role("system:kube-aggregator", [rule(READ, "core", "endpoints services")]),
    cluster_role("system:service-account-issuer-discovery", [
        urls("get", "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks "
             "/openid/v1/jwks/")]),
    cluster_role("system:kube-dns", [rule("list watch", "core", "endpoints services")]),
    cluster_role("system:coredns", [
        rule("list watch", "core", "endpoints services pods namespaces"), rule(READ, "core", "nodes"),
        rule("list watch", "discovery.k8s.io", "endpointslices")]),
    cluster_role("system:kube-controller-manager", [
        _EVENTS, rule("create", "coordination.k8s.io", "leases"),
        rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
        rule("create", "core", "secrets serviceaccounts"), rule("delete", "core", "secrets"),
        rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
        rule("update", "core", "secrets serviceaccounts"), rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"), rule("list watch", "*", "*"),
        rule("create", "core", "serviceaccounts/token")]),
    cluster_role("system:kube-scheduler", [
        _EVENTS, rule("create", "coordination.k8s.io", "leases"),
        rule("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
        rule(READ, "core", "nodes"), rule("delete get list watch", "core", "pods"),
        rule("create", "core", "bindings pods/binding"), rule("patch update", "core", "pods/status"),
        rule(READ, "core", "replicationcontrollers services namespaces persistentvolumeclaims persistentvolumes"),
        rule(READ, "apps", "replicasets statefulsets"), rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "storage.k8s.io", "csidrivers csinodes csistoragecapacities storageclasses volumeattachments"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews")]),
    *(cluster_role(controller_role_name(name), rules) for name, rules in CONTROLLERS.items()),
]

_CLUSTER_BINDINGS: list[tuple[str, list[Object]]] = [
    ("cluster-admin", [subject("Group", "system:masters")]),
    ("system:monitoring", [subject("Group", "system:monitoring")]),
    ("system:discovery", [subject("Group", "system:authenticated")]),
    ("system:basic-user", [subject("Group", "system:authenticated")]),
    ("system:public-info-viewer", [subject("Group", "system:authenticated"),
                                   subject("Group", "system:unauthenticated")]),
    ("system:node-proxier", [subject("User", "system:kube-proxy")]),
    ("system:kube-controller-manager", [subject("User", "system:kube-controller-manager")]),
    ("system:kube-scheduler", [subject("User", "system:kube-scheduler")]),
    ("system:kube-dns", [subject("ServiceAccount", "kube-dns", "kube-system")]),
    ("system:coredns", [subject("ServiceAccount", "coredns", "kube-system")]),
    ("system:service-account-issuer-discovery", [subject("Group", "system:serviceaccounts")]),
    ("system:node", []),  # the node authorizer knows kubelets; the empty binding keeps old tools content
    *((controller_role_name(name), [subject("ServiceAccount", name, "kube-system")]) for name in CONTROLLERS),
]

_LOCK = "system::leader-locking-"
_ROLES: list[tuple[str, str, list[Object], list[Object]]] = [
    ("kube-system", "extension-apiserver-authentication-reader",
     [rule(READ, "core", "configmaps", "extension-apiserver-authentication")],
     [subject("User", "system:kube-controller-manager"), subject("User", "system:kube-scheduler")]),
    *(("kube-system", f"{_LOCK}{name}",
       [rule("watch", "core", "configmaps"), rule("get update", "core", "configmaps", name)],
       [subject("User", f"system:{name}"), subject("ServiceAccount", name, "kube-system")])
      for name in ("kube-controller-manager", "kube-scheduler")),
]


@cache
def cluster_roles() -> tuple[Object, ...]:
    """All ClusterRoles; those that aggregate others carry the rules already."""
    plain = {role["metadata"]["name"]: role for role in _CLUSTER_ROLES}
    for name in ("view", "edit", "admin"):  # edit takes from view, admin from edit
        plain[name] = plain[name] | {"rules": aggregated_rules(plain[name], plain.values())}
    return tuple(plain.values())


@cache
def cluster_role_bindings() -> tuple[Object, ...]:
    return tuple(_binding("ClusterRoleBinding", name, "ClusterRole", subjects) for name, subjects in _CLUSTER_BINDINGS)


@cache
def roles() -> tuple[Object, ...]:
    return tuple(cluster_role(name, rules, kind="Role", namespace=where) for where, name, rules, _ in _ROLES)


@cache
def role_bindings() -> tuple[Object, ...]:
    return tuple(_binding("RoleBinding", name, "Role", subjects, where) for where, name, _, subjects in _ROLES)


def _binding(kind: str, name: str, role_kind: str, subjects: list[Object], namespace: str = "") -> Object:
    made = cluster_role(name, [], kind=kind, namespace=namespace)
    del made["rules"]
    if subjects:
        made["subjects"] = subjects
    return made | {"roleRef": {"apiGroup": RBAC_GROUP, "kind": role_kind, "name": name}}
