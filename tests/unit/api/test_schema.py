"""Types as the definitions have them, and their OpenAPI views."""

import pytest

from sampan.api import resources, schema, types


def field(type, *path):
    for key in path:
        type = type.element if key == 0 else type.child(key)
    return type


def test_every_resource_has_a_type():
    for resource in resources.RESOURCES:
        assert schema.type_for(resource.api_version, resource.kind).kind == types.STRUCT
        for sub in resource.subresources:
            if sub.kind and not sub.kind.endswith("Options"):
                assert schema.type_for(sub.api_version or resource.api_version, sub.kind)
    with pytest.raises(KeyError, match="no schema for Foo in v1"):
        schema.type_for("v1", "Foo")


def test_extensions():
    pod = schema.type_for("v1", "Pod")
    containers = field(pod, "spec", "containers")
    assert (containers.kind, containers.merge, containers.keys) == ("list", "map", ("name",))
    assert (containers.patch_strategy, containers.patch_merge_key) == (("merge",), "name")
    assert containers.go_type == "[]v1.Container"
    ports = field(containers, 0, "ports")
    assert ports.keys == ("containerPort", "protocol") and ports.patch_merge_key == "containerPort"
    assert field(ports, 0, "protocol").default == "TCP"
    assert field(pod, "spec", "volumes").patch_strategy == ("merge", "retainKeys")
    assert field(pod, "spec", "tolerations").atomic
    assert field(pod, "spec", "nodeSelector").atomic
    assert field(pod, "metadata", "finalizers").merge == "set"
    assert field(pod, "metadata", "labels").go_type == "map[string]string"
    assert field(pod, "metadata", "creationTimestamp").kind == types.TIME
    assert field(containers, 0, "resources", "limits").element.kind == types.QUANTITY
    assert field(containers, 0, "livenessProbe", "httpGet", "port").kind == types.INT_OR_STRING
    deployment = schema.type_for("apps/v1", "Deployment")
    assert field(deployment, "spec", "selector").atomic
    assert field(deployment, "spec", "strategy").patch_strategy == ("retainKeys",)
    assert field(deployment, "spec", "replicas").go_type == "int32"
    assert field(schema.type_for("coordination.k8s.io/v1", "Lease"), "spec", "renewTime").kind == types.MICRO_TIME
    assert field(schema.type_for("v1", "Secret"), "data").element.kind == types.BYTES


def test_recursive_definitions_are_types_too():
    crd = schema.type_for("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    props = field(crd, "spec", "versions", 0, "schema", "openAPIV3Schema")
    assert field(props, "properties", "anything", "not", "properties", "x") is not None or props.fields["not"]


def references(value):
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if isinstance(value, dict):
        return [found for item in value.values() for found in references(item)] + (
            [value["$ref"]] if isinstance(value.get("$ref"), str) else [])
    return []


@pytest.mark.parametrize(("version", "prefix"), [(2, "#/definitions/"), (3, "#/components/schemas/")])
def test_openapi_definitions_are_closed_and_described(version, prefix):
    found = schema.definitions(["io.k8s.api.apps.v1.Deployment"], version=version)
    deployment = found["io.k8s.api.apps.v1.Deployment"]
    assert deployment["description"].startswith("Deployment enables declarative updates")
    assert deployment["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "kind": "Deployment", "version": "v1"}]
    assert deployment["type"] == "object"
    assert {ref.removeprefix(prefix) for ref in references(found)} <= set(found)
    assert not any("$defs" in ref for ref in references(found))
    quantity = found["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert ("oneOf" in quantity) == (version == 3)


def test_definition_names():
    assert schema.load().definition_name("v1", "Pod") == "io.k8s.api.core.v1.Pod"
    assert schema.load().definition_name("v1", "Nope") is None
