"""Points in time as objects write them: RFC 3339, UTC, to the second (``Time``) or microsecond (``MicroTime``).

Upstream: apimachinery/pkg/apis/meta/v1/time.go, micro_time.go.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def now() -> datetime:
    """The wall clock. Pure code takes ``now`` as a parameter instead of calling this."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """``2026-11-22T15:00:00Z``: fractions of a second are cut off, as upstream's ``Time`` does."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"  # a quarter of strftime's time


def rfc3339_micro(moment: datetime) -> str:
    """``2026-11-22T15:00:00.000001Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse(text: str) -> datetime:
    """Reads either form, with any offset. Raises: ValueError."""
    if not _RFC3339.fullmatch(text):  # ISO 8601, which Python reads, allows much more
        raise ValueError(f'parsing time "{text}": not an RFC 3339 time with an offset')
    return datetime.fromisoformat(text).astimezone(UTC)
