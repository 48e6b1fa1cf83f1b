"""A cluster to look into, and a way to send one write through one plugin."""

import pytest

from sampan.api.resources import NAMESPACES, SERVICEACCOUNTS
from sampan.apiserver.admission.base import Attributes, run
from sampan.auth.user import UserInfo


class FakeServer:
    def __init__(self):
        self.objects = {}

    def put(self, resource, name, namespace=None, **fields):
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
        self.objects[resource, namespace, name] = {"metadata": metadata, **fields}

    async def get_object(self, resource, name, namespace=None):
        return self.objects.get((resource, namespace, name))

    async def list_objects(self, resource, namespace=None):
        return [o for (r, where, _), o in self.objects.items() if r == resource and namespace in (None, where)]


@pytest.fixture
def server():
    made = FakeServer()
    made.put(NAMESPACES, "default", status={"phase": "Active"})
    made.put(SERVICEACCOUNTS, "default", "default")
    return made


@pytest.fixture
def send(server):
    """``await send(plugin, "CREATE", PODS, obj=...)`` returns the object as the plugin leaves it."""

    async def send(plugin, operation, resource, obj=None, *, user=None, namespace="default", name="", **more):
        metadata = (obj or more.get("old") or {}).get("metadata") or {}
        attributes = Attributes(operation, resource, server, user or UserInfo("jane"),
                                namespace=namespace if resource.namespaced else "",
                                name=name or metadata.get("name", ""), obj=obj, **more)
        await run([plugin], attributes)
        return attributes.obj

    return send
