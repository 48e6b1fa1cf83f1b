"""The CRI log format: ``<RFC 3339 time> <stdout|stderr> <P|F> <text>``, where P is a part of a longer line.

Upstream: ``pkg/kubelet/kuberuntime/logs``, ``design-proposals/node/kubelet-cri-logging.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """``content`` ends with a newline unless the line is only a part."""

    timestamp: str
    stream: str
    content: bytes

    @property
    def seconds(self) -> float:
        return datetime.fromisoformat(self.timestamp).timestamp()  # cuts nanoseconds to microseconds


def parse_line(raw: bytes) -> LogLine | None:
    """``None`` for what is not (yet) a whole line of this format."""
    if not raw.endswith(b"\n"):
        return None
    parts = raw[:-1].split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    text = parts[3] if len(parts) == 4 else b""
    partial = parts[2].split(b":")[0] == b"P"
    timestamp = parts[0].decode("ascii", "replace")
    if timestamp.endswith("+00:00"):  # conmon's way to say Z
        timestamp = timestamp[:-6] + "Z"
    return LogLine(timestamp, parts[1].decode(), text if partial else text + b"\n")
