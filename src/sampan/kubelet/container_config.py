"""One container as the runtime is to make it: command, environment, mounts, limits, identity.

Pure but for the files it mounts, which must be there already.  Upstream:
``pkg/kubelet/kuberuntime/kuberuntime_container.go`` ``generateContainerConfig``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sampan.kubelet import labels
from sampan.kubelet.actions import StartContainer
from sampan.kubelet.containers import Container, Pod, grace_period, spec_hash
from sampan.kubelet.context import Context
from sampan.kubelet.env import ConfigError, Surroundings, environment, expand, service_variables
from sampan.kubelet.objects import PodReferences
from sampan.kubelet.resources import container_resources
from sampan.kubelet.security import security_context
from sampan.runtime.base import ContainerConfig, Image, Mount, SandboxStatus

DEFAULT_TERMINATION_PATH = "/dev/termination-log"


def container_environment(context: Context, pod: Pod, container: Container, sandbox: SandboxStatus) -> dict[str, str]:
    """Raises: ConfigError."""
    ips = context.host_ips if sandbox.config.network == "node" else sandbox.ips
    around = Surroundings(
        references=PodReferences(context.objects, pod["metadata"]["namespace"]),
        service_variables=service_variables(pod, context.services()),
        pod_ips=ips,
        host_ips=context.host_ips,
        allocatable=context.volumes.allocatable,
    )
    return environment(pod, container, around)


def container_config(
    context: Context,
    pod: Pod,
    container: Container,
    action: StartContainer,
    *,
    image: Image,
    env: Mapping[str, str],
    mounts: tuple[Mount, ...],
    termination_file: str,
    pid_target: str = "",
) -> ContainerConfig:
    """Raises: ConfigError."""
    spec = container.spec
    image_user = str(image.config.get("User") or "")
    limits = container_resources(pod, container, context.memory_bytes, context.config.pod_pids_limit)
    return ContainerConfig(
        name=container.name,
        image=image.id,
        attempt=action.attempt,
        command=tuple(expand(part, env) for part in spec.get("command") or ()),
        args=tuple(expand(part, env) for part in spec.get("args") or ()),
        working_dir=spec.get("workingDir") or "",
        env=tuple(env.items()),
        mounts=mounts,
        log_path=f"{container.name}/{action.attempt}.log",
        stdin=bool(spec.get("stdin")),
        stdin_once=bool(spec.get("stdinOnce")),
        tty=bool(spec.get("tty")),
        stop_signal=(spec.get("lifecycle") or {}).get("stopSignal") or "",
        pid_target=pid_target,
        resources=limits,
        security=security_context(pod, container, image_user, str(context.config.seccomp_dir)),
        labels=labels.container_labels(pod, container.name),
        annotations=_annotations(pod, container, action, termination_file),
    )


def _annotations(pod: Pod, container: Container, action: StartContainer, termination_file: str) -> dict[str, str]:
    spec = container.spec
    return {
        labels.HASH: spec_hash(spec),
        labels.RESTART_COUNT: str(action.attempt),
        labels.BACKOFF: f"{action.backoff_seconds:g}",
        labels.TERMINATION_MESSAGE_PATH: spec.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH,
        labels.TERMINATION_MESSAGE_POLICY: spec.get("terminationMessagePolicy") or "File",
        labels.TERMINATION_FILE: termination_file,
        labels.GRACE_PERIOD: f"{grace_period(pod):g}",
    }


def check_supported(container: Container) -> None:
    """Refuse by name what would otherwise be ignored. Raises: ConfigError."""
    spec: Mapping[str, Any] = container.spec
    if spec.get("volumeDevices"):
        raise ConfigError("volumeDevices (raw block volumes) are not supported by this node")
    for name in ((spec.get("resources") or {}).get("limits") or {}):
        if name.startswith("hugepages-"):
            raise ConfigError(f"resource {name} is not supported by this node")
    if (spec.get("resources") or {}).get("claims"):
        raise ConfigError("resource claims (dynamic resource allocation) are not supported by this node")
