"""The rules of a PodSpec, whether in a Pod or in a template. Upstream: ``ValidatePodSpec``."""

from __future__ import annotations

import ipaddress
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.metadata import validate_labels
from sampan.apiserver.kinds.pod.containers import validate_all_containers
from sampan.apiserver.kinds.pod.scheduling import validate_affinity, validate_spreading, validate_tolerations
from sampan.apiserver.kinds.pod.security import validate_pod_security
from sampan.apiserver.kinds.pod.volumes import validate_volumes
from sampan.apiserver.kinds.rules import checked, non_negative, one_of

Object = dict[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MAX_DEADLINE_SECONDS = 2**31 - 1


def validate_spec(spec: Object, path: str) -> list[FieldError]:
    volumes = spec.get("volumes") or []
    errors = validate_volumes(volumes, f"{path}.volumes")
    errors += validate_all_containers(spec, {v.get("name", "") for v in volumes}, path)
    errors += one_of(spec.get("restartPolicy"), RESTART_POLICIES, f"{path}.restartPolicy", required=True)
    errors += _dns(spec, path)
    errors += non_negative(spec.get("terminationGracePeriodSeconds"), f"{path}.terminationGracePeriodSeconds")
    errors += _deadline(spec.get("activeDeadlineSeconds"), f"{path}.activeDeadlineSeconds")
    errors += _names(spec, path)
    errors += validate_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    errors += validate_pod_security(spec.get("securityContext") or {}, spec, f"{path}.securityContext")
    errors += validate_tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    errors += validate_affinity(spec.get("affinity") or {}, f"{path}.affinity")
    errors += validate_spreading(spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints")
    return errors + _host_aliases(spec.get("hostAliases") or [], f"{path}.hostAliases") + _lists(spec, path)


def _deadline(seconds: int | None, path: str) -> list[FieldError]:
    if seconds is None or 1 <= seconds <= _MAX_DEADLINE_SECONDS:
        return []
    return [FieldError.invalid(path, seconds, f"must be between 1 and {_MAX_DEADLINE_SECONDS}, inclusive")]


def _names(spec: Object, path: str) -> list[FieldError]:
    checks = (("serviceAccountName", names.dns_subdomain), ("nodeName", names.dns_subdomain),
              ("hostname", names.dns_label), ("subdomain", names.dns_label),
              ("priorityClassName", names.dns_subdomain), ("runtimeClassName", names.dns_subdomain))
    errors = [error for key, check in checks for error in checked(spec.get(key), check, f"{path}.{key}")]
    return errors + one_of(spec.get("preemptionPolicy"), ("PreemptLowerPriority", "Never"), f"{path}.preemptionPolicy")


def _dns(spec: Object, path: str) -> list[FieldError]:
    policy, config = spec.get("dnsPolicy"), spec.get("dnsConfig") or {}
    errors = one_of(policy, _DNS_POLICIES, f"{path}.dnsPolicy", required=True)
    servers, at = config.get("nameservers") or [], f"{path}.dnsConfig"
    if policy == "None" and not servers:
        errors.append(FieldError.required(
            f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"))
    if len(servers) > 3:
        errors.append(FieldError.invalid(f"{at}.nameservers", servers, "must not have more than 3 nameservers"))
    for i, server in enumerate(servers):
        errors += _ip(server, f"{at}.nameservers[{i}]")
    if len(config.get("searches") or ()) > 32:
        errors.append(FieldError.invalid(
            f"{at}.searches", config["searches"], "must not have more than 32 search paths"))
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(FieldError.required(f"{at}.options[{i}]", "must not be empty"))
    return errors


def _host_aliases(aliases: list[Object], path: str) -> list[FieldError]:
    errors = []
    for i, alias in enumerate(aliases):
        errors += _ip(alias.get("ip") or "", f"{path}[{i}].ip")
        for j, hostname in enumerate(alias.get("hostnames") or ()):
            errors += checked(hostname, names.dns_subdomain, f"{path}[{i}].hostnames[{j}]")
    return errors


def _ip(value: str, path: str) -> list[FieldError]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return [FieldError.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    return []


def _lists(spec: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        errors += checked(gate.get("conditionType"), names.qualified_name,
                          f"{path}.readinessGates[{i}].conditionType", required=True)
    seen: set[str] = set()
    for i, gate in enumerate(spec.get("schedulingGates") or ()):
        name, at = gate.get("name") or "", f"{path}.schedulingGates[{i}]"
        errors += checked(name, names.qualified_name, f"{at}.name", required=True)
        if name in seen:
            errors.append(FieldError.duplicate(at, name))
        seen.add(name)
    if spec.get("schedulingGates") and spec.get("nodeName"):
        errors.append(FieldError.forbidden(
            f"{path}.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors
