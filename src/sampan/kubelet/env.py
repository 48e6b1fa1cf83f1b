"""The environment of a container: literal values, references, whole ConfigMaps and Secrets, and service variables.

Order decides who wins and what ``$(VAR)`` may refer to: service variables first, then ``envFrom``, then ``env`` from
top to bottom.  A reference that can't be resolved keeps the container from being created
(``CreateContainerConfigError``).  Upstream: ``pkg/kubelet/kubelet_pods.go`` ``makeEnvironmentVariables``,
``third_party/forked/golang/expansion``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sampan.kubelet.containers import Container, Pod
from sampan.kubelet.fields import FieldMissing, pod_field, resource_field

Lookup = Callable[[str], Mapping[str, Any] | None]


class ConfigError(Exception):
    """The container can't be made from its spec. The message becomes that of CreateContainerConfigError."""


class References(Protocol):
    """The ConfigMaps and Secrets of the pod's namespace, by name; ``None``: there is none."""

    def config_map(self, name: str) -> Mapping[str, Any] | None: ...
    def secret(self, name: str) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the environment may refer to besides the pod. ``allocatable``: the node's ``{"cpu": .., "memory": ..}``."""

    references: References
    service_variables: Mapping[str, str] = field(default_factory=dict)
    pod_ips: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)


def environment(pod: Pod, container: Container, around: Surroundings) -> dict[str, str]:
    """``{name: value}`` in the order in which the container gets it. Raises: ConfigError."""
    found = dict(around.service_variables)
    for source in container.spec.get("envFrom") or ():
        found.update(_whole(pod, source, around.references))
    own: dict[str, str] = {}
    for variable in container.spec.get("env") or ():
        value = _value(pod, container, variable, around, {**found, **own})
        if value is not None:
            own[variable["name"]] = value
    return {**{k: v for k, v in found.items() if k not in own}, **own}


def _value(
    pod: Pod, container: Container, variable: Mapping[str, Any], around: Surroundings, known: Mapping[str, str]
) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value") or "", known)
    try:
        if ref := source.get("fieldRef"):
            return pod_field(pod, ref["fieldPath"], pod_ips=around.pod_ips, host_ips=around.host_ips)
        if ref := source.get("resourceFieldRef"):
            return resource_field(pod, container.name, ref, around.allocatable)
    except FieldMissing as error:
        raise ConfigError(str(error)) from error
    if ref := source.get("configMapKeyRef"):
        return _key(pod, ref, around.references.config_map, "configmap", "ConfigMap")
    if ref := source.get("secretKeyRef"):
        return _key(pod, ref, around.references.secret, "secret", "Secret")
    raise ConfigError(f"env {variable['name']}: valueFrom {', '.join(sorted(source))} is not supported")


def _key(pod: Pod, ref: Mapping[str, Any], lookup: Lookup, resource: str, kind: str) -> str | None:
    found = lookup(ref["name"])
    if found is None:
        if ref.get("optional"):
            return None
        raise ConfigError(f'{resource} "{ref["name"]}" not found')
    data = text_data(found)
    if ref["key"] in data:
        return data[ref["key"]]
    if ref.get("optional"):
        return None
    raise ConfigError(f"couldn't find key {ref['key']} in {kind} {pod['metadata']['namespace']}/{ref['name']}")


def _whole(pod: Pod, source: Mapping[str, Any], references: References) -> dict[str, str]:
    lookup, resource = references.config_map, "configmap"
    ref = source.get("configMapRef")
    if not ref:
        lookup, resource, ref = references.secret, "secret", source.get("secretRef") or {}
    found = lookup(ref["name"])
    if found is None:
        if ref.get("optional"):
            return {}
        raise ConfigError(f'{resource} "{ref["name"]}" not found')
    return {(source.get("prefix") or "") + key: value for key, value in text_data(found).items()}


def text_data(obj: Mapping[str, Any]) -> dict[str, str]:
    """The text values of a ConfigMap, or the decoded values of a Secret."""
    if obj.get("kind") != "Secret":
        return dict(obj.get("data") or {})
    from base64 import b64decode

    return {k: b64decode(v or "").decode("utf-8", "replace") for k, v in (obj.get("data") or {}).items()}


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` where NAME is known; ``$$`` is a dollar sign; anything else stays as it is."""
    out, at = [], 0
    while (dollar := text.find("$", at)) >= 0:
        out.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        end = text.find(")", dollar) if following == "(" else -1
        if following == "$":
            out.append("$")
            at = dollar + 2
        elif end >= 0:
            name = text[dollar + 2 : end]
            out.append(known.get(name, text[dollar : end + 1]))
            at = end + 1
        else:
            out.append("$")
            at = dollar + 1
    out.append(text[at:])
    return "".join(out)


def service_variables(pod: Pod, services: list[Mapping[str, Any]]) -> dict[str, str]:
    """``<NAME>_SERVICE_HOST`` and the docker-link style variables, of the pod's namespace.

    The API server's own Service ``kubernetes`` in ``default`` is there even with ``enableServiceLinks: false``.
    """
    namespace = pod["metadata"].get("namespace")
    links = pod["spec"].get("enableServiceLinks", True) is not False
    chosen: dict[str, Mapping[str, Any]] = {}
    for service in services:
        meta = service["metadata"]
        is_master = meta["namespace"] == "default" and meta["name"] == "kubernetes"
        if is_master and meta["name"] not in chosen or (links and meta["namespace"] == namespace):
            chosen[meta["name"]] = service
    found: dict[str, str] = {}
    for name in sorted(chosen):
        found.update(_of_service(name, chosen[name]["spec"]))
    return found


def _of_service(name: str, spec: Mapping[str, Any]) -> dict[str, str]:
    address, ports = spec.get("clusterIP", ""), spec.get("ports") or ()
    if address in ("", "None") or not ports or spec.get("type") == "ExternalName":
        return {}
    prefix = name.upper().replace("-", "_")
    found = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            found[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    host = f"[{address}]" if ":" in address else address
    for index, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{host}:{port['port']}"
        link = f"{prefix}_PORT_{port['port']}_{protocol}"
        if index == 0:
            found[f"{prefix}_PORT"] = url
        found |= {link: url, f"{link}_PROTO": protocol.lower(), f"{link}_PORT": str(port["port"]),
                  f"{link}_ADDR": address}
    return found
