"""Server-side apply: merging, conflicts, taking away, sharing, and that applying twice is applying once."""

import copy
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.api import schema
from sampan.api.apply import LAST_APPLIED, apply_patch, track_update
from sampan.api.errors import ApiError, BadRequest, Conflict

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DEPLOYMENT = schema.type_for("apps/v1", "Deployment")
CONFIGMAP = schema.type_for("v1", "ConfigMap")
SERVICE = schema.type_for("v1", "Service")


def config_map(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}, "data": data}


def apply(live, config, manager="a", force=False, type=CONFIGMAP, now=NOW, **more):
    return apply_patch(live, config, type, manager, force, now, **more)


def owned(obj, manager):
    return next((e["fieldsV1"] for e in obj["metadata"].get("managedFields", []) if e["manager"] == manager), None)


def deployment(*containers, **spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"template": {"spec": {"containers": list(containers)}}} | spec}


def test_the_first_apply_creates():
    obj = apply(None, config_map(x="1"))
    assert obj["data"] == {"x": "1"}
    assert obj["metadata"]["managedFields"] == [{
        "manager": "a", "operation": "Apply", "apiVersion": "v1", "time": "2026-11-22T15:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}}]


def test_applying_the_same_again_changes_nothing():
    obj = apply(None, config_map(x="1"))
    assert apply(obj, config_map(x="1"), now=LATER) == obj


def test_what_is_no_longer_applied_goes():
    obj = apply(apply(None, config_map(x="1", y="2")), config_map(y="2"), now=LATER)
    assert obj["data"] == {"y": "2"}
    assert owned(obj, "a") == {"f:data": {"f:y": {}}}
    assert obj["metadata"]["managedFields"][0]["time"] == "2026-11-22T15:01:00Z"


def test_a_conflict_names_owner_and_field():
    live = track_update(None, deployment({"name": "web", "image": "x"}, replicas=1), DEPLOYMENT,
                        "kubectl-client-side-apply", NOW)
    with pytest.raises(Conflict) as refusal:
        apply(live, deployment(replicas=3), type=DEPLOYMENT)
    assert refusal.value.message == ('Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using '
                                     "apps/v1: .spec.replicas")
    assert refusal.value.reason == "Conflict" and refusal.value.code == 409
    assert refusal.value.causes == [{
        "reason": "FieldManagerConflict", "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
        "field": ".spec.replicas"}]


def test_several_conflicts():
    live = apply(apply(None, config_map(x="1")), config_map(y="1"), "b")
    with pytest.raises(Conflict) as refusal:
        apply(live, config_map(x="2", y="2"), "c")
    assert refusal.value.message == ('Apply failed with 2 conflicts: conflicts with "a":\n- .data.x\nconflicts with '
                                     '"b":\n- .data.y')


def test_force_takes_over():
    obj = apply(apply(None, config_map(x="1", y="1")), config_map(x="2"), "b", force=True)
    assert obj["data"] == {"x": "2", "y": "1"}
    assert owned(obj, "a") == {"f:data": {"f:y": {}}} and owned(obj, "b") == {"f:data": {"f:x": {}}}


def test_equal_values_are_shared_and_stay_until_the_last_owner_leaves():
    obj = apply(apply(None, config_map(x="1")), config_map(x="1"), "b")
    assert owned(obj, "a") == owned(obj, "b") == {"f:data": {"f:x": {}}}
    obj = apply(obj, config_map(), "a")
    assert obj["data"] == {"x": "1"} and owned(obj, "a") is None
    obj = apply(obj, config_map(), "b")
    assert "data" not in obj


def test_what_an_updater_owns_is_not_taken_away():
    obj = apply(None, config_map(x="1", y="1"))
    new = copy.deepcopy(obj)
    new["data"]["x"] = "2"
    obj = track_update(obj, new, CONFIGMAP, "edit", NOW)
    obj = apply(obj, config_map(y="1"))
    assert obj["data"] == {"x": "2", "y": "1"}


def test_list_maps_merge_by_key_and_defaults_are_part_of_keys():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    live = apply(None, service, type=SERVICE)
    assert owned(live, "a") == {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}
    live["spec"]["ports"][0] |= {"protocol": "TCP", "targetPort": 80, "nodePort": 30000}
    again = apply(live, service, type=SERVICE)
    assert again == live
    both = {**service, "spec": {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 80, "targetPort": 8080}]}}
    merged = apply(live, both, type=SERVICE)
    assert merged["spec"]["ports"] == [{"port": 443, "protocol": "TCP"},
                                       {"port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30000}]
    less = apply(merged, {**service, "spec": {"ports": [{"port": 443}]}}, type=SERVICE)
    assert less["spec"]["ports"] == [{"port": 443}]  # the protocol was applied, and is not now: defaulting's turn


def test_containers_of_two_appliers():
    live = apply(None, deployment({"name": "web", "image": "x"}), type=DEPLOYMENT)
    live = apply(live, deployment({"name": "side", "image": "y"}), "b", type=DEPLOYMENT)
    assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == ["web", "side"]
    live = apply(live, deployment({"name": "web", "env": [{"name": "A", "value": "1"}]}), type=DEPLOYMENT)
    assert live["spec"]["template"]["spec"]["containers"] == [
        {"name": "web", "env": [{"name": "A", "value": "1"}]}, {"name": "side", "image": "y"}]


def test_atomic_values_are_replaced_and_owned_as_one():
    one = deployment(selector={"matchLabels": {"a": "1"}})
    live = apply(None, one, type=DEPLOYMENT)
    assert owned(live, "a")["f:spec"]["f:selector"] == {}
    with pytest.raises(Conflict, match=r"\.spec\.selector$"):
        apply(live, deployment(selector={"matchLabels": {"b": "1"}}), "b", type=DEPLOYMENT)


def test_quantities_are_compared_in_canonical_form():
    def limited(cpu):
        return deployment({"name": "web", "resources": {"limits": {"cpu": cpu}}})
    live = apply(None, limited("500m"), type=DEPLOYMENT)
    live = apply(live, limited(0.5), "b", type=DEPLOYMENT)
    assert owned(live, "a") == owned(live, "b")


def test_status_is_not_applied_through_the_object_nor_the_spec_through_the_status():
    config = deployment(replicas=1) | {"status": {"replicas": 1}}
    assert "f:status" not in owned(apply(None, config, type=DEPLOYMENT), "a")
    live = apply(None, deployment(replicas=1), type=DEPLOYMENT)
    obj = apply(live, config, "c", type=DEPLOYMENT, subresource="status")
    assert owned(obj, "c") == {"f:status": {"f:replicas": {}}}


def test_an_object_without_owners_belongs_to_before_first_apply():
    with pytest.raises(Conflict, match='"before-first-apply" using v1: .data.x'):
        apply(config_map(x="1"), config_map(x="2"))
    obj = apply(config_map(x="1"), config_map(y="2"))
    assert owned(obj, "before-first-apply") == {"f:data": {".": {}, "f:x": {}}}


def test_kubectl_moves_from_client_side_apply():
    old = config_map(x="1")
    old["metadata"]["annotations"] = {LAST_APPLIED: orjson.dumps(config_map(x="1")).decode()}
    live = track_update(None, old, CONFIGMAP, "kubectl-client-side-apply", NOW)
    obj = apply(live, config_map(x="2"), "kubectl")
    assert obj["data"] == {"x": "2"}
    assert orjson.loads(obj["metadata"]["annotations"][LAST_APPLIED])["data"] == {"x": "2"}
    with pytest.raises(Conflict):
        apply(live, config_map(x="2"), "other")


@pytest.mark.parametrize(("spec", "message"), [
    ({"foo": 1}, ".spec.foo: field not declared in schema"),
    ({"replicas": "x"}, ".spec.replicas: expected numeric (int or float), got string"),
    ({"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}},
     '.spec.template.spec.containers: duplicate entries for key [name="a"]'),
    ({"template": {"spec": {"containers": [{"name": "a", "bar": 1}]}}},
     '.spec.template.spec.containers[name="a"].bar: field not declared in schema'),
])
def test_configurations_that_do_not_fit(spec, message):
    with pytest.raises(ApiError) as refusal:
        apply(None, deployment(**spec), type=DEPLOYMENT)
    assert refusal.value.message == ("failed to create typed patch object (default/web; apps/v1, Kind=Deployment): "
                                     + message)
    assert refusal.value.code == 500


def test_refusals():
    with pytest.raises(BadRequest, match="metadata.managedFields must be nil"):
        apply(None, config_map() | {"metadata": {"managedFields": []}})
    with pytest.raises(BadRequest, match="Incorrect version specified in apply patch"):
        apply(config_map(), config_map() | {"apiVersion": "v2"})
    with pytest.raises(BadRequest, match="'Kind' is missing"):
        apply(None, {"apiVersion": "v1"})


_CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={
        "image": st.sampled_from("xy"), "env": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("AB"), "value": st.sampled_from("12")}),
            unique_by=lambda e: e["name"], max_size=2)}),
    unique_by=lambda c: c["name"], min_size=1, max_size=3)
