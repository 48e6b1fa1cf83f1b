"""Probes and lifecycle hooks: who is asked, how often, and what counts.

Upstream: ``validateProbe``, ``validateHandler``, ``validateLifecycle``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.rules import non_negative, one_of, port, port_or_name, positive

Object = dict[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def validate_probes(container: Object, grace_period_seconds: int, path: str) -> list[FieldError]:
    """All probes and hooks of an ordinary (or restartable init) container."""
    errors: list[FieldError] = []
    for key in PROBES:
        if container.get(key) is not None:
            errors += _probe(container[key], key, f"{path}.{key}")
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            errors += _handler(handler, _HOOK_HANDLERS, f"{path}.lifecycle.{hook}", grace_period_seconds)
    return errors


def _probe(probe: Object, kind: str, path: str) -> list[FieldError]:
    errors = _handler(probe, _PROBE_HANDLERS, path, 0)
    for key in _NUMBERS:
        errors += non_negative(probe.get(key), f"{path}.{key}")
    grace = probe.get("terminationGracePeriodSeconds")
    if kind != "readinessProbe":
        errors += positive(grace, f"{path}.terminationGracePeriodSeconds")
        if probe.get("successThreshold", 1) != 1:
            errors.append(FieldError.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    elif grace is not None:
        errors.append(FieldError.invalid(
            f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes"))
    return errors


def _handler(handler: Object, kinds: tuple[str, ...], path: str, grace_period_seconds: int) -> list[FieldError]:
    present = [key for key in kinds if handler.get(key) is not None]
    if not present:
        return [FieldError.required(path, "must specify a handler type")]
    errors = [FieldError.forbidden(f"{path}.{key}", "may not specify more than 1 handler type") for key in present[1:]]
    first, at = handler[present[0]], f"{path}.{present[0]}"
    if present[0] == "exec":
        return errors + ([] if first.get("command") else [FieldError.required(f"{at}.command")])
    if present[0] == "httpGet":
        return errors + _http(first, at)
    if present[0] == "tcpSocket":
        return errors + port_or_name(first.get("port"), f"{at}.port")
    if present[0] == "grpc":
        return errors + port(first.get("port"), f"{at}.port")
    return errors + _sleep(first, grace_period_seconds, at)


def _http(action: Object, path: str) -> list[FieldError]:
    errors = [] if action.get("path") else [FieldError.required(f"{path}.path")]
    errors += port_or_name(action.get("port"), f"{path}.port")
    errors += one_of(action.get("scheme"), ("HTTP", "HTTPS"), f"{path}.scheme")
    for header in action.get("httpHeaders") or ():
        errors += [FieldError.invalid(f"{path}.httpHeaders", header.get("name", ""), why)
                   for why in names.http_header_name(header.get("name", ""))]
    return errors


def _sleep(action: Object, grace_period_seconds: int, path: str) -> list[FieldError]:
    seconds = action.get("seconds", 0)
    if 0 <= seconds <= grace_period_seconds:
        return []
    why = (f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period_seconds}). Additionally, "
           "a value of zero is allowed when the PodLifecycleSleepActionAllowZero feature is enabled")
    return [FieldError.invalid(f"{path}.seconds", seconds, why)]
