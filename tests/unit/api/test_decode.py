"""Bodies become objects: what is dropped, what is made canonical, what is refused and in which words."""

import orjson
import pytest

from sampan.api import body, schema
from sampan.api.errors import BadRequest

DEPLOYMENT = schema.type_for("apps/v1", "Deployment")
POD = schema.type_for("v1", "Pod")


def pod(**container):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "c"} | container]}}


def test_nulls_and_empty_collections_go_but_empty_structs_stay():
    body = pod(resources={}, args=[], env=None) | {"status": None}
    body["metadata"] |= {"labels": {}, "creationTimestamp": None}
    body["spec"] |= {"volumes": [{"name": "v", "emptyDir": {}}], "hostNetwork": False}
    obj, warnings = schema.decode(body, POD)
    assert warnings == []
    assert obj == pod(resources={}) | {"spec": {"containers": [{"name": "c", "resources": {}}], "hostNetwork": False,
                                                "volumes": [{"name": "v", "emptyDir": {}}]}}
    assert schema.decode({"spec": {"containers": []}}, POD)[0] == {"spec": {"containers": []}}


def test_quantities_and_times_become_canonical():
    body = pod(resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": 1}})
    body["metadata"]["creationTimestamp"] = "2026-11-22T16:00:00.5+01:00"
    obj, _ = schema.decode(body, POD)
    assert obj["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m", "memory": "1Gi"},
                                                         "requests": {"cpu": "1"}}
    assert obj["metadata"]["creationTimestamp"] == "2026-11-22T15:00:00Z"
    lease, _ = schema.decode({"spec": {"renewTime": "2026-11-22T15:00:00Z"}},
                             schema.type_for("coordination.k8s.io/v1", "Lease"))
    assert lease["spec"]["renewTime"] == "2026-11-22T15:00:00.000000Z"


def test_unknown_fields():
    def body():
        return {"apiVersion": "apps/v1", "kind": "Deployment", "foo": 1, "spec": {
            "bar": 2, "template": {"spec": {"containers": [{"name": "c"}, {"name": "d", "imag": "e"}]}}}}
    mistakes = ['unknown field "foo"', 'unknown field "spec.bar"',
                'unknown field "spec.template.spec.containers[1].imag"']
    obj, warnings = schema.decode(body(), DEPLOYMENT)
    assert warnings == mistakes and "foo" not in obj and "bar" not in obj["spec"]
    assert schema.decode(body(), DEPLOYMENT, field_validation=schema.IGNORE) == (obj, [])
    with pytest.raises(BadRequest) as refusal:
        schema.decode(body(), DEPLOYMENT, field_validation=schema.STRICT)
    assert refusal.value.message == ('Deployment in version "v1" cannot be handled as a Deployment: strict decoding '
                                     "error: " + ", ".join(mistakes))


@pytest.mark.parametrize(("type", "body", "message"), [
    (DEPLOYMENT, {"spec": {"replicas": "3"}},
     "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
    (DEPLOYMENT, {"spec": {"replicas": 1.5}},
     "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
    (DEPLOYMENT, {"spec": {"replicas": 3000000000}},
     "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"),
    (DEPLOYMENT, {"spec": {"paused": "yes"}},
     "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool"),
    (DEPLOYMENT, {"spec": []},
     "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
    (POD, {"metadata": {"labels": {"a": 1}}},
     "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
    (POD, pod(env=[{"name": "A", "value": 1}]),
     "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string"),
    (POD, {"spec": {"containers": {}}},
     "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
    (POD, {"metadata": "x"}, "json: cannot unmarshal string into Go struct field Pod.metadata of type v1.ObjectMeta"),
    (POD, [], "json: cannot unmarshal array into Go value of type v1.Pod"),
    (POD, None, "json: cannot unmarshal null into Go value of type v1.Pod"),
    (POD, pod(resources={"limits": {"cpu": "1 Gi"}}),
     "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
    (POD, {"metadata": {"creationTimestamp": "now"}},
     'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"'),
    (schema.type_for("v1", "Secret"), {"data": {"a": "%%%"}}, "illegal base64 data at input byte 0"),
    (schema.type_for("v1", "Secret"), {"data": {"a": "YWI"}}, "illegal base64 data at input byte 0"),
])
def test_wrong_values_are_refused_in_go_s_words(type, body, message):
    with pytest.raises(BadRequest) as refusal:
        schema.decode(body, type)
    name = type.short_name
    assert refusal.value.message == f'{name} in version "v1" cannot be handled as a {name}: {message}'
    assert refusal.value.reason == "BadRequest"


def test_int_or_string_takes_both():
    obj, _ = schema.decode(pod(livenessProbe={"httpGet": {"port": 80}}, readinessProbe={"httpGet": {"port": "http"}}),
                           POD)
    assert obj["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] == "http"


def decode_body(data, **more):
    return schema.decode_body(data, POD, **more)


def test_duplicate_keys_are_found_in_compact_and_in_spaced_json():
    mistakes = ['duplicate field "spec.nodeName"', 'duplicate field "spec.containers[0].name"']
    compact = b'{"spec":{"nodeName":"a","containers":[{"name":"c","name":"d"}],"nodeName":"b"}}'
    for data in (compact, compact.replace(b":", b": ").replace(b",", b",\n")):
        obj, warnings = decode_body(data)
        assert warnings == mistakes
        assert obj == {"spec": {"nodeName": "b", "containers": [{"name": "d"}]}}
    with pytest.raises(BadRequest, match='strict decoding error: duplicate field "spec.nodeName", duplicate field'):
        decode_body(compact, field_validation=schema.STRICT)
    assert decode_body(compact, field_validation=schema.IGNORE)[1] == []
    assert decode_body(orjson.dumps(pod()) + b"\n", field_validation=schema.STRICT)[1] == []


@pytest.mark.parametrize(("data", "twins"), [
    (b'{"a": "\\": ", "b": ": x", "c": {"d" : 1}}', []),
    (b'{"a": "\\": ", "b" : 1, "b"\n:2}', ['duplicate field "b"']),
    (b'{"a": "\\u0022:", "b": 1, "b": 2}', ['duplicate field "b"']),  # one key more in the body, one less outside it
    (b'{"a": "\\"\\u003a", "b": 1}', []),
])
def test_what_looks_like_a_key_inside_a_string_hides_no_twin(data, twins):
    assert body.duplicate_fields(data, orjson.loads(data)) == twins


@pytest.mark.parametrize(("data", "message"), [
    (b"hello", "invalid character 'h' looking for beginning of value (68656c6c6f)"),
    (b'{"a":', "unexpected end of JSON input"),
    (b"[" * 2000, "json parse error"),
])
def test_malformed_json(data, message):
    with pytest.raises(BadRequest) as refusal:
        decode_body(data)
    assert message in refusal.value.message


def test_json_deeper_than_can_be_stored_is_refused():
    deep = b'{"metadata":{"managedFields":[{"fieldsV1":' + b'{"f:a":' * 400 + b"{}" + b"}" * 400 + b"}]}}"
    with pytest.raises(BadRequest, match="exceeded max depth"):
        decode_body(deep)


YAML = {"content_type": "application/yaml"}


def test_yaml_is_read_as_kubernetes_does():
    obj, warnings = decode_body(b"""
metadata:
  name: x
  labels: {on: "yes", 8080: "1:30", d: "2026-11-22"}
spec:
  hostNetwork: yes
  activeDeadlineSeconds: 0x10
  containers:
  - &c
    name: c
    image: a
  - <<: *c
    name: d
  volumes: [{name: v, configMap: {defaultMode: 0644}}]
""", **YAML)
    assert warnings == []
    assert obj["metadata"]["labels"] == {"true": "yes", "8080": "1:30", "d": "2026-11-22"}
    assert obj["spec"]["hostNetwork"] is True and obj["spec"]["activeDeadlineSeconds"] == 16
    assert obj["spec"]["containers"] == [{"name": "c", "image": "a"}, {"name": "d", "image": "a"}]
    assert obj["spec"]["volumes"][0]["configMap"]["defaultMode"] == 420


def test_yaml_mistakes():
    with pytest.raises(BadRequest, match=r'line 3: key "name" already set in map'):
        decode_body(b"metadata:\n  name: a\n  name: b\n", field_validation=schema.STRICT, **YAML)
    with pytest.raises(BadRequest, match="error converting YAML to JSON: yaml: line "):
        decode_body(b"a: [", **YAML)
    with pytest.raises(BadRequest, match="could not determine a constructor"):
        decode_body(b"a: !!python/object:os.system {}", **YAML)


def test_yaml_bombs_do_not_go_off():
    lines = [b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [b"a%d: &a%d [%s]" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 10)]
    with pytest.raises(BadRequest, match="excessive aliasing"):
        decode_body(b"\n".join(lines), **YAML)
    with pytest.raises(BadRequest):
        decode_body(b"a: &a [*a]", **YAML)
