"""What the tests of all kinds share: a moment, a caller, and a cluster to look into."""

from datetime import UTC, datetime

import pytest

from sampan.apiserver.kinds.base import Context
from sampan.auth.user import UserInfo

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)


class FakeServer:
    def __init__(self):
        self.objects = {}

    def put(self, resource, obj):
        self.objects[resource, obj["metadata"].get("namespace"), obj["metadata"]["name"]] = obj

    async def get_object(self, resource, name, namespace=None):
        return self.objects.get((resource, namespace, name))

    async def list_objects(self, resource, namespace=None):
        return [o for (r, where, _), o in self.objects.items() if r == resource and namespace in (None, where)]


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def ctx(server):
    return Context(UserInfo("jane", groups=("dev",)), NOW, server, "default")
