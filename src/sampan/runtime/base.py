"""The container runtime seam: the verbs of the Container Runtime Interface (CRI v1), as plain Python values.

The kubelet knows only this.  ``native`` implements it with overlayfs, conmon and runc or crun; a CRI client
implements it for containerd and CRI-O.  Upstream: ``staging/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto``,
whose names are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


class RuntimeFailure(Exception):
    """The root of what a runtime raises. The message is shown to users in events and container states."""


class NotFoundInRuntime(RuntimeFailure):
    """No such sandbox, container or image."""


class ImagePullFailure(RuntimeFailure):
    """The image could not be had. ``reason`` is the waiting reason: ErrImagePull, InvalidImageName, ..."""

    def __init__(self, message: str, reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.reason = reason


NamespaceMode = Literal["pod", "container", "node", "target"]


@dataclass(frozen=True, slots=True)
class SecurityContext:
    """What becomes of the effective (pod and container merged) securityContext."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    supplemental_groups: tuple[int, ...] = ()
    privileged: bool = False
    readonly_rootfs: bool = False
    no_new_privileges: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    masked_paths: tuple[str, ...] | None = None  # None: the runtime's defaults
    readonly_paths: tuple[str, ...] | None = None
    seccomp: str = ""  # "", "Unconfined", "RuntimeDefault", or a profile's path


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of one cgroup, in the units of cgroup v1; 0 means not set."""

    cpu_shares: int = 0
    cpu_quota_microseconds: int = 0
    cpu_period_microseconds: int = 0
    memory_limit_bytes: int = 0
    oom_score_adj: int = 0
    pids_limit: int = 0


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The pod's part: what is shared by its containers."""

    name: str
    namespace: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns_servers: tuple[str, ...] = ()
    dns_searches: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    network: NamespaceMode = "pod"  # "pod" or "node" (hostNetwork)
    pid: NamespaceMode = "container"  # "pod" for shareProcessNamespace, "node" for hostPID
    ipc: NamespaceMode = "pod"
    sysctls: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    security: SecurityContext = SecurityContext()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mount:
    container_path: str
    host_path: str
    readonly: bool = False
    propagation: Literal["private", "rslave", "rshared"] = "private"


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """One container of a sandbox. ``command`` and ``args`` replace the image's entrypoint and cmd as in the Pod API."""

    name: str
    image: str  # an image id or reference that image_status knows
    attempt: int = 0
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    log_path: str = ""  # relative to the sandbox's log_directory
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    stop_signal: str = ""
    pid_target: str = ""  # a container id, for ephemeral containers with targetContainerName
    resources: Resources = Resources()
    security: SecurityContext = SecurityContext()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    id: str
    ready: bool
    created_at: float  # seconds since the epoch
    ips: tuple[str, ...]
    pid: int  # of the pause process, 0 when it is gone or the runtime needs none
    netns: str  # path of the network namespace, "" for the node's
    config: SandboxConfig


ContainerState = Literal["created", "running", "exited", "unknown"]


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    id: str
    sandbox_id: str
    state: ContainerState
    created_at: float
    started_at: float  # 0: not yet
    finished_at: float  # 0: not yet
    exit_code: int
    reason: str  # Completed, Error, OOMKilled, ContainerCannotRun, ""
    message: str
    pid: int  # 0 when not running
    image: str  # the reference asked for
    image_id: str
    log_path: str  # absolute
    config: ContainerConfig


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Something happened to a container or sandbox: look again. Loss is harmless, the kubelet also relists."""

    type: Literal["created", "started", "stopped", "deleted"]
    pod_uid: str
    id: str


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: bytes
    stderr: bytes


class Process(Protocol):
    """An exec or attach in progress: three byte streams, a window size and an exit code.

    With a tty, stdout carries everything and ``stderr`` is ``None``. ``wait`` of an attach returns the container's
    exit code once its main process ends; ``close`` detaches from an attach, and kills an exec.
    """

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    async def resize(self, width: int, height: int) -> None: ...
    async def wait(self) -> int: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """For one registry, from an imagePullSecret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """``id`` is the config digest (``sha256:...``); ``config`` the OCI image config's ``config`` object."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size_bytes: int
    config: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerStats:
    id: str
    timestamp: float
    cpu_usage_nanoseconds: int  # cumulative
    memory_usage_bytes: int
    memory_working_set_bytes: int
    writable_layer_bytes: int


class Runtime(Protocol):
    """All verbs are idempotent where CRI says so: stop and remove of what is gone succeed."""

    async def start(self) -> None:
        """Take over what runs already: containers survive a restart of the agent."""
        ...

    async def close(self) -> None:
        """Let go of everything without stopping any container."""
        ...

    def version(self) -> str:
        """``sampan://0.1.0`` or ``containerd://1.6.20``, as node.status.nodeInfo.containerRuntimeVersion shows it."""
        ...

    async def run_pod_sandbox(self, config: SandboxConfig) -> str: ...
    async def stop_pod_sandbox(self, sandbox_id: str) -> None: ...
    async def remove_pod_sandbox(self, sandbox_id: str) -> None: ...
    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus: ...
    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]: ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str: ...
    async def start_container(self, container_id: str) -> None: ...
    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """Send the stop signal, wait up to the timeout, then kill. Returns when the process is gone."""
        ...

    async def remove_container(self, container_id: str) -> None: ...
    async def container_status(self, container_id: str) -> ContainerStatus: ...
    async def list_containers(self) -> Sequence[ContainerStatus]: ...
    async def update_container_resources(self, container_id: str, resources: Resources) -> None: ...
    async def reopen_container_log(self, container_id: str) -> None: ...
    async def container_stats(self, container_id: str) -> ContainerStats: ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        """Raises: TimeoutError after killing the process."""
        ...

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> Process: ...
    async def attach(self, container_id: str, *, stdin: bool) -> Process: ...
    async def port_forward(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to ``localhost:port`` inside the sandbox's network namespace. Raises: OSError."""
        ...

    def events(self) -> AsyncIterator[ContainerEvent]: ...

    async def image_status(self, reference: str) -> Image | None: ...
    async def list_images(self) -> Sequence[Image]: ...
    async def pull_image(self, reference: str, credentials: Credentials | None = None) -> str:
        """Returns the image id. Raises: ImagePullFailure."""
        ...

    async def remove_image(self, reference: str) -> None: ...
