"""Who owns which fields after creates and updates."""

import copy
from datetime import UTC, datetime, timedelta

from sampan.api import ownership, schema
from sampan.api.apply import track_update

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DEPLOYMENT = schema.type_for("apps/v1", "Deployment")


def deployment(**spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "labels": {"app": "web"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx", "resources": {},
                                         "ports": [{"containerPort": 80}]}]}}} | spec}


def entries(obj):
    return {(e["manager"], e["operation"], e.get("subresource", "")): e
            for e in obj["metadata"].get("managedFields", [])}


def created(**spec):
    return track_update(None, deployment(**spec), DEPLOYMENT, "kubectl-create", NOW)


def test_a_create_owns_what_it_says_in_upstream_s_form():
    obj = created(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})
    assert obj["metadata"]["managedFields"] == [{
        "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-11-22T15:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {}, "f:selector": {},
                "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:containers": {'k:{"name":"web"}': {
                        ".": {}, "f:name": {}, "f:image": {}, "f:resources": {},
                        "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {
                            ".": {}, "f:containerPort": {}}}}}}}}}}]


def test_inputs_stay_as_they_are():
    new = deployment()
    before = copy.deepcopy(new)
    track_update(None, new, DEPLOYMENT, "m", NOW)
    assert new == before


def test_a_write_that_changes_nothing_changes_no_entry():
    obj = created()
    assert track_update(obj, copy.deepcopy(obj), DEPLOYMENT, "other", LATER) == obj
    forgot = copy.deepcopy(obj)
    del forgot["metadata"]["managedFields"]
    assert track_update(obj, forgot, DEPLOYMENT, "other", LATER) == obj


def test_a_change_moves_ownership():
    obj = created()
    new = copy.deepcopy(obj)
    new["spec"]["replicas"] = 3
    new = track_update(obj, new, DEPLOYMENT, "scaler", LATER)
    assert entries(new)["scaler", "Update", ""]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert entries(new)["scaler", "Update", ""]["time"] == "2026-11-22T15:01:00Z"
    first = entries(new)["kubectl-create", "Update", ""]
    assert "f:replicas" not in first["fieldsV1"]["f:spec"] and first["time"] == "2026-11-22T15:00:00Z"


def test_a_second_change_by_the_same_writer_joins_its_entry():
    obj = created()
    new = copy.deepcopy(obj)
    new["spec"]["paused"] = True
    new = track_update(obj, new, DEPLOYMENT, "kubectl-create", LATER)
    assert len(new["metadata"]["managedFields"]) == 1
    entry = new["metadata"]["managedFields"][0]
    assert entry["time"] == "2026-11-22T15:01:00Z"
    assert {"f:paused", "f:replicas"} <= set(entry["fieldsV1"]["f:spec"])


def test_removed_fields_belong_to_nobody():
    obj = created()
    new = copy.deepcopy(obj)
    del new["spec"]["replicas"]
    del new["metadata"]["labels"]
    new = track_update(obj, new, DEPLOYMENT, "other", LATER)
    assert list(entries(new)) == [("kubectl-create", "Update", "")]
    fields = entries(new)["kubectl-create", "Update", ""]["fieldsV1"]
    assert "f:metadata" not in fields and "f:replicas" not in fields["f:spec"]


def test_status_is_owned_through_its_subresource_only():
    obj = track_update(None, deployment() | {"status": {"replicas": 1}}, DEPLOYMENT, "m", NOW)
    assert "f:status" not in entries(obj)["m", "Update", ""]["fieldsV1"]
    new = copy.deepcopy(obj)
    new["status"] = {"replicas": 2, "conditions": [{"type": "Available", "status": "True"}]}
    new = track_update(obj, new, DEPLOYMENT, "controller", LATER, subresource="status")
    entry = entries(new)["controller", "Update", "status"]
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}, "f:conditions": {
        ".": {}, 'k:{"type":"Available"}': {".": {}, "f:type": {}, "f:status": {}}}}}


def test_resetting_forgets_all_owners():
    for reset in ([], [{}]):
        obj = created()
        new = copy.deepcopy(obj)
        new["metadata"]["managedFields"] = reset
        decoded, _ = schema.decode(new, DEPLOYMENT)
        new = track_update(obj, decoded, DEPLOYMENT, "m", LATER)
        assert "managedFields" not in new["metadata"]
        assert "managedFields" not in track_update(new, new | {"spec": {}}, DEPLOYMENT, "m", LATER)["metadata"]


def test_nonsense_entries_are_replaced_by_the_live_ones():
    obj = created()
    new = copy.deepcopy(obj)
    new["metadata"]["managedFields"][0]["operation"] = "Nope"
    assert track_update(obj, new, DEPLOYMENT, "m", LATER) == obj


def test_order_in_a_list_map_is_nobody_s():
    obj = created()
    two = copy.deepcopy(obj)
    two["spec"]["template"]["spec"]["containers"].append({"name": "b"})
    two = track_update(obj, two, DEPLOYMENT, "m", NOW)
    turned = copy.deepcopy(two)
    turned["spec"]["template"]["spec"]["containers"].reverse()
    assert track_update(two, turned, DEPLOYMENT, "x", LATER)["metadata"] == two["metadata"]


def test_the_oldest_of_more_than_ten_updates_become_one():
    obj = created()
    for number in range(14):
        new = copy.deepcopy(obj)
        new["metadata"]["labels"][f"l{number}"] = "x"
        obj = track_update(obj, new, DEPLOYMENT, f"m{number:02}", NOW + timedelta(seconds=number + 1))
    found = entries(obj)
    assert len(found) == ownership.MAX_UPDATERS
    ancient = found["ancient-changes", "Update", ""]
    assert "f:l0" in ancient["fieldsV1"]["f:metadata"]["f:labels"] and "f:spec" in ancient["fieldsV1"]
    assert ("m13", "Update", "") in found and ("m00", "Update", "") not in found
    assert [e["time"] for e in obj["metadata"]["managedFields"]] == sorted(
        e["time"] for e in obj["metadata"]["managedFields"])
