"""What the fields of a kind are: a ``Type`` is one node of upstream's schema, made when somebody first looks at it.

Decoding, strategic merge and server-side apply all walk the same types.  A struct's fields are built on first access
and shared by every field that refers to the same definition, so a server that only ever sees Pods never decodes the
rest; recursive definitions (JSONSchemaProps) need no care.

Upstream: the OpenAPI documents of the version in ``sampan.KUBERNETES_VERSION``, with their x-kubernetes extensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

STRING, INTEGER, NUMBER, BOOLEAN = "string", "integer", "number", "boolean"
BYTES, TIME, MICRO_TIME, QUANTITY, INT_OR_STRING = "bytes", "time", "micro-time", "quantity", "int-or-string"
STRUCT, MAP, LIST, ANY = "struct", "map", "list", "any"

_SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": QUANTITY,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": TIME,
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": MICRO_TIME,
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": ANY,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": ANY,
}
_SCALAR = {"string": STRING, "integer": INTEGER, "number": NUMBER, "boolean": BOOLEAN}
_RANGE = {"int32": 2**31, "int64": 2**63}

#: Structs and lists that Go always writes, because they are neither pointers nor ``omitempty``: an absent one equals an
#: empty one, so nobody comes to own it just by being first.  The schema does not tell.
_ALWAYS_THERE = {
    "DeploymentSpec": ("template", "strategy"),
    "ReplicaSetSpec": ("template",),
    "StatefulSetSpec": ("template", "updateStrategy"),
    "DaemonSetSpec": ("template", "updateStrategy"),
    "JobSpec": ("template",),
    "CronJobSpec": ("jobTemplate",),
    "JobTemplateSpec": ("metadata", "spec"),
    "PodTemplateSpec": ("metadata", "spec"),
    "PodSpec": ("containers",),
    "ServiceStatus": ("loadBalancer",),
    "NodeStatus": ("daemonEndpoints", "nodeInfo"),
}
#: Where a value of this class needs no further look.
_PLAIN = {STRING: str, BOOLEAN: bool}
_TOP_LEVEL = ("metadata", "spec", "status")


class Type:
    """One node of the schema.

    ``kind`` is one of this module's constants.  A STRUCT has ``fields`` by name and ``required``; a MAP and a LIST have
    an ``element``.  ``merge`` says how appliers share it: lists ``atomic``, ``set`` or ``map`` (with ``keys``), structs
    and maps ``granular`` or ``atomic``.  ``patch_strategy`` and ``patch_merge_key`` are strategic merge's.  ``plain``
    is the Python class whose values are right as they are; an empty value of a ``droppable`` optional field goes.
    """

    __slots__ = ("kind", "name", "limit", "element", "merge", "keys", "patch_strategy", "patch_merge_key", "default",
                 "preserve_unknown", "always_there", "required", "plain", "droppable", "fields", "_build")
    fields: dict[str, Type]  # a STRUCT's fields by name, {} for every other kind

    def __init__(self, kind: str, name: str = "", *, limit: int = 0, element: Type | None = None, merge: str = "",
                 keys: tuple[str, ...] = (), build: Callable[[], dict[str, Type]] | None = None,
                 required: frozenset[str] = frozenset(), preserve_unknown: bool = False) -> None:
        self.kind = kind
        self.name = name
        self.limit = limit
        self.element = element
        self.merge = merge
        self.keys = keys
        self.patch_strategy: tuple[str, ...] = ()
        self.patch_merge_key = ""
        self.default: Any = None
        self.preserve_unknown = preserve_unknown
        self.always_there = False
        self.required = required
        self.plain = _PLAIN.get(kind)
        self.droppable = kind in (LIST, MAP)
        self._build = build

    def __getattr__(self, name: str) -> Any:
        """Builds ``fields`` at the first access; from then on it is a plain attribute (decoding lives from that)."""
        if name != "fields":
            raise AttributeError(name)
        self.fields = self._build() if self._build else {}
        return self.fields

    @property
    def atomic(self) -> bool:
        return self.merge == "atomic"

    def child(self, key: str) -> Type | None:
        """The type under ``key``: of a struct's field, or of any entry of a map or of a free-form object."""
        found = self.fields.get(key) if self.kind == STRUCT else self.element
        return ANY_TYPE if found is None and (self.kind == ANY or self.preserve_unknown) else found

    @property
    def short_name(self) -> str:
        """``DeploymentSpec``: the Go name of the struct, as error messages show it."""
        return self.name.rpartition(".")[2]

    @property
    def go_type(self) -> str:
        """The Go type, as Go's JSON errors show it: ``int32``, ``[]v1.Container``, ``map[string]string``."""
        if self.kind == STRUCT:
            return ".".join(self.name.split(".")[-2:])
        if self.kind == LIST and self.element:
            return f"[]{self.element.go_type}"
        if self.kind == MAP and self.element:
            return f"map[string]{self.element.go_type}"
        if self.kind == INTEGER:
            return "int32" if self.limit == _RANGE["int32"] else "int64"
        return {BOOLEAN: "bool", NUMBER: "float64", BYTES: "[]uint8", QUANTITY: "resource.Quantity"}.get(
            self.kind, "string")

    def __repr__(self) -> str:
        return f"Type({self.kind} {self.go_type})"


