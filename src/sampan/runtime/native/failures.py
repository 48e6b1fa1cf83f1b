"""What went wrong inside runc or crun, in its own words."""

from __future__ import annotations

import contextlib
from pathlib import Path

import orjson


def runtime_message(log_file: Path) -> str:
    """The last error of an OCI runtime's JSON log; "unknown error" when it wrote none."""
    found = "unknown error"
    with contextlib.suppress(OSError):
        for line in log_file.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                entry = orjson.loads(line)
                if entry.get("level") in ("error", "fatal"):
                    found = str(entry.get("msg", found))
    return found
