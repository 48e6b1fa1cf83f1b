"""How cells of a Table are written: ages, ranges of words, lists that are cut short.

Upstream: ``apimachinery/pkg/util/duration``, ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sampan.api.clock import parse

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def age(obj: Mapping[str, Any], now: datetime) -> str:
    """The AGE cell."""
    return since((obj.get("metadata") or {}).get("creationTimestamp"), now)


def since(timestamp: str | None, now: datetime) -> str:
    """``5m12s`` from a timestamp until now, ``<unknown>`` without one."""
    return human_duration(now - parse(timestamp)) if timestamp else UNKNOWN


def human_duration(duration: timedelta) -> str:
    """Two units at most, fewer as the duration grows: ``119s``, ``9m59s``, ``179m``, ``7h59m``, ``47h``, ``7d23h``."""
    seconds = int(duration.total_seconds())
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _two(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two(seconds, _YEAR, "y", _DAY, "d")
    return f"{seconds // _YEAR}y"


def _two(seconds: int, big: int, big_unit: str, small: int, small_unit: str) -> str:
    rest = seconds % big // small
    return f"{seconds // big}{big_unit}" + (f"{rest}{small_unit}" if rest else "")


def label_list(labels: Mapping[str, str] | None) -> str:
    """``a=1,b=2`` in key order, ``<none>`` when empty."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as kubectl writes it: ``app=web,tier in (a,b),!canary``."""
    if not selector:
        return NONE
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        parts.append((expression["key"], _expression(expression)))
    return ",".join(text for _, text in sorted(parts)) or NONE


def _expression(expression: Mapping[str, Any]) -> str:
    key, values = str(expression["key"]), ",".join(sorted(expression.get("values") or ()))
    texts = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key,
             "DoesNotExist": f"!{key}"}
    return texts[expression["operator"]]


def container_names(template: Mapping[str, Any]) -> tuple[str, str]:
    """The CONTAINERS and IMAGES cells."""
    containers = (template.get("spec") or {}).get("containers") or ()
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)


def few(items: Sequence[str], most: int = 3) -> str:
    """``a,b,c + 2 more...``"""
    if not items:
        return NONE
    more = f" + {len(items) - most} more..." if len(items) > most else ""
    return ",".join(items[:most]) + more
