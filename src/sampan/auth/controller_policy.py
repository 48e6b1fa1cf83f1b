"""What each controller may do: one role each, for the ServiceAccount of the same name in kube-system.

Upstream: ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api.resources import RBAC_GROUP
from sampan.auth.policy_lines import rule, urls

Object = dict[str, Any]
_EVENTS = rule("create patch update", "core events.k8s.io", "events")


def controller_role_name(controller: str) -> str:
    return f"system:controller:{controller}"


CONTROLLERS: dict[str, list[Object]] = {
    "clusterrole-aggregation-controller": [
        rule("escalate get list patch update watch", RBAC_GROUP, "clusterroles")],
    "deployment-controller": [
        rule("get list update watch patch", "apps", "deployments"), rule("update patch", "apps", "deployments/status"),
        rule("update", "apps", "deployments/finalizers"),
        rule("create delete get list patch update watch", "apps", "replicasets"),
        rule("get list update watch patch", "core", "pods"), _EVENTS],
    "replicaset-controller": [
        rule("get list update watch patch", "apps", "replicasets"), rule("update patch", "apps", "replicasets/status"),
        rule("update", "apps", "replicasets/finalizers"),
        rule("create delete get list patch watch", "core", "pods"), _EVENTS],
    "endpoint-controller": [
        rule("get list watch", "core", "pods services"),
        rule("create delete get list update watch patch", "core", "endpoints"),
        rule("create", "core", "endpoints/restricted"), _EVENTS],
    "endpointslice-controller": [
        rule("get list watch", "core", "nodes pods services"), rule("update", "core", "services/finalizers"),
        rule("create delete get list update watch patch", "discovery.k8s.io", "endpointslices"),
        rule("create", "discovery.k8s.io", "endpointslices/restricted"), _EVENTS],
    "endpointslicemirroring-controller": [
        rule("get list watch", "core", "endpoints services"), rule("update", "core", "endpoints/finalizers"),
        rule("update", "core", "services/finalizers"),
        rule("create delete get list update watch patch", "discovery.k8s.io", "endpointslices"),
        rule("create", "discovery.k8s.io", "endpointslices/restricted"), _EVENTS],
    "generic-garbage-collector": [
        rule("delete get list patch update watch", "*", "*"), urls("get", "/api /api/* /apis /apis/*"), _EVENTS],
    "namespace-controller": [
        rule("delete get list update watch", "core", "namespaces"),
        rule("update patch", "core", "namespaces/finalize namespaces/status"),
        rule("delete deletecollection get list", "*", "*"), urls("get", "/api /api/* /apis /apis/*"), _EVENTS],
    "node-controller": [
        rule("delete get list patch update watch", "core", "nodes"), rule("patch update", "core", "nodes/status"),
        rule("patch update", "core", "pods/status"), rule("delete get list watch", "core", "pods"),
        rule("get list watch create update delete", "coordination.k8s.io", "leases"), _EVENTS],
    "pod-garbage-collector": [
        rule("delete list watch get", "core", "pods"), rule("patch", "core", "pods/status"),
        rule("get list watch", "core", "nodes"), _EVENTS],
    "root-ca-cert-publisher": [
        rule("create update get list watch", "core", "configmaps"), rule("get list watch", "core", "namespaces"),
        _EVENTS],
    "service-account-controller": [
        rule("create get list watch", "core", "serviceaccounts"), rule("get list watch", "core", "namespaces"),
        _EVENTS],
    "taint-eviction-controller": [
        rule("delete get list watch", "core", "pods"), rule("patch", "core", "pods/status"),
        rule("get list watch", "core", "nodes"), _EVENTS],
    "tokens-controller": [
        rule("create delete get list update watch patch", "core", "secrets"),
        rule("get list watch update patch", "core", "serviceaccounts"),
        rule("create", "core", "serviceaccounts/token"), _EVENTS],
}
