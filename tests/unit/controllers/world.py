"""A real API server over the memory store, in this process, with caches and whatever controllers a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sampan.api import meta
from sampan.api.errors import NotFound
from sampan.api.http import Request, Subject
from sampan.api.resources import CORE_EVENTS, NAMESPACES, NODES, Resource
from sampan.apiserver.app import ApiServer
from sampan.apiserver.config import Config as ServerConfig
from sampan.auth.authorize import Attributes, Decision
from sampan.auth.user import UserInfo
from sampan.client.informer import Informers
from sampan.client.rest import Client
from sampan.client.transport import InProcess
from sampan.controllers import run
from sampan.controllers.base import Config
from sampan.store.memory import MemoryStore

Object = dict[str, Any]


class _Everybody:
    async def authenticate(self, request: Request) -> UserInfo:
        assert request.peer is not None
        return UserInfo(request.peer.common_name, groups=("system:masters", "system:authenticated"))

    async def authenticate_token(self, token: str, audiences: tuple[str, ...] = ()) -> Any:
        raise NotImplementedError("no tokens in this world")

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(True)


class World:
    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.client = self.client_of("test")
        self.informers = Informers(self.client)
        self.controllers: run.Controllers | None = None

    def client_of(self, name: str) -> Client:
        return Client(InProcess(self._server.handle, Subject(f"system:{name}")))

    async def create(self, resource: Resource, obj: Object) -> Object:
        return await self.client.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind} | obj)

    async def list(self, resource: Resource, namespace: str | None = "default") -> list[Object]:
        items: list[Object] = (await self.client.list(resource, namespace))["items"]
        return items

    async def get(self, resource: Resource, name: str, namespace: str | None = "default") -> Object | None:
        try:
            return await self.client.get(resource, name, namespace if resource.namespaced else None)
        except NotFound:
            return None

    async def events(self, reason: str) -> list[str]:
        return [event["message"] for event in await self.list(CORE_EVENTS, None) if event["reason"] == reason]

    async def until(self, check: Callable[[], Any], what: str = "", seconds: float = 5) -> Any:
        """Until the coroutine function ``check`` gives something true. The loop is left to the others in between."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = await check()
                    if found:
                        return found
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise AssertionError(f"did not come true: {what or check}") from None

    async def status(self, resource: Resource, obj: Object, **fields: Any) -> Object:
        """Report as the kubelet (or anybody) would, on the newest version."""
        current = await self.client.get(resource, meta.name(obj), meta.namespace(obj) or None)
        current["status"] = (current.get("status") or {}) | fields
        return await self.client.update(resource, current, subresource="status")

    async def pod_ready(self, pod: Object, ready: bool = True, **fields: Any) -> Object:
        condition = {"type": "Ready", "status": "True" if ready else "False",
                     "lastTransitionTime": "2026-01-01T00:00:00Z"}
        return await self.status(_PODS, pod, phase="Running", conditions=[condition], **fields)

    async def node(self, name: str, *, ready: bool = True, **fields: Any) -> Object:
        spec = fields.pop("spec", {})
        labels = {"kubernetes.io/hostname": name} | fields.pop("labels", {})
        node = await self.create(NODES, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110"} | fields.pop("allocatable", {})
        condition = {"type": "Ready", "status": "True" if ready else "False",
                     "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
        return await self.status(NODES, node, allocatable=allocatable, capacity=allocatable, conditions=[condition])


def _resource(plural: str) -> Resource:
    from sampan.api.resources import by_plural
    found = by_plural("", "v1", plural)
    assert found is not None
    return found


_PODS = _resource("pods")


@asynccontextmanager
async def world(*, controllers: bool = True, only: tuple[type, ...] | None = None,
                config: Config | None = None) -> AsyncIterator[World]:
    """``only`` names the controller classes to run; all by default."""
    store = MemoryStore()
    await store.start()
    everybody = _Everybody()
    server = ApiServer(store, everybody, everybody, ServerConfig(), plugins=[])
    if hasattr(server, "start"):
        await server.start()
    here = World(server)
    await here.create(NAMESPACES, {"metadata": {"name": "default"}})
    always = run.ALWAYS
    try:
        if controllers:
            if only is not None:
                run.ALWAYS = tuple(make for make in always if make in only)
            here.controllers = await run.start(here.client_of, config=config or Config(), informers=here.informers)
        await here.informers.start()
        await here.informers.synced()
        yield here
    finally:
        run.ALWAYS = always
        if here.controllers is not None:
            await here.controllers.close()
        await here.informers.close()
        if hasattr(server, "close"):
            await server.close()
        await store.close()
