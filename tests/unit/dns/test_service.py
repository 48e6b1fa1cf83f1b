"""The kube-dns objects: made once, kept, and never fought over."""

from sampan.api.errors import AlreadyExists, NotFound
from sampan.api.resources import ENDPOINTSLICES, SERVICES
from sampan.dns.service import contains, ensure, remove_node


class FakeClient:
    def __init__(self):
        self.objects, self.writes, self.hidden = {}, [], 0

    async def get(self, resource, name, namespace):
        if self.hidden:
            self.hidden -= 1
            raise NotFound.of(resource, name)
        try:
            return self.objects[resource.plural, name]
        except KeyError:
            raise NotFound.of(resource, name) from None

    async def create(self, resource, obj, namespace):
        name = obj["metadata"]["name"]
        if (resource.plural, name) in self.objects:
            raise AlreadyExists.of(resource, name)
        self.writes.append(("create", name))
        self.objects[resource.plural, name] = obj

    async def update(self, resource, obj):
        self.writes.append(("update", obj["metadata"]["name"]))
        self.objects[resource.plural, obj["metadata"]["name"]] = obj

    async def delete(self, resource, name, namespace):
        if self.objects.pop((resource.plural, name), None) is None:
            raise NotFound.of(resource, name)


NODES = {"node-1": "172.29.0.2"}


async def test_a_second_call_writes_nothing():
    client = FakeClient()
    await ensure(client, "10.96.0.10", NODES)
    assert client.writes == [("create", "kube-dns"), ("create", "kube-dns-node-1")]
    # What the API server adds must not be taken for a difference.
    client.objects[SERVICES.plural, "kube-dns"]["spec"]["sessionAffinity"] = "None"
    await ensure(client, "10.96.0.10", NODES)
    assert len(client.writes) == 2


async def test_a_changed_node_address_is_put_right_and_others_words_are_kept():
    client = FakeClient()
    await ensure(client, "10.96.0.10", NODES)
    client.objects[ENDPOINTSLICES.plural, "kube-dns-node-1"]["metadata"]["resourceVersion"] = "7"
    await ensure(client, "10.96.0.10", {"node-1": "172.29.0.9"})
    changed = client.objects[ENDPOINTSLICES.plural, "kube-dns-node-1"]
    assert changed["endpoints"][0]["addresses"] == ["172.29.0.9"]
    assert changed["metadata"]["resourceVersion"] == "7"


async def test_another_agent_that_is_quicker_is_no_trouble():
    client = FakeClient()
    await ensure(client, "10.96.0.10", {})
    client.hidden = 1
    await ensure(client, "10.96.0.10", {})
    assert client.writes == [("create", "kube-dns")]


async def test_a_nodes_slice_can_be_removed_twice():
    client = FakeClient()
    await ensure(client, "10.96.0.10", NODES)
    await remove_node(client, "node-1")
    await remove_node(client, "node-1")
    assert (ENDPOINTSLICES.plural, "kube-dns-node-1") not in client.objects


def test_contains():
    assert contains({"a": 1, "b": [{"c": 2, "d": 3}]}, {"b": [{"c": 2}]})
    assert not contains({"b": [1, 2]}, {"b": [1]})
    assert not contains({}, {"a": None})
