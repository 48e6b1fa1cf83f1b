"""The termination message of a container: what it wrote to its file, or the end of its log.

Upstream: ``pkg/kubelet/kuberuntime/kuberuntime_container.go`` ``getTerminationMessage``.
"""

from __future__ import annotations

from pathlib import Path

from sampan.kubelet import labels
from sampan.kubelet.log_format import parse_line
from sampan.runtime.base import ContainerStatus

MAX_BYTES = 4096
LOG_BYTES, LOG_LINES = 2048, 80


def termination_message(status: ContainerStatus) -> str:
    """The message to show with an ended container. Reads at most some kilobytes."""
    notes = status.config.annotations
    written = _read_end(notes.get(labels.TERMINATION_FILE, ""), MAX_BYTES)
    policy = notes.get(labels.TERMINATION_MESSAGE_POLICY, "File")
    if not written and policy == "FallbackToLogsOnError" and status.exit_code != 0:
        written = _log_end(status.log_path)
    text = written.decode("utf-8", "replace")
    return "".join(part for part in (status.message, ": " if status.message and text else "", text))


def _read_end(path: str, limit: int) -> bytes:
    if not path:
        return b""
    try:
        with Path(path).open("rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def _log_end(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4 * LOG_BYTES))
            raw = file.read().splitlines(keepends=True)[-LOG_LINES:]
    except OSError:
        return b""
    parsed = [line for line in map(parse_line, raw) if line is not None]
    return b"".join(line.content for line in parsed)[-LOG_BYTES:]
