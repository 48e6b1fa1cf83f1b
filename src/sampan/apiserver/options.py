"""The options that ride in the query of every write and list: dryRun, fieldManager, limit, resourceVersion and so on.

Upstream: ``CreateOptions``, ``UpdateOptions``, ``PatchOptions``, ``ListOptions`` of ``meta/v1`` and their validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sampan.api.errors import BadRequest, FieldError, Invalid
from sampan.api.http import Request
from sampan.api.resources import Resource

FIELD_VALIDATION = ("Ignore", "Strict", "Warn")
MAX_FIELD_MANAGER = 128


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """For create, update and patch. ``manager`` is never empty: it falls back to the user agent's first word."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    force: bool = False
    user_agent: str = ""

    @property
    def manager(self) -> str:
        return self.field_manager or manager_of(self.user_agent)

    def as_object(self) -> dict[str, Any]:
        """As admission sees them."""
        out: dict[str, Any] = {"fieldManager": self.field_manager, "fieldValidation": self.field_validation}
        if self.dry_run:
            out["dryRun"] = ["All"]
        return out


def manager_of(user_agent: str) -> str:
    """``kubectl/v1.33 (linux)`` -> ``kubectl``."""
    return user_agent.split("/", 1)[0][:MAX_FIELD_MANAGER] or "unknown"


def write_options(request: Request, kind: str, apply: bool = False) -> WriteOptions:
    """``kind`` names the options in errors: CreateOptions, UpdateOptions, PatchOptions. Raises: Invalid, BadRequest."""
    agent = request.headers.get("user-agent", "")
    if not request.query and not apply:
        return WriteOptions(user_agent=agent)
    dry_run = [value for key, value in request.query if key == "dryRun"]
    manager = request.param("fieldManager")
    validation = request.param("fieldValidation")
    force = request.param("force")
    errors = check_dry_run(dry_run) + check_field_manager(manager)
    if validation and validation not in FIELD_VALIDATION:
        errors.append(FieldError.not_supported("fieldValidation", validation, ("", *FIELD_VALIDATION)))
    if apply and not manager:
        errors.append(FieldError.required("fieldManager", "is required for apply patch"))
    if force and not apply and kind == "PatchOptions":
        errors.append(FieldError.forbidden("force", "may not be specified for non-apply patch"))
    refuse(kind, errors)
    return WriteOptions(bool(dry_run), manager, validation or "Warn", boolean(force), agent)


def refuse(kind: str, errors: list[FieldError]) -> None:
    """Raises: Invalid if there are any."""
    if errors:
        raise Invalid.of(Resource("meta.k8s.io", "v1", kind.lower(), kind), "", errors)


def check_dry_run(values: list[str]) -> list[FieldError]:
    return [FieldError.not_supported("dryRun", values, ("All",))] if any(v != "All" for v in values) else []


def check_field_manager(manager: str) -> list[FieldError]:
    if len(manager) > MAX_FIELD_MANAGER:
        return [FieldError.too_long("fieldManager", manager, MAX_FIELD_MANAGER)]
    if not manager.isprintable():
        return [FieldError.invalid("fieldManager", manager, "should only contain printable characters")]
    return []


def boolean(text: str) -> bool:
    """As upstream's query conversion: anything but ``""``, ``0`` and ``false`` is true."""
    return text.lower() not in ("", "0", "false", "f")


def integer(name: str, text: str) -> int | None:
    """None for an absent parameter. Raises: BadRequest."""
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadRequest(
            f'unable to convert query parameter "{name}": strconv.ParseInt: parsing "{text}": invalid syntax'
        ) from None


def revision(text: str) -> int:
    """``""`` and ``"0"`` are 0. Raises: BadRequest."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise BadRequest(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)
