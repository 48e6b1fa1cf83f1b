"""Small words about objects, times, and the stored form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sampan.api import clock, encoding, meta

NOW = datetime(2026, 11, 22, 15, 0, 0, 123456, tzinfo=UTC)
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "uid": "u1", "namespace": "d"}}


def test_words():
    assert meta.key(OWNER) == "d/web" and meta.key({"metadata": {"name": "n"}}) == "n"
    assert meta.split_key("d/web") == ("d", "web") and meta.split_key("n") == ("", "n")
    assert meta.name({}) == "" and meta.labels({"metadata": {"labels": None}}) == {}
    child = {"metadata": {"ownerReferences": [meta.owner_reference(OWNER)]}}
    assert meta.controller_of(child) == {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u1",
                                         "controller": True, "blockOwnerDeletion": True}
    assert meta.controller_of({"metadata": {"ownerReferences": [meta.owner_reference(OWNER, False)]}}) is None
    assert meta.is_deleted({"metadata": {"deletionTimestamp": "x"}}) and not meta.is_deleted(OWNER)


def test_conditions_move_their_transition_time_only_with_the_status():
    conditions = []
    assert meta.set_condition(conditions, {"type": "Ready", "status": "True", "reason": "A"}, NOW)
    assert not meta.set_condition(conditions, {"type": "Ready", "status": "True", "reason": "A"}, NOW)
    later = NOW + timedelta(hours=1)
    assert meta.set_condition(conditions, {"type": "Ready", "status": "True", "reason": "B"}, later)
    assert conditions[0]["lastTransitionTime"] == "2026-11-22T15:00:00Z"
    assert meta.set_condition(conditions, {"type": "Ready", "status": "False", "reason": "B"}, later)
    assert conditions == [{"type": "Ready", "status": "False", "reason": "B",
                           "lastTransitionTime": "2026-11-22T16:00:00Z"}]
    assert not meta.is_true({"status": {"conditions": conditions}}, "Ready")


def test_clock():
    assert clock.rfc3339(NOW) == "2026-11-22T15:00:00Z"
    assert clock.rfc3339_micro(NOW) == "2026-11-22T15:00:00.123456Z"
    assert clock.parse("2026-11-22T16:00:00.123456+01:00") == NOW
    assert clock.rfc3339(NOW.astimezone(timezone(timedelta(hours=5)))) == "2026-11-22T15:00:00Z"
    assert clock.parse("2026-11-22T15:00:00.123456789Z") == NOW
    for text in ("2026-11-22T15:00:00", "2026-11-22", "20261122T150000Z", "2026-11-22 15:00:00Z", "",
                 "2026-13-22T15:00:00Z"):
        with pytest.raises(ValueError, match=r"RFC 3339|month"):
            clock.parse(text)


@pytest.mark.parametrize("obj", [
    {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x", "resourceVersion": "7"}, "spec": {}},
    {"metadata": {}, "kind": "Pod"},
])
def test_the_stored_form_takes_a_revision_without_decoding(obj):
    before = dict(obj["metadata"])
    stored = encoding.to_stored(obj)
    assert stored.startswith(b'{"metadata":{') and b"resourceVersion" not in stored
    assert obj["metadata"] == before
    again = encoding.from_stored(stored, 42)
    assert again["metadata"]["resourceVersion"] == "42"
    assert encoding.from_stored(encoding.to_stored(again), 42) == again
    assert encoding.orjson.loads(encoding.with_revision(stored, 42)) == again
