"""Container ports. Upstream: ``validateContainerPorts``, ``checkHostPortConflicts``, ``validateHostNetwork``."""

from __future__ import annotations

from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.rules import one_of, port

Object = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")


def validate_ports(ports: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, entry in enumerate(ports):
        at = f"{path}[{i}]"
        errors += _name(entry.get("name"), seen, f"{at}.name")
        if not entry.get("containerPort"):
            errors.append(FieldError.required(f"{at}.containerPort"))
        else:
            errors += port(entry["containerPort"], f"{at}.containerPort")
        if entry.get("hostPort"):
            errors += port(entry["hostPort"], f"{at}.hostPort")
        errors += one_of(entry.get("protocol"), PROTOCOLS, f"{at}.protocol", required=True)
    return errors


def _name(name: str | None, seen: set[str], path: str) -> list[FieldError]:
    if not name:
        return []
    problems = names.port_name(name)
    if problems:
        return [FieldError.invalid(path, name, why) for why in problems]
    if name in seen:
        return [FieldError.duplicate(path, name)]
    seen.add(name)
    return []


def validate_host_ports(containers: list[Object], host_network: bool, path: str) -> list[FieldError]:
    """No host port twice in one Pod; on the host's network a host port is the container's own."""
    errors: list[FieldError] = []
    taken: set[str] = set()
    for i, container in enumerate(containers):
        for j, entry in enumerate(container.get("ports") or ()):
            at, number = f"{path}[{i}].ports[{j}]", entry.get("hostPort") or 0
            if host_network and number and number != entry.get("containerPort"):
                errors.append(FieldError.invalid(
                    f"{at}.containerPort",
                    entry.get("containerPort"), "must match `hostPort` when `hostNetwork` is true"))
            if not number:
                continue
            identity = f"{entry.get('protocol')}/{entry.get('hostIP', '')}/{number}"
            if identity in taken:
                errors.append(FieldError.duplicate(f"{at}.hostPort", identity))
            taken.add(identity)
    return errors
