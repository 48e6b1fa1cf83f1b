"""The effective security context of a container, and what of it this node refuses.

Container fields come before the pod's.  Upstream: ``pkg/securitycontext/util.go``,
``pkg/kubelet/kuberuntime/security_context.go``, ``pkg/kubelet/sysctl``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sampan.kubelet.containers import Container, Pod, pod_text
from sampan.kubelet.env import ConfigError
from sampan.runtime.base import SecurityContext

#: Sysctls that stay within the pod's own namespaces and can't hurt its neighbours.
SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
)


def security_context(
    pod: Pod, container: Container, image_user: str, seccomp_root: str, groups: Sequence[int] = ()
) -> SecurityContext:
    """What the runtime is to enforce. ``image_user`` is the image's USER. Raises: ConfigError."""
    own = container.spec.get("securityContext") or {}
    shared = pod["spec"].get("securityContext") or {}
    user = own.get("runAsUser", shared.get("runAsUser"))
    group = own.get("runAsGroup", shared.get("runAsGroup"))
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")):
        _check_non_root(pod, container, user, image_user)
    _check_mandatory_access_control(own, shared)
    name = ""
    if user is None:
        user, group, name = _from_image(image_user, group)
    capabilities = own.get("capabilities") or {}
    privileged = bool(own.get("privileged"))
    unmasked = privileged or own.get("procMount") == "Unmasked"
    return SecurityContext(
        run_as_user=user,
        run_as_group=group,
        run_as_username=name,
        supplemental_groups=tuple(dict.fromkeys([*_pod_groups(shared), *groups])),
        privileged=privileged,
        readonly_rootfs=bool(own.get("readOnlyRootFilesystem")),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        masked_paths=() if unmasked else None,
        readonly_paths=() if unmasked else None,
        seccomp="Unconfined" if privileged else _seccomp(own, shared, seccomp_root),
    )


def sandbox_security(pod: Pod, seccomp_root: str) -> SecurityContext:
    """For the pause process: the pod's own fields, privileged when any of its containers is."""
    shared = pod["spec"].get("securityContext") or {}
    everyone = [*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ())]
    return SecurityContext(
        run_as_user=shared.get("runAsUser"),
        run_as_group=shared.get("runAsGroup"),
        supplemental_groups=_pod_groups(shared),
        privileged=any((c.get("securityContext") or {}).get("privileged") for c in everyone),
        seccomp=_seccomp({}, shared, seccomp_root) or "RuntimeDefault",
    )


def _pod_groups(shared: Mapping[str, Any]) -> tuple[int, ...]:
    groups = list(shared.get("supplementalGroups") or ())
    if shared.get("fsGroup") is not None:
        groups.append(shared["fsGroup"])
    return tuple(dict.fromkeys(groups))


def _from_image(image_user: str, group: int | None) -> tuple[int | None, int | None, str]:
    """The user that the image asks for: a number, or a name that only the runtime can look up in the image."""
    user, _, image_group = image_user.partition(":")
    if group is None and image_group.isdigit():
        group = int(image_group)
    if user.isdigit():
        return int(user), group, ""
    return None, group, user


def _check_non_root(pod: Pod, container: Container, user: int | None, image_user: str) -> None:
    where = f'(pod: "{pod_text(pod)}", container: {container.name})'
    named = image_user.partition(":")[0]
    if user == 0:
        raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
    if user is not None:
        return
    if named in ("", "0"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if not named.isdigit():
        why = f"image has non-numeric user ({named}), cannot verify user is non-root"
        raise ConfigError(f"container has runAsNonRoot and {why} {where}")


def _check_mandatory_access_control(own: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
    """Whoever asks to be confined must not run unconfined because nobody here can do it."""
    profile = own.get("appArmorProfile") or shared.get("appArmorProfile") or {}
    if profile.get("type", "Unconfined") != "Unconfined":
        raise ConfigError(f'cannot enforce AppArmor: the profile type "{profile["type"]}" is not supported here')
    if own.get("seLinuxOptions") or shared.get("seLinuxOptions"):
        raise ConfigError("cannot enforce SELinux: seLinuxOptions is not supported on this node")


def _seccomp(own: Mapping[str, Any], shared: Mapping[str, Any], root: str) -> str:
    profile = own.get("seccompProfile") or shared.get("seccompProfile") or {}
    if profile.get("type") == "Localhost":
        return f"{root}/{profile.get('localhostProfile', '')}"
    return str(profile.get("type") or "")


def sysctls(pod: Pod) -> dict[str, str]:
    listed = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return {s["name"].replace("/", "."): s["value"] for s in listed}


def forbidden_sysctl(pod: Pod, allowed_unsafe: Sequence[str]) -> str:
    """Why this node won't set the pod's sysctls, ``""`` if it will. ``allowed_unsafe``: names, or ``net.core.*``."""
    shares_network, shares_ipc = pod["spec"].get("hostNetwork"), pod["spec"].get("hostIPC")
    for name in sysctls(pod):
        if shares_network and name.startswith("net."):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
        if shares_ipc and name.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
        if name not in SAFE_SYSCTLS and not any(_covers(pattern, name) for pattern in allowed_unsafe):
            return f'forbidden sysctl: "{name}" not allowlisted'
    return ""


def _covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
