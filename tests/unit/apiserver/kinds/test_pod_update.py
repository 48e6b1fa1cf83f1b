"""What may change in a Pod, and how it goes."""

import copy

import pytest

from sampan.api.resources import PODS
from sampan.apiserver.kinds.registry import kind_of

KIND = kind_of(PODS)
OLD = {
    "metadata": {"name": "web", "namespace": "default", "uid": "1", "creationTimestamp": "2026-11-22T14:00:00Z",
                 "generation": 1, "resourceVersion": "5"},
    "spec": {"containers": [{"name": "c", "image": "nginx:1"}], "nodeName": "n1",
             "tolerations": [{"key": "a", "operator": "Exists"}]},
    "status": {"phase": "Running", "qosClass": "BestEffort"},
}
KIND.default(OLD)
REFUSED = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`," \
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing " \
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"


def updated(change, ctx, subresource="", old=OLD):
    before = copy.deepcopy(old)
    new = copy.deepcopy(old)
    change(new)
    KIND.default(new)
    KIND.prepare_for_update(new, old, ctx, subresource)
    assert old == before, "the old object is never changed"
    return new, [str(error) for error in KIND.validate_update(new, old, subresource)]


def setting(path, value):
    def change(pod):
        at = pod
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
    return change


IMAGE = ("spec", "containers", 0, "image")
ALLOWED = [
    setting(IMAGE, "nginx:2"), setting(("metadata", "labels"), {"a": "b"}),
    setting(("spec", "activeDeadlineSeconds"), 5),
    setting(("spec", "tolerations"), [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]),
]
FORBIDDEN = [
    (setting(("spec", "nodeName"), "n2"), REFUSED), (setting(("spec", "restartPolicy"), "Never"), REFUSED),
    (setting(("spec", "containers", 0, "command"), ["sh"]), REFUSED),
    (setting(("spec", "serviceAccountName"), "x"), REFUSED),
    (setting(("spec", "containers"), []), "spec.containers: Forbidden: pod updates may not add or remove containers"),
    (setting(("spec", "tolerations"), []), "spec.tolerations: Forbidden: existing toleration can not be modified"),
    (setting(("spec", "schedulingGates"), [{"name": "g"}]), "only deletion is allowed, but found new scheduling gates"),
    (setting(("spec", "ephemeralContainers"), [{"name": "e", "image": "x"}]), REFUSED),
    (setting(("metadata", "uid"), "2"), 'metadata.uid: Invalid value: "2": field is immutable'),
]


@pytest.mark.parametrize("change", ALLOWED)
def test_allowed(change, ctx):
    assert updated(change, ctx)[1] == []


@pytest.mark.parametrize("change,expected", FORBIDDEN)
def test_forbidden(change, expected, ctx):
    assert any(expected in text for text in updated(change, ctx)[1])


def test_the_refusal_shows_what_differs(ctx):
    text = updated(setting(("spec", "nodeName"), "n2"), ctx)[1][0]
    assert "- spec.nodeName: 'n1'\n+ spec.nodeName: 'n2'" in text


def test_the_main_endpoint_keeps_the_status_and_counts_generations(ctx):
    def change(pod):
        pod["status"] = {"phase": "Failed"}
        pod["spec"]["containers"][0]["image"] = "nginx:2"

    new, _ = updated(change, ctx)
    assert (new["status"], new["metadata"]["generation"]) == (OLD["status"], 2)
    assert updated(setting(("metadata", "labels"), {"a": "b"}), ctx)[0]["metadata"]["generation"] == 1


def test_the_status_endpoint_keeps_the_spec(ctx):
    def change(pod):
        pod["status"] = {"phase": "Failed"}
        pod["spec"]["nodeName"] = "n2"
        pod["metadata"]["ownerReferences"] = [{"uid": "x"}]

    new, errors = updated(change, ctx, "status")
    assert errors == []
    assert (new["spec"], new["status"]) == (OLD["spec"], {"phase": "Failed", "qosClass": "BestEffort"})
    assert "ownerReferences" not in new["metadata"]


def test_the_qos_class_stays(ctx):
    _, errors = updated(setting(("status", "qosClass"), "Guaranteed"), ctx, "status")
    assert errors == ['status.qosClass: Invalid value: "Guaranteed": field is immutable']


def test_ephemeral_containers_come_and_stay(ctx):
    def add(pod):
        pod["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox", "targetContainerName": "c"}]
        pod["spec"]["nodeName"] = "ignored"

    new, errors = updated(add, ctx, "ephemeralcontainers")
    assert errors == [] and new["spec"]["nodeName"] == "n1" and new["metadata"]["generation"] == 2
    _, errors = updated(lambda pod: pod["spec"].pop("ephemeralContainers"), ctx, "ephemeralcontainers", new)
    assert errors == ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed\n']


@pytest.mark.parametrize("container,expected", [
    ({"name": "c", "image": "x"}, 'ephemeralContainers[0].name: Duplicate value: "c"'),
    ({"name": "e", "image": "x", "targetContainerName": "z"}, 'targetContainerName: Not found: "z"'),
    ({"name": "e", "image": "x", "ports": [{"containerPort": 1}]}, "ports: Forbidden: cannot be set for an Ephemeral"),
    ({"name": "e", "image": "x", "resources": {"limits": {"cpu": "1"}}}, "resources: Forbidden: cannot be set for an"),
])
def test_what_an_ephemeral_container_may_not_be(container, expected, ctx):
    _, errors = updated(setting(("spec", "ephemeralContainers"), [container]), ctx, "ephemeralcontainers")
    assert any(expected in text for text in errors), errors


def test_resize_takes_only_resources(ctx):
    old = copy.deepcopy(OLD)
    old["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}

    def change(pod):
        pod["spec"]["containers"][0] |= {"resources": {"requests": {"cpu": "2"}}, "image": "ignored"}

    new, errors = updated(change, ctx, "resize", old)
    assert errors == []
    assert new["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "2"}}
    assert new["spec"]["containers"][0]["image"] == "nginx:1"
    _, errors = updated(setting(("spec", "containers", 0, "resources"), {}), ctx, "resize", old)
    assert "Pod QOS Class may not change as a result of resizing" in errors[0]


def test_creation_sets_aside_the_status(ctx):
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [], "schedulingGates": [{"name": "g"}]},
           "status": {"phase": "Running"}}
    KIND.prepare_for_create(pod, ctx)
    condition = pod["status"].pop("conditions")[0]
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"} and pod["metadata"]["generation"] == 1
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")


@pytest.mark.parametrize("spec,phase,options,seconds", [
    ({"nodeName": "n", "terminationGracePeriodSeconds": 30}, "Running", {}, 30),
    ({"nodeName": "n", "terminationGracePeriodSeconds": 30}, "Running", {"gracePeriodSeconds": 5}, 5),
    ({"nodeName": "n", "terminationGracePeriodSeconds": 30}, "Running", {"gracePeriodSeconds": 0}, 0),
    ({"nodeName": "n", "terminationGracePeriodSeconds": -3}, "Running", {}, 1),
    ({"terminationGracePeriodSeconds": 30}, "Pending", {}, 0),
    ({"nodeName": "n", "terminationGracePeriodSeconds": 30}, "Succeeded", {}, 0),
    ({"nodeName": "n", "terminationGracePeriodSeconds": 30}, "Failed", {"gracePeriodSeconds": 9}, 0),
])
def test_how_long_a_pod_lives_on(spec, phase, options, seconds, now):
    assert KIND.graceful({"metadata": {}, "spec": spec, "status": {"phase": phase}}, options, now) == seconds


def test_selectable_fields():
    fields = KIND.selectable_fields(OLD | {"status": {"phase": "Running", "podIP": "1.2.3.4"}})
    assert fields == {
        "metadata.name": "web", "metadata.namespace": "default", "spec.nodeName": "n1", "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler", "spec.serviceAccountName": "", "spec.hostNetwork": "false",
        "status.phase": "Running", "status.podIP": "1.2.3.4", "status.nominatedNodeName": ""}


def test_a_variable_set_twice_is_warned_of():
    pod = {"spec": {"containers": [{"env": [{"name": "A"}, {"name": "A"}]}]}}
    assert KIND.warnings(pod, None) == ['spec.containers[0].env[1]: hides previous definition of "A", which may be '
                                        "dropped when using apply"]
