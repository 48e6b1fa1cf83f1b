"""Deployment and ReplicaSet."""

import copy

import pytest

from sampan.api.resources import DEPLOYMENTS, REPLICASETS
from sampan.apiserver.kinds.registry import kind_of

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


def made(resource, **spec):
    obj = {"metadata": {"name": "web", "namespace": "default"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}}, "template": copy.deepcopy(TEMPLATE), **spec}}
    kind_of(resource).default(obj)
    return obj


def errors(resource, **spec):
    return [str(e) for e in kind_of(resource).validate(made(resource, **spec))]


def test_defaults_of_a_deployment():
    spec = made(DEPLOYMENTS)["spec"]
    assert {k: v for k, v in spec.items() if k not in ("template", "selector")} == {
        "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}}
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert made(DEPLOYMENTS, replicas=0)["spec"]["replicas"] == 0
    assert made(DEPLOYMENTS, strategy={"type": "Recreate"})["spec"]["strategy"] == {"type": "Recreate"}


BOTH = {
    "replicas": ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    "no selector": ({"selector": None}, "spec.selector: Required value"),
    "mismatch": ({"selector": {"matchLabels": {"app": "db"}}}, 'spec.template.metadata.labels: Invalid value: '
                 '{"app":"web"}: `selector` does not match template `labels`'),
    "bad operator": ({"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
                     "spec.selector.matchExpressions[0].operator: Invalid value: \"Near\": not a valid selector"),
    "restart policy": ({"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
                       'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'),
    "deadline": ({"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "activeDeadlineSeconds": 3}}},
                 "activeDeadlineSeconds in ReplicaSet is not Supported"),
    "no containers": ({"template": {"metadata": TEMPLATE["metadata"], "spec": {"containers": []}}},
                      "spec.template.spec.containers: Required value"),
}


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS], ids=lambda r: r.kind)
@pytest.mark.parametrize("spec,expected", BOTH.values(), ids=BOTH.keys())
def test_mistakes_in_both(resource, spec, expected):
    found = errors(resource, **copy.deepcopy(spec))
    assert any(expected in text for text in found), found


def test_an_empty_selector_is_named_after_the_kind():
    text = "spec.selector: Invalid value: {}: empty selector is invalid for deployment"
    assert text in errors(DEPLOYMENTS, selector={})


STRATEGIES = [
    ({"type": "Recreate", "rollingUpdate": {}}, "may not be specified when strategy `type` is 'Recreate'"),
    ({"type": "X"}, 'spec.strategy.type: Unsupported value: "X": supported values: "Recreate", "RollingUpdate"'),
    ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}, "maxUnavailable: Invalid value: 0: may not be 0 when "
     "`maxSurge` is 0"),
    ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}, "may not be 0 when `maxSurge` is 0"),
    ({"rollingUpdate": {"maxUnavailable": "101%"}}, "must not be greater than 100%"),
    ({"rollingUpdate": {"maxSurge": "many"}}, 'maxSurge: Invalid value: "many": a valid percent string must be'),
    ({"rollingUpdate": {"maxSurge": -1}}, "maxSurge: Invalid value: -1: must be greater than or equal to 0"),
]


@pytest.mark.parametrize("strategy,expected", STRATEGIES)
def test_strategies(strategy, expected):
    found = errors(DEPLOYMENTS, strategy=strategy)
    assert any(expected in text for text in found), found


def test_the_progress_deadline_is_longer_than_ready():
    assert errors(DEPLOYMENTS, progressDeadlineSeconds=5, minReadySeconds=5) == [
        "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"]


def test_good_ones():
    assert errors(DEPLOYMENTS) == [] and errors(REPLICASETS) == []


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS], ids=lambda r: r.kind)
def test_updates(resource, ctx):
    kind = kind_of(resource)
    old = made(resource) | {"status": {"replicas": 3}}
    old["metadata"]["generation"] = 4
    new = copy.deepcopy(old) | {"status": {"replicas": 9}}
    kind.prepare_for_update(new, old, ctx)
    assert (new["metadata"]["generation"], new["status"]) == (4, {"replicas": 3})
    new["spec"]["replicas"] = 7
    kind.prepare_for_update(new, old, ctx)
    assert new["metadata"]["generation"] == 5
    status = copy.deepcopy(old) | {"status": {"replicas": 9}}
    status["spec"]["replicas"] = 1000
    kind.prepare_for_update(status, old, ctx, "status")
    assert (status["spec"], status["status"], status["metadata"]["generation"]) == (old["spec"], {"replicas": 9}, 4)


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS], ids=lambda r: r.kind)
def test_the_selector_stays(resource):
    new = made(resource, selector={"matchLabels": {"app": "web", "x": "y"}})
    new["spec"]["template"]["metadata"]["labels"] = {"app": "web", "x": "y"}
    texts = [str(e) for e in kind_of(resource).validate_update(new, made(resource))]
    assert texts == ['spec.selector: Invalid value: {"matchLabels":{"app":"web","x":"y"}}: field is immutable']


def test_annotations_count_as_a_new_generation_of_a_deployment(ctx):
    old = made(DEPLOYMENTS)
    old["metadata"]["generation"] = 1
    new = copy.deepcopy(old)
    new["metadata"]["annotations"] = {"kubernetes.io/change-cause": "x"}
    kind_of(DEPLOYMENTS).prepare_for_update(new, old, ctx)
    assert new["metadata"]["generation"] == 2


def test_status_counts_must_fit():
    new = made(DEPLOYMENTS) | {"status": {"replicas": 1, "readyReplicas": 2}}
    assert [str(e) for e in kind_of(DEPLOYMENTS).validate_update(new, made(DEPLOYMENTS), "status")] == [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]


def test_rows(now):
    status = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}
    deployment = made(DEPLOYMENTS, replicas=3) | {"status": status}
    deployment["metadata"]["creationTimestamp"] = "2026-11-22T14:59:00Z"
    assert kind_of(DEPLOYMENTS).row(deployment, now) == ["web", "2/3", 1, 2, "60s", "c", "nginx", "app=web"]
    deployment["kind"] = "ReplicaSet"
    assert kind_of(REPLICASETS).row(deployment, now) == ["web", 3, 3, 2, "60s", "c", "nginx", "app=web"]
    assert kind_of(REPLICASETS).selectable_fields(deployment)["status.replicas"] == "3"
