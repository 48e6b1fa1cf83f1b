"""The admission seam: mutating plugins may change the object, then validating ones may refuse the request.

Upstream: ``staging/src/k8s.io/apiserver/pkg/admission``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sampan.api.resources import Resource
from sampan.auth.user import UserInfo

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class Server(Protocol):
    """Read access to the cluster, for rules that need more than the object at hand."""

    async def get_object(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """The object as stored now (its storage version), or None."""
        ...

    async def list_objects(self, resource: Resource, namespace: str | None = None) -> list[dict[str, Any]]: ...


@dataclass(slots=True)
class Attributes:
    """One write on its way. ``obj`` is None for DELETE, ``old`` for CREATE; ``namespace``/``name`` may be empty."""

    operation: Operation
    resource: Resource
    server: Server
    user: UserInfo
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    obj: dict[str, Any] | None = None
    old: dict[str, Any] | None = None
    dry_run: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def on(self, resource: Resource, *operations: Operation, subresource: str = "") -> bool:
        """Whether this is one of ``operations`` on ``resource`` (and on exactly that subresource)."""
        same = (self.resource.group, self.resource.plural) == (resource.group, resource.plural)
        return same and self.subresource == subresource and self.operation in operations


class Plugin:
    """One policy. Both methods let everything pass unless overridden. Raise an ``ApiError`` to refuse."""

    name: str = ""

    async def admit(self, attributes: Attributes) -> None:
        """May change ``attributes.obj``; may be called again after later plugins have changed it."""

    async def validate(self, attributes: Attributes) -> None:
        """May refuse; never changes anything."""


async def run(plugins: list[Plugin], attributes: Attributes) -> None:
    """All mutating plugins in order, then all validating ones."""
    await admit(plugins, attributes)
    await validate(plugins, attributes)


async def admit(plugins: list[Plugin], attributes: Attributes) -> None:
    for plugin in plugins:
        await plugin.admit(attributes)


async def validate(plugins: list[Plugin], attributes: Attributes) -> None:
    for plugin in plugins:
        await plugin.validate(attributes)
