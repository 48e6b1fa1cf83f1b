"""A kubelet reaches what its own Pods refer to, and nothing else."""

import pytest

from sampan.api.resources import PODS
from sampan.auth.authorize import Attributes
from sampan.auth.node import NodeAuthorizer, shape
from sampan.auth.user import UserInfo

KUBELET = UserInfo("system:node:n1", groups=("system:nodes",))
POD = {
    "metadata": {"namespace": "a", "name": "web", "uid": "1"},
    "spec": {
        "nodeName": "n1", "serviceAccountName": "robot", "imagePullSecrets": [{"name": "pull"}],
        "initContainers": [{"envFrom": [{"secretRef": {"name": "init-env"}}, {"configMapRef": {"name": "init-map"}}]}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "env"}}},
                                {"valueFrom": {"configMapKeyRef": {"name": "env-map"}}}]}],
        "volumes": [{"secret": {"secretName": "vol"}}, {"configMap": {"name": "vol-map"}},
                    {"persistentVolumeClaim": {"claimName": "claim"}},
                    {"projected": {"sources": [{"secret": {"name": "proj"}}, {"configMap": {"name": "proj-map"}}]}}],
    },
}


def asks(verb, resource, name="", namespace="a", sub="", group="", user=KUBELET):
    return Attributes(user, verb, group, resource, sub, namespace, name)


SECRETS = ("pull", "init-env", "env", "vol", "proj")
MAPS = ("init-map", "env-map", "vol-map", "proj-map")
REACHED = [asks("get", "secrets", n) for n in SECRETS] + [asks("watch", "configmaps", n) for n in MAPS] + [
    asks("list", "secrets", "vol"), asks("get", "persistentvolumeclaims", "claim"),
    asks("create", "serviceaccounts", "robot", sub="token"),
]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("asked", REACHED, ids=lambda a: f"{a.verb} {a.resource} {a.name}")
def test_what_its_pods_refer_to(objects, asked, whole):
    authorizer = NodeAuthorizer(objects)
    assert not authorizer.authorize(asked).allowed
    pod = POD if whole else shape(POD)
    objects.put(PODS, pod)
    assert authorizer.authorize(asked).allowed
    objects.put(PODS, pod | {"metadata": POD["metadata"], "spec": pod["spec"] | {"nodeName": "n2"}})
    assert not authorizer.authorize(asked).allowed
    objects.put(PODS, pod)
    objects.drop(PODS, pod)
    assert not authorizer.authorize(asked).allowed


NEVER = [
    asks("get", "secrets", "other"), asks("get", "secrets", "vol", namespace="b"), asks("list", "secrets"),
    asks("watch", "secrets", namespace=""), asks("update", "secrets", "vol"), asks("delete", "configmaps", "vol-map"),
    asks("create", "serviceaccounts", "other", sub="token"), asks("get", "serviceaccounts", "robot"),
    asks("get", "nodes", "n2", ""), asks("patch", "nodes", "n2", "", sub="status"), asks("delete", "nodes", "n1", ""),
    asks("get", "leases", "n1", "a", group="coordination.k8s.io"),
    asks("update", "leases", "n2", "kube-node-lease", group="coordination.k8s.io"),
    asks("create", "pods", "web", sub="exec"), asks("update", "pods", "web"),
    asks("get", "deployments", "x", group="apps"), asks("create", "clusterroles", group="rbac.authorization.k8s.io"),
]


@pytest.mark.parametrize("asked", NEVER, ids=lambda a: f"{a.verb} {a.combined_resource} {a.name}")
def test_what_is_not_its_business(objects, asked):
    objects.put(PODS, POD)
    assert not NodeAuthorizer(objects).authorize(asked).allowed


ALWAYS = [
    asks("list", "pods", namespace=""), asks("watch", "services", namespace=""), asks("create", "nodes", "", ""),
    asks("patch", "nodes", "n1", "", sub="status"), asks("get", "nodes", "n1", ""),
    asks("patch", "pods", "x", sub="status"),
    asks("delete", "pods", "x"), asks("create", "events"), asks("create", "pods", "x", sub="eviction"),
    asks("update", "leases", "n1", "kube-node-lease", group="coordination.k8s.io"),
    asks("create", "tokenreviews", namespace="", group="authentication.k8s.io"),
]


@pytest.mark.parametrize("asked", ALWAYS, ids=lambda a: f"{a.verb} {a.combined_resource} {a.name}")
def test_what_every_kubelet_needs(objects, asked):
    assert NodeAuthorizer(objects).authorize(asked).allowed


@pytest.mark.parametrize("user", [UserInfo("system:node:n1"), UserInfo("n1", groups=("system:nodes",)),
                                  UserInfo("system:node:", groups=("system:nodes",))])
def test_who_is_no_kubelet(objects, user):
    assert not NodeAuthorizer(objects).authorize(asks("create", "events", user=user)).allowed


def test_two_pods_hold_one_secret(objects):
    authorizer, other = NodeAuthorizer(objects), POD | {"metadata": POD["metadata"] | {"name": "web-2"}}
    for pod in (POD, other):
        objects.put(PODS, pod)
    objects.drop(PODS, POD)
    assert authorizer.authorize(asks("get", "secrets", "vol")).allowed
    objects.drop(PODS, other)
    assert not authorizer.authorize(asks("get", "secrets", "vol")).allowed


def test_a_mirror_pod_opens_no_door(objects):
    objects.put(PODS, POD | {"metadata": POD["metadata"] | {"annotations": {"kubernetes.io/config.mirror": "x"}}})
    assert not NodeAuthorizer(objects).authorize(asks("get", "secrets", "vol")).allowed
