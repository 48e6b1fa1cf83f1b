"""Reads ``schema.json.zst``: upstream's definitions, reduced by the build hook (``hatch_build.py`` has the format).

Three parts, each decompressed only when asked for: the index and the shapes stay in memory (0.4 MB, as bytes); the
docs, which are five times as large and only wanted by ``/openapi``, are read anew each time and dropped.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import orjson

Definition = dict[str, Any]
INDEX, SHAPES, DOCS = range(3)
_PLACE = Path(__file__).with_name("schema.json.zst")
_HEAD = struct.Struct("<2I3I")


class SchemaFile:
    """The definitions by name (``io.k8s.api.apps.v1.Deployment``) and by apiVersion and kind."""

    def __init__(self, path: Path = _PLACE) -> None:
        self._path = path
        index = orjson.loads(self._part(INDEX))
        self._kinds: dict[str, str] = index["kinds"]
        self._shape_places: dict[str, list[int]] = index["shapes"]
        self._shapes = b""

    def _part(self, number: int) -> bytes:
        import zstandard  # 10 ms that a process without types need not pay

        if not self._path.exists():
            raise FileNotFoundError(f"{self._path.name} is not beside {self._path.parent}: it is made when Sampan is "
                                    "installed (pip install -e .)")
        with self._path.open("rb") as file:
            lengths = _HEAD.unpack(file.read(_HEAD.size))[2:]
            file.seek(sum(lengths[:number]), 1)
            return zstandard.ZstdDecompressor().decompress(file.read(lengths[number]))

    def name_of(self, api_version: str, kind: str) -> str | None:
        return self._kinds.get(f"{api_version} {kind}")

    def kinds(self) -> dict[str, str]:
        """``{"apps/v1 Deployment": "io.k8s.api.apps.v1.Deployment"}``; not to be changed."""
        return self._kinds

    def shape(self, name: str) -> Definition:
        """A definition without prose; references are bare names."""
        if not self._shapes:
            self._shapes = self._part(SHAPES)
        offset, length = self._shape_places[name]
        shape: Definition = orjson.loads(self._shapes[offset:offset + length])
        return shape

    def docs(self) -> dict[str, bytes]:
        """Every definition with its prose as JSON bytes; references are ``#/$defs/NAME``. Read anew at each call."""
        places = orjson.loads(self._part(INDEX))["docs"]
        data = self._part(DOCS)
        return {name: data[offset:offset + length] for name, (offset, length) in places.items()}
