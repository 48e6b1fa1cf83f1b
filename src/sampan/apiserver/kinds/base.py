"""The questions that the verbs ask of every kind, with the answers that hold for most.

A verb (create, update, patch, delete, list as table) never knows a kind; it calls these methods in this order:

create: ``default`` -> admission -> ``prepare_for_create`` -> ``validate`` -> ``check`` -> ``async with allocation``:
write.  update: ``default`` -> ``prepare_for_update`` -> admission -> ``validate_update`` -> ``check`` -> ``async with
allocation``: write.  delete: ``graceful``; once it is gone: ``deleted``.  Resources without storage (reviews) have
``virtual`` set and answer through ``answer``.

Upstream: ``rest.RESTCreateStrategy``, ``RESTUpdateStrategy``, ``RESTGracefulDeleteStrategy``, ``TableConvertor``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sampan.api.resources import Resource
from sampan.auth.user import UserInfo

if TYPE_CHECKING:
    from sampan.api.errors import FieldError
    from sampan.apiserver.admission.base import Server
    from sampan.apiserver.kinds.service.ranges import ServiceRanges
    from sampan.auth.authenticate import Authenticator
    from sampan.auth.authorize import Authorizer
    from sampan.auth.tokens import TokenIssuer

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a Table. ``priority`` 1 is shown only by ``-o wide``."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0

    def as_definition(self) -> Object:
        """An entry of ``columnDefinitions``."""
        return {"name": self.name, "type": self.type, "format": self.format, "description": self.description,
                "priority": self.priority}


@dataclass(frozen=True, slots=True)
class Context:
    """What a kind may know of the request it serves. ``server`` reads the cluster; the last four are None in tests."""

    user: UserInfo
    now: datetime
    server: Server
    namespace: str = ""
    name: str = ""
    dry_run: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    authorizer: Authorizer | None = None
    authenticator: Authenticator | None = None
    issuer: TokenIssuer | None = None
    ranges: ServiceRanges | None = None


NAME = Column("Name", format="name", description="Name must be unique within a namespace.")
AGE = Column("Age", description="CreationTimestamp is a timestamp representing the server time when it was created.")
CREATED_AT = Column("Created At", "string", "date-time")


class Kind:
    """One resource's rules. Subclasses override what is special; this class is the generic answer."""

    columns: tuple[Column, ...] = (NAME, AGE)
    virtual: bool = False  # not stored: create is answered by ``answer``
    converted: bool = False  # the stored shape differs: use ``to_stored``/``from_stored``
    create_on_update: bool = False  # PUT of a missing name creates it
    has_status: bool = False  # the main endpoint keeps ``status``, the status endpoint keeps everything else
    has_generation: bool = False  # metadata.generation counts changes of ``spec``

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.has_status = resource.subresource("status") is not None

    # -- on the way in ------------------------------------------------------------------------------------------

    def default(self, obj: Object) -> None:
        """Fill in what the user left out, in place."""

    def prepare_for_create(self, obj: Object, ctx: Context) -> None:
        """Put aside what a user may not set on creation, in place."""
        if self.has_status:
            obj.pop("status", None)
        if self.has_generation:
            obj["metadata"]["generation"] = 1

    def prepare_for_update(self, obj: Object, old: Object, ctx: Context, subresource: str = "") -> None:
        """Put back what this endpoint may not change, in place. ``old`` is never changed."""
        from sampan.apiserver.kinds.metadata import carry_over

        carry_over(obj, old)
        if subresource == "status":
            self.keep_all_but_status(obj, old)
            return
        if self.has_status:
            keep(obj, old, "status")
        if self.has_generation and self.bumps_generation(obj, old):
            obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def keep_all_but_status(self, obj: Object, old: Object) -> None:
        for key in {*obj, *old} - {"metadata", "status"}:
            keep(obj, old, key)

    def bumps_generation(self, obj: Object, old: Object) -> bool:
        return bool(obj.get("spec") != old.get("spec"))

    def validate(self, obj: Object) -> list[FieldError]:
        """Everything wrong with a new object."""
        from sampan.apiserver.kinds.metadata import validate_metadata

        return validate_metadata(obj, self.resource, self.name_problems) + self.validate_object(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str = "") -> list[FieldError]:
        """Everything wrong with changing ``old`` to ``obj`` through this endpoint."""
        from sampan.apiserver.kinds.metadata import validate_metadata_update

        return validate_metadata_update(obj, old) + self.validate_object_update(obj, old, subresource)

    def name_problems(self, name: str) -> list[str]:
        """What is wrong with ``metadata.name``; most kinds want a DNS subdomain."""
        from sampan.api.names import dns_subdomain

        return dns_subdomain(name)

    def validate_object(self, obj: Object) -> list[FieldError]:
        """The kind's own rules, apart from metadata."""
        return []

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return [] if subresource == "status" else self.validate_object(obj)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Texts for ``Warning:`` headers."""
        return []

    async def check(self, obj: Object, old: Object | None, ctx: Context) -> None:
        """Rules that need the cluster or the caller (RBAC escalation). Raises: ApiError."""

    def allocation(self, obj: Object, old: Object | None, ctx: Context) -> AbstractAsyncContextManager[None]:
        """Hold what the object takes from a shared pool (addresses, ports) around the write.

        Entering may change ``obj``. Leaving without an exception keeps the hold, with one gives it back; so does
        leaving a dry run. Raises: ApiError.
        """
        return _nothing_to_allocate()

    # -- on the way out -----------------------------------------------------------------------------------------

    def graceful(self, obj: Object, options: Mapping[str, Any], now: datetime) -> int | None:
        """Seconds the object lives on with a deletionTimestamp; None or 0: it goes at once."""
        return None

    async def deleted(self, obj: Object, ctx: Context) -> None:
        """Called once after the object has left the store."""

    def to_stored(self, obj: Object) -> Object:
        """The stored shape (where ``converted``): a new object."""
        return obj

    def from_stored(self, obj: Object) -> Object:
        """The shape of this resource's group and version (where ``converted``): a new object."""
        return obj

    async def answer(self, obj: Object, ctx: Context) -> Object:
        """The response to a create (where ``virtual``). Raises: ApiError."""
        raise TypeError(f"{self.resource.group_resource} is stored")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        """The cells of this object, one for each of ``columns``."""
        from sampan.apiserver.kinds.table import age

        return [obj["metadata"].get("name", ""), age(obj, now)]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        """What a fieldSelector may ask for: names and this object's values."""
        metadata = obj.get("metadata") or {}
        fields = {"metadata.name": metadata.get("name", "")}
        if self.resource.namespaced:
            fields["metadata.namespace"] = metadata.get("namespace", "")
        return fields


def keep(obj: Object, old: Object, key: str) -> None:
    """Make ``obj[key]`` what it is in ``old``, absence included."""
    if key in old:
        obj[key] = old[key]
    else:
        obj.pop(key, None)


@asynccontextmanager
async def _nothing_to_allocate() -> AsyncIterator[None]:
    yield