_CONFIGS = st.builds(lambda containers, labels: deployment(*containers) | {
    "metadata": {"name": "web", "namespace": "default", "labels": labels}},
    _CONTAINERS, st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")))


@given(st.lists(st.tuples(st.sampled_from("mn"), _CONFIGS), max_size=4), st.sampled_from("mn"), _CONFIGS)
def test_applying_twice_is_applying_once(history, manager, config):
    live = None
    for who, what in history:
        live = apply(live, what, who, force=True, type=DEPLOYMENT)
    before = copy.deepcopy((live, config))
    once = apply(live, config, manager, force=True, type=DEPLOYMENT)
    assert (live, config) == before
    assert apply(once, config, manager, force=False, type=DEPLOYMENT, now=LATER) == once
    labels = once["metadata"].get("labels", {})
    assert config["metadata"]["labels"].items() <= labels.items()


@given(_CONFIGS, _CONFIGS)
def test_a_lone_applier_s_object_is_its_configuration(first, second):
    def decoded(config):
        return schema.decode(copy.deepcopy(config), DEPLOYMENT)[0]
    live = apply(apply(None, first, type=DEPLOYMENT), second, type=DEPLOYMENT)
    assert sorted(live["spec"]["template"]["spec"]["containers"], key=lambda c: c["name"]) == sorted(
        decoded(second)["spec"]["template"]["spec"]["containers"], key=lambda c: c["name"])
    assert live["metadata"].get("labels", {}) == second["metadata"]["labels"]
