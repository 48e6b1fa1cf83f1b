"""JSON merge patch (RFC 7386): objects are merged, ``null`` removes, everything else replaces.

Upstream: apiserver/pkg/endpoints/handlers/patch.go (``application/merge-patch+json``).
"""

from __future__ import annotations

from typing import Any

from sampan.api.encoding import fresh_copy
from sampan.api.types import Type


def apply(obj: Any, patch: Any, type: Type | None = None) -> Any:
    """The patched object, which shares nothing with ``obj`` or ``patch``. ``type`` is not needed here."""
    return _merge(fresh_copy(obj), fresh_copy(patch))


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _merge(target.get(key), value)
    return target
