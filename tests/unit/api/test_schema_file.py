"""The build hook's file: what it writes is what the schema reads."""

import importlib.util
import sys
from pathlib import Path

import pytest
import zstandard

from sampan.api.schema import Schema
from sampan.api.schema_file import SchemaFile

ROOT = Path(__file__).parents[3]
DEFINITIONS = {
    "x.v1.Boat": {
        "description": "A boat.", "type": ["object", "null"], "required": ["length"],
        "x-kubernetes-group-version-kind": [{"group": "x", "version": "v1", "kind": "Boat"}],
        "properties": {
            "apiVersion": {"type": ["string", "null"], "enum": ["x/v1"], "description": "The version."},
            "description": {"type": ["string", "null"], "description": "A field called description."},
            "length": {"type": "integer", "format": "int32"},
            "crew": {"type": ["array", "null"], "items": {"$ref": "#/$defs/x.v1.Sailor"},
                     "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        }},
    "x.v1.Sailor": {"type": "object", "properties": {"name": {"type": "string"}}},
}


@pytest.fixture
def hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["hatch_build"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["hatch_build"]


def test_what_the_hook_packs_the_schema_reads(hook, tmp_path):
    path = tmp_path / "schema.json.zst"
    path.write_bytes(hook.pack({name: hook.restore(name, value) for name, value in DEFINITIONS.items()}))
    schema = Schema(SchemaFile(path))
    boat = schema.type_for("x/v1", "Boat")
    assert set(boat.fields) == {"apiVersion", "description", "length", "crew"}
    assert boat.child("crew").keys == ("name",) and set(boat.child("crew").element.fields) == {"name"}
    shape = SchemaFile(path).shape("x.v1.Boat")
    assert "description" not in shape and shape["properties"]["description"] == {"type": "string"}
    found = schema.definitions(["x.v1.Boat"], version=3)
    assert set(found) == {"x.v1.Boat", "x.v1.Sailor"}
    assert found["x.v1.Boat"]["description"] == "A boat."
    assert found["x.v1.Boat"]["properties"]["apiVersion"] == {"type": "string", "description": "The version."}


def test_the_file_is_zstd_that_any_tool_reads(hook, tmp_path):
    packed = hook.pack(DEFINITIONS)
    with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
        assert reader.read().startswith(b'{"version":"v1.37.0"')


def test_a_missing_file_says_how_it_is_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="pip install -e"):
        SchemaFile(tmp_path / "schema.json.zst")
