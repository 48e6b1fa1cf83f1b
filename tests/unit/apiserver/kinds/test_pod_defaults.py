"""What a Pod means by what it leaves out."""

import copy

import pytest

from sampan.api.resources import PODS
from sampan.apiserver.kinds.pod.defaults import default_spec, pull_policy
from sampan.apiserver.kinds.pod.qos import qos_class
from sampan.apiserver.kinds.registry import kind_of


def pod(container=None, **spec):
    return {"metadata": {"name": "web", "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "nginx:1.27", **(container or {})}], **spec}}


def defaulted(container=None, **spec):
    made = pod(container, **spec)
    kind_of(PODS).default(made)
    return made["spec"]


def test_the_smallest_pod():
    assert defaulted() == {
        "containers": [{"name": "c", "image": "nginx:1.27", "imagePullPolicy": "IfNotPresent", "resources": {},
                        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
        "dnsPolicy": "ClusterFirst", "enableServiceLinks": True, "restartPolicy": "Always",
        "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 30}


def test_defaulting_twice_changes_nothing():
    once = pod({"ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}},
                "resources": {"limits": {"cpu": "0.5"}}}, volumes=[{"name": "v"}], hostNetwork=True)
    kind_of(PODS).default(once)
    twice = copy.deepcopy(once)
    kind_of(PODS).default(twice)
    assert once == twice


def test_what_the_user_said_stays():
    spec = defaulted({"imagePullPolicy": "Never"}, restartPolicy="Never", enableServiceLinks=False,
                     terminationGracePeriodSeconds=0)
    assert (spec["restartPolicy"], spec["enableServiceLinks"], spec["terminationGracePeriodSeconds"],
            spec["containers"][0]["imagePullPolicy"]) == ("Never", False, 0, "Never")


@pytest.mark.parametrize("image,policy", [
    ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.27", "IfNotPresent"), ("a.b:5000/nginx", "Always"),
    ("a.b:5000/nginx:2", "IfNotPresent"), ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ("nginx:1@sha256:" + "0" * 64, "IfNotPresent"), ("", "Always"),
])
def test_pull_policy_follows_the_tag(image, policy):
    assert pull_policy(image) == policy


CONTAINER = [
    ({"ports": [{"containerPort": 80}]}, "ports", [{"containerPort": 80, "protocol": "TCP"}]),
    ({"livenessProbe": {"httpGet": {"port": 80}}}, "livenessProbe", {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
        "successThreshold": 1, "failureThreshold": 3}),
    ({"readinessProbe": {"grpc": {"port": 1}}}, "readinessProbe", {
        "grpc": {"port": 1, "service": ""}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1,
        "failureThreshold": 3}),
    ({"lifecycle": {"preStop": {"httpGet": {"port": 1}}}}, "lifecycle", {
        "preStop": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}}}),
    ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, "env", [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}]),
    ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}, "env", [
        {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}]),
    ({"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": "100m"}}}, "resources", {
        "limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}}),
]


@pytest.mark.parametrize("given,field,expected", CONTAINER, ids=[field for _, field, _ in CONTAINER])
def test_containers(given, field, expected):
    assert defaulted(given)["containers"][0][field] == expected


VOLUMES = [
    ({}, {"emptyDir": {}}), ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
    ({"configMap": {"name": "c"}}, {"configMap": {"name": "c", "defaultMode": 420}}),
    ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
    ({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
     {"projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {
         "path": "token", "expirationSeconds": 3600}}]}}),
    ({"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
     {"downwardAPI": {"defaultMode": 420, "items": [{"path": "a", "fieldRef": {
         "fieldPath": "metadata.labels", "apiVersion": "v1"}}]}}),
]


@pytest.mark.parametrize("given,expected", VOLUMES, ids=[next(iter(e)) for _, e in VOLUMES])
def test_volumes(given, expected):
    assert defaulted(volumes=[{"name": "v", **given}])["volumes"] == [{"name": "v", **expected}]


def test_host_network_publishes_the_container_ports():
    spec = defaulted({"ports": [{"containerPort": 80}]}, hostNetwork=True)
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80


def test_a_template_keeps_what_only_pods_have():
    spec = {"containers": [{"name": "c", "image": "x:1", "resources": {"limits": {"cpu": "1"}}}]}
    default_spec(spec)
    assert "enableServiceLinks" not in spec
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


def test_the_old_name_of_the_service_account():
    for key in ("serviceAccount", "serviceAccountName"):
        spec = defaulted(**{key: "robot"})
        assert (spec["serviceAccount"], spec["serviceAccountName"]) == ("robot", "robot")


SAME = {"cpu": "1", "memory": "1Gi"}
QOS = [
    ([{}], "BestEffort"), ([{"limits": SAME, "requests": SAME}], "Guaranteed"), ([{"requests": SAME}], "Burstable"),
    ([{"limits": SAME, "requests": SAME}, {}], "Burstable"),
    ([{"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}], "Burstable"),
    ([{"limits": SAME, "requests": {"cpu": "1000m", "memory": "1024Mi"}}], "Guaranteed"),
    ([{"limits": SAME, "requests": {"cpu": "500m", "memory": "1Gi"}}], "Burstable"),
    ([{"limits": {"example.com/gpu": "1"}, "requests": {"example.com/gpu": "1"}}], "BestEffort"),
    ([{"requests": {"cpu": "0"}}], "BestEffort"),
]


@pytest.mark.parametrize("resources,expected", QOS)
def test_qos_class(resources, expected):
    assert qos_class({"spec": {"containers": [{"resources": each} for each in resources]}}) == expected
