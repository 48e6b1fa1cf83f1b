"""One request on its way through a verb: who asks, for what, and what to tell him besides the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sampan.api import clock
from sampan.api.http import Request
from sampan.api.resources import Resource
from sampan.apiserver.admission.base import Attributes, Operation
from sampan.apiserver.kinds.base import Context, Kind
from sampan.apiserver.kinds.registry import kind_of
from sampan.apiserver.negotiation import PLAIN, Output, negotiate
from sampan.apiserver.request_info import RequestInfo
from sampan.auth.user import UserInfo

if TYPE_CHECKING:
    from sampan.apiserver.app import ApiServer

Object = dict[str, Any]


@dataclass(slots=True)
class Call:
    """``warnings`` become ``Warning:`` headers of the response."""

    server: ApiServer
    request: Request
    info: RequestInfo
    user: UserInfo
    resource: Resource
    warnings: list[str] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        return kind_of(self.resource)

    @property
    def namespace(self) -> str:
        """The namespace of the object; ``""`` for all, and for what lies in none (Namespaces themselves included)."""
        return self.info.namespace if self.resource.namespaced else ""

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def subresource(self) -> str:
        return self.info.subresource

    def output(self, transforms: bool = True) -> Output:
        """How the client wants the answer. Raises: NotAcceptable."""
        accept = self.request.headers.get("accept")
        return negotiate(accept, transforms) if accept else PLAIN

    def context(self, options: Mapping[str, Any], *, name: str = "", dry_run: bool = False) -> Context:
        """What the kind may know of this call."""
        server = self.server
        return Context(
            self.user, clock.now(), server.objects, self.namespace, name or self.name, dry_run, options,
            server.authorizer, server.authenticator, server.issuer, server.service_ranges,
        )

    def attributes(
        self, operation: Operation, obj: Object | None, old: Object | None, options: Mapping[str, Any], dry_run: bool,
        name: str = "",
    ) -> Attributes:
        """What admission may know of this call."""
        return Attributes(
            operation, self.resource, self.server.objects, self.user, self.subresource, self.info.namespace,
            name or self.name, obj, old, dry_run, dict(options),
        )
