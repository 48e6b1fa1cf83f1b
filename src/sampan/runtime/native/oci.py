"""Pure: what runc is told. CRI values and an image's config in, an OCI ``config.json`` out.

The sandbox holds the pod's namespaces, and every container joins them by path; only the mount namespace is each
container's own (and the pid namespace, unless the pod shares it).  Upstream: containerd
pkg/cri/server/container_create_linux.go, whose defaults (capabilities, masked paths, mounts) are kept; the OCI
runtime-spec, config.md and config-linux.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sampan.runtime.base import ContainerConfig, Mount, Resources, RuntimeFailure, SandboxConfig
from sampan.runtime.native import capabilities, seccomp
from sampan.runtime.native.users import User

Json = dict[str, Any]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Host:
    """What the machine can do, found out once per agent."""

    unified: bool
    capabilities: frozenset[str]
    lowest_oom_score_adj: int  # without CAP_SYS_RESOURCE nothing below the agent's own can be set
    swap_limits: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that a container's config.json depends on.

    ``namespaces`` are the pod's, as paths by OCI type; ``files`` the sandbox's mounts: shm, resolv.conf, hostname.
    """

    config: ContainerConfig
    sandbox: SandboxConfig
    image: Mapping[str, Any]
    user: User
    rootfs: str
    cgroup: str
    namespaces: Mapping[str, str]
    target_pid: int
    files: tuple[Mount, ...]
    devices: tuple[Json, ...] = ()  # all of the host's, for a privileged container


def container_spec(b: Bundle, host: Host) -> Json:
    """The whole config.json. Raises: RuntimeFailure when there is nothing to run."""
    return {
        "ociVersion": "1.0.2",
        "process": _process(b, host),
        "root": {"path": b.rootfs, "readonly": b.config.security.readonly_rootfs},
        "mounts": _mounts(b, host),
        "annotations": dict(b.config.annotations),
        "linux": _linux(b, host),
    }


def pause_spec(rootfs: str, cgroup: str, pins: Mapping[str, str], host: Host) -> Json:
    """The pause process: it sleeps, and its pid namespace is the pod's."""
    namespaces: list[Json] = [{"type": "mount"}, {"type": "pid"}]
    namespaces += [{"type": kind, "path": path} for kind, path in pins.items()]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "args": ["/pause", "-P"],
            "cwd": "/",
            "env": [f"PATH={_PATH}"],
            "user": {"uid": 65535, "gid": 65535},
            "noNewPrivileges": True,
            "oomScoreAdj": max(-998, host.lowest_oom_score_adj),
        },
        "root": {"path": rootfs, "readonly": True},
        "mounts": [_proc(), _dev()],
        "linux": {
            "namespaces": namespaces,
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": False, "access": "rwm"}], "cpu": {"shares": 2}},
        },
    }


def arguments(config: ContainerConfig, image: Mapping[str, Any]) -> list[str]:
    """``command`` replaces Entrypoint and silences Cmd; ``args`` alone replaces Cmd.

    Raises: RuntimeFailure for none.
    """
    entrypoint, cmd = image.get("Entrypoint") or [], image.get("Cmd") or []
    found = [*config.command, *config.args] if config.command else [*entrypoint, *(config.args or cmd)]
    if not found:
        raise RuntimeFailure("no command specified")
    return found


def environment(config: ContainerConfig, image: Mapping[str, Any], hostname: str) -> list[str]:
    """The image's variables, then the container's; each name once, at its first place with its last value."""
    merged = {"PATH": _PATH}
    if hostname:
        merged["HOSTNAME"] = hostname
    if config.tty:
        merged["TERM"] = "xterm"
    merged |= dict(entry.partition("=")[::2] for entry in image.get("Env") or [])
    merged |= dict(config.env)
    return [f"{name}={value}" for name, value in merged.items()]


def _process(b: Bundle, host: Host) -> Json:
    config, security = b.config, b.config.security
    granted = capabilities.for_container(security, host.capabilities)
    return {
        "terminal": config.tty,
        "args": arguments(config, b.image),
        "cwd": config.working_dir or b.image.get("WorkingDir") or "/",
        "env": environment(config, b.image, b.sandbox.hostname),
        "user": {"uid": b.user.uid, "gid": b.user.gid, "additionalGids": [b.user.gid, *b.user.additional_gids]},
        "capabilities": {"bounding": granted, "effective": granted, "permitted": granted},
        "noNewPrivileges": security.no_new_privileges and not security.privileged,
        "oomScoreAdj": max(config.resources.oom_score_adj, host.lowest_oom_score_adj),
    }


