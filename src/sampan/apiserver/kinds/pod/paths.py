"""Paths that users name inside volumes: they must not lead out of them.

Upstream: ``validateLocalNonReservedPath``, ``validateLocalDescendingPath``.
"""

from __future__ import annotations

from sampan.api.errors import FieldError


def relative_path(value: str | None, path: str, *, required: bool = False) -> list[FieldError]:
    """A file to be written into a volume: relative, no ``..``, nothing that starts with ``..`` (kubelet's own)."""
    if not value:
        return [FieldError.required(path)] if required else []
    errors = descending_path(value, path)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(FieldError.invalid(path, value, "must not start with '..'"))
    return errors


def descending_path(value: str, path: str) -> list[FieldError]:
    """A ``subPath``: relative, no ``..`` element."""
    errors = []
    if value.startswith("/"):
        errors.append(FieldError.invalid(path, value, "must be a relative path"))
    if ".." in value.split("/"):
        errors.append(FieldError.invalid(path, value, "must not contain '..'"))
    return errors
