"""An API server over the memory store that lets everybody in, and a short way to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from sampan.api.http import Request, Response
from sampan.apiserver.app import ApiServer
from sampan.apiserver.config import Config
from sampan.auth.authorize import Attributes, Decision, SubjectRules
from sampan.auth.user import UserInfo
from sampan.store.memory import MemoryStore


class Everybody:
    """An authenticator: the user named by the test's header, a master by default."""

    async def authenticate(self, request: Request) -> UserInfo:
        name = request.headers.get("x-test-user", "admin")
        groups = ("system:masters",) if name == "admin" else ()
        return UserInfo(name, groups=(*groups, "system:authenticated"))


@dataclass
class Rules:
    """An authorizer: masters may do everything, others what ``allowed`` says; remembers what it was asked."""

    allowed: set[tuple[str, str, str]] = field(default_factory=set)
    asked: list[Attributes] = field(default_factory=list)

    def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append(attributes)
        wanted = (attributes.user.name, attributes.verb, attributes.combined_resource or attributes.path)
        return Decision("system:masters" in attributes.user.groups or wanted in self.allowed)

    def rules_for(self, user: UserInfo, namespace: str) -> SubjectRules:
        return SubjectRules()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Api:
    server: ApiServer
    store: MemoryStore
    rules: Rules

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        path, _, query = path.partition("?")
        pairs = [tuple(part.partition("=")[::2]) for part in query.split("&")] if query else []
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.server.handle(Request(method, path, pairs, named, raw))

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        response = await self.send(method, path, body, **headers)
        content = response.body
        if not isinstance(content, bytes):
            content = b"".join([chunk async for chunk in content])
        return Answer(response.status, response.headers, content)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, **headers)

    async def configmap(self, name: str, namespace: str = "default", **metadata: Any) -> Any:
        body = {"metadata": {"name": name, **metadata}, "data": {"key": "value"}}
        answer = await self.ask("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)
        assert answer.status == 201, answer.body
        return answer.json


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    store, rules = MemoryStore(), Rules()
    await store.start()
    yield Api(ApiServer(store, Everybody(), rules, Config(), plugins=[]), store, rules)
    await store.close()
