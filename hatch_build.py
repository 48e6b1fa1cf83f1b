"""Build hook: reduce upstream's OpenAPI definitions to the one compact file that ``sampan.api.schema`` reads.

The definitions of one Kubernetes version come from the PyPI package ``kubernetes-validate``, a build-time dependency
of 110 MB that nobody needs at run time.  The file has three zstd frames, one after the other:

1. the index, JSON: ``{"kinds": {"apps/v1 Deployment": NAME}, "shapes": {NAME: [offset, length]}, "docs": {...}}``;
2. the shapes: every definition without its prose, so that a type is decoded in microseconds and costs no memory;
3. the docs: every definition with its prose, read only to answer ``/openapi``.

Runs for wheels and for editable installs alike; the file is git-ignored, so the wheel lists it as an artifact.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import zstandard
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LEVEL = "v1.37.0"
TARGET = "src/sampan/api/schema.json.zst"
REF = "#/$defs/"
GVK = "x-kubernetes-group-version-kind"

#: Where upstream's schema has a default for a key of a list map; the package has lost the defaults.
#: Server-side apply needs them: ``ports`` entries without a protocol mean TCP.
KEY_DEFAULTS = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.LocalObjectReference": {"name": ""},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}

Schema = dict[str, Any]


class SchemaHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            return  # a wheel made from it runs this hook again
        write(Path(self.root) / TARGET)
        build_data["artifacts"].append(TARGET)


def write(target: Path) -> None:
    """Write the file, whole or not at all: a server may be reading the old one."""
    scratch = target.with_suffix(".tmp")
    scratch.write_bytes(pack(definitions()))
    scratch.replace(target)


def definitions() -> dict[str, Schema]:
    """The definitions of the package, by name."""
    spec = find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the build needs the package kubernetes-validate")
    root = Path(spec.submodule_search_locations[0])
    source = root / "kubernetes-json-schema" / f"{LEVEL}-local" / "_definitions.json"
    if not source.exists():
        raise RuntimeError(f"kubernetes-validate has no definitions of {LEVEL}")
    found: dict[str, Schema] = orjson.loads(source.read_bytes())["$defs"]
    return {name: restore(name, found[name]) for name in sorted(found)}


def restore(name: str, schema: Any) -> Any:
    """A schema as upstream publishes it: the package made everything nullable, and named kind and apiVersion."""
    if isinstance(schema, list):
        return [restore(name, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: restore(name, value) for key, value in schema.items()}
    if isinstance(plain.get("type"), list):
        plain["type"] = next(kind for kind in plain["type"] if kind != "null")
    for key, default in KEY_DEFAULTS.get(name, {}).items():
        if key in plain.get("properties", {}):
            plain["properties"][key]["default"] = default
    if isinstance(plain.get("enum"), list):
        plain.pop("enum")
    return plain


def without_prose(schema: Any, in_properties: bool = False) -> Any:
    """The schema without descriptions (but with the fields *called* description) and with short references."""
    if isinstance(schema, list):
        return [without_prose(item) for item in schema]
    if not isinstance(schema, dict):
        return schema.removeprefix(REF) if isinstance(schema, str) else schema
    return {key: without_prose(value, key == "properties" and not in_properties)
            for key, value in schema.items() if in_properties or key not in ("description", GVK)}


def kinds(found: dict[str, Schema]) -> dict[str, str]:
    """``{"apps/v1 Deployment": name}``."""
    named = {}
    for name, schema in found.items():
        for gvk in schema.get(GVK, ()):
            group = f"{gvk['group']}/" if gvk["group"] else ""
            named[f"{group}{gvk['version']} {gvk['kind']}"] = name
    return named


def lines(found: dict[str, Any]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """All values one after the other, and where each is."""
    data, places = bytearray(), {}
    for name, schema in found.items():
        encoded = orjson.dumps(schema)
        places[name] = (len(data), len(encoded))
        data += encoded + b"\n"
    return bytes(data), places


def pack(found: dict[str, Schema]) -> bytes:
    """The file. A skippable frame at its head tells the lengths of the three frames, so that each is read alone."""
    shapes, shape_places = lines({name: without_prose(schema) for name, schema in found.items()})
    docs, doc_places = lines(found)
    index = orjson.dumps({"version": LEVEL, "kinds": kinds(found), "shapes": shape_places, "docs": doc_places})
    frames = [zstandard.ZstdCompressor(level=19).compress(part) for part in (index, shapes, docs)]
    lengths = struct.pack("<3I", *map(len, frames))
    return struct.pack("<2I", 0x184D2A50, len(lengths)) + lengths + b"".join(frames)
