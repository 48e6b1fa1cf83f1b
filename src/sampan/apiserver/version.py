"""Which Kubernetes is this?  The API level, and Sampan's own version behind the plus sign."""

from __future__ import annotations

import platform
from typing import Any

import sampan

MAJOR, MINOR, PATCH = "1", "37", "0"


def version() -> dict[str, Any]:
    """The body of ``/version``."""
    return {
        "major": MAJOR, "minor": MINOR, "emulationMajor": MAJOR, "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR, "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": f"v{MAJOR}.{MINOR}.{PATCH}", "gitCommit": f"sampan-{getattr(sampan, '__version__', '0')}",
        "gitTreeState": "clean", "buildDate": "2026-11-22T00:00:00Z",
        "goVersion": f"python{platform.python_version()}", "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}",
    }


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