def _linux(b: Bundle, host: Host) -> Json:
    security = b.config.security
    linux: Json = {
        "namespaces": _namespaces(b, host),
        "cgroupsPath": b.cgroup,
        "resources": resources(b.config.resources, host),
    }
    if security.privileged:
        linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
        linux["devices"] = list(b.devices)
    else:
        masked, readonly = security.masked_paths, security.readonly_paths
        linux["maskedPaths"] = list(MASKED if masked is None else masked)
        linux["readonlyPaths"] = list(READONLY if readonly is None else readonly)
        granted = capabilities.for_container(security, host.capabilities)
        if filter_ := seccomp.profile(security.seccomp, granted):
            linux["seccomp"] = filter_
    propagation = {mount.propagation for mount in b.config.mounts}
    if propagation & {"rshared", "rslave"}:
        linux["rootfsPropagation"] = "rshared" if "rshared" in propagation else "rslave"
    return linux


def _namespaces(b: Bundle, host: Host) -> list[Json]:
    joined = dict(b.namespaces)
    if b.target_pid:
        joined["pid"] = f"/proc/{b.target_pid}/ns/pid"
    found: list[Json] = [{"type": "mount"}, *({"type": kind, "path": path} for kind, path in joined.items())]
    if "pid" not in joined and b.sandbox.pid == "container":
        found.append({"type": "pid"})
    if host.unified and not b.config.security.privileged:
        found.append({"type": "cgroup"})
    return found


def resources(r: Resources, host: Host) -> Json:
    """The OCI form, in which runc takes version 1 units on both versions of cgroups."""
    cpu = {
        "shares": r.cpu_shares,
        "quota": r.cpu_quota_microseconds,
        "period": r.cpu_period_microseconds or (100_000 if r.cpu_quota_microseconds else 0),
    }
    found: Json = {"devices": [{"allow": False, "access": "rwm"}]}
    if kept := {key: value for key, value in cpu.items() if value}:
        found["cpu"] = kept
    if r.memory_limit_bytes > 0:
        found["memory"] = {"limit": r.memory_limit_bytes}
        if host.swap_limits:  # memory and swap together: the limit is a limit, not a reason to swap
            found["memory"]["swap"] = r.memory_limit_bytes
        if host.unified:  # the kernel kills the whole container, as with cgroup v2 upstream
            found["unified"] = {"memory.oom.group": "1"}
    if r.pids_limit:
        found["pids"] = {"limit": r.pids_limit}
    return found


def _proc() -> Json:
    return {
        "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"],
    }  # fmt: skip


def _dev() -> Json:
    options = ["nosuid", "strictatime", "mode=755", "size=65536k"]
    return {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": options}


def _mounts(b: Bundle, host: Host) -> list[Json]:
    """Kernel file systems, then the sandbox's files, then the pod's volumes; outer paths before inner ones."""
    mode = "rw" if b.config.security.privileged else "ro"
    quiet = ["nosuid", "noexec", "nodev"]
    found = [
        _proc(),
        _dev(),
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": quiet},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*quiet, mode]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": [*quiet, "relatime", mode]},
    ]  # fmt: skip
    asked = {mount.container_path.rstrip("/") for mount in b.config.mounts}
    binds = [m for m in b.files if m.container_path not in asked] + list(b.config.mounts)
    binds.sort(key=lambda m: m.container_path.rstrip("/").count("/"))
    replaced = {m.container_path.rstrip("/") for m in binds}
    return [m for m in found if m["destination"] not in replaced] + [_bind(m) for m in binds]


def _bind(mount: Mount) -> Json:
    if not mount.container_path.startswith("/"):
        raise RuntimeFailure(f"mount path {mount.container_path!r} is not absolute")
    propagation = "rprivate" if mount.propagation == "private" else mount.propagation
    options = ["rbind", propagation, "ro" if mount.readonly else "rw"]
    return {"destination": mount.container_path, "type": "bind", "source": mount.host_path, "options": options}


def exec_process(process: Json, command: Sequence[str], *, tty: bool) -> Json:
    """The container's own user, environment and capabilities, with another program."""
    env = process["env"]
    if tty and not any(entry.startswith("TERM=") for entry in env):
        env = [*env, "TERM=xterm"]
    return {**process, "args": list(command), "terminal": tty, "env": env}