ANY_TYPE = Type(ANY)


class TypeBuilder:
    """Makes types from schemas; ``definition`` looks a referred definition up by its name."""

    def __init__(self, definition: Callable[[str], Schema]) -> None:
        self._definition = definition
        self._fields: dict[str, dict[str, Type]] = {}
        self._heads: dict[str, Schema] = {}

    def named(self, name: str) -> Type:
        """The type of a definition. Raises: KeyError."""
        if name in _SPECIAL:
            return Type(_SPECIAL[name], name)
        head = self._heads.get(name)
        if head is None:
            head = self._heads[name] = self._definition(name)
        return self.of(head, name)

    def of(self, schema: Schema, name: str = "") -> Type:
        """The type of a schema (of a definition, of a property, of a CustomResourceDefinition's version)."""
        if "$ref" in schema:
            made = self.named(schema["$ref"])
        elif schema.get("x-kubernetes-int-or-string"):
            made = Type(INT_OR_STRING)
        elif "properties" in schema:
            made = self._struct(schema, name)
        elif schema.get("type") == "array":
            made = Type(LIST, element=self.of(schema["items"]), merge=schema.get("x-kubernetes-list-type", "atomic"),
                        keys=tuple(schema.get("x-kubernetes-list-map-keys", ())))
        elif schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
            made = Type(MAP, element=self.of(schema["additionalProperties"]), merge="granular")
        else:
            made = self._scalar(schema, name)
        return self._with_extensions(made, schema)

    def _struct(self, schema: Schema, name: str) -> Type:
        required = frozenset(schema.get("required", ()))
        if name.endswith(".ObjectMeta"):
            required |= {"managedFields"}  # an empty list must survive decoding: it asks to forget the owners
        return Type(STRUCT, name, merge="granular", build=lambda: self._fields_of(schema, name), required=required,
                    preserve_unknown=bool(schema.get("x-kubernetes-preserve-unknown-fields")))

    def _scalar(self, schema: Schema, name: str) -> Type:
        kind = _SCALAR.get(schema.get("type", ""), ANY)
        if kind == STRING and schema.get("format") == "byte":
            kind = BYTES
        return Type(kind, name, limit=_RANGE.get(schema.get("format", ""), _RANGE["int64"]) if kind == INTEGER else 0)

    def _with_extensions(self, made: Type, schema: Schema) -> Type:
        if strategy := schema.get("x-kubernetes-patch-strategy"):
            made.patch_strategy = tuple(strategy.split(","))
        made.patch_merge_key = schema.get("x-kubernetes-patch-merge-key", made.patch_merge_key)
        made.merge = schema.get("x-kubernetes-map-type", made.merge)
        made.default = schema.get("default", made.default)
        return made

    def _fields_of(self, schema: Schema, name: str) -> dict[str, Type]:
        fields = self._fields.get(name) if name else None
        if fields is None:
            fields = {key: self.of(value) for key, value in schema["properties"].items()}
            short = name.rpartition(".")[2]
            always = _TOP_LEVEL if "apiVersion" in fields else _ALWAYS_THERE.get(short, ())
            for key in always:
                if key in fields:
                    fields[key].always_there = True
            if name:
                self._fields[name] = fields
        return fields
