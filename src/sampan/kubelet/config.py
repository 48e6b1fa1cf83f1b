"""The settings of one agent's kubelet, checked once at the start.  Names follow upstream's KubeletConfiguration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """``data_dir`` is ``<data-dir>/<cluster>/nodes/<node>/kubelet``; everything below it is the kubelet's own."""

    node_name: str
    node_ip: str
    data_dir: Path
    pod_cidr: str = ""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: Path = Path("/etc/resolv.conf")
    node_labels: Mapping[str, str] = field(default_factory=dict)
    max_pods: int = 110
    pod_pids_limit: int = 0
    address: str = ""  # to listen on; "" means node_ip
    port: int = 10250
    client_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_private_key_file: Path | None = None
    cgroup_root: str = "/sampan"
    cgroup_mount: Path = Path("/sys/fs/cgroup")
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    serialize_image_pulls: bool = False
    container_log_max_bytes: int = 10 * 1024 * 1024
    container_log_max_files: int = 5
    concurrent_starts: int = 2 * (os.cpu_count() or 1)
    relist_seconds: float = 30.0
    node_status_report_seconds: float = 300.0
    node_lease_duration_seconds: int = 40
    system_reserved_memory_bytes: int = 0

    def __post_init__(self) -> None:
        if not self.node_name or not self.node_ip:
            raise ValueError("the kubelet needs node_name and node_ip")
        if not 0 < self.port < 65536:
            raise ValueError(f"port {self.port} is not between 1 and 65535")
        tls = (self.client_ca_file, self.tls_cert_file, self.tls_private_key_file)
        if any(tls) and not all(tls):
            raise ValueError("client_ca_file, tls_cert_file and tls_private_key_file go together")

    def pod_dir(self, uid: str) -> Path:
        """Volumes, the hosts file and termination messages of one pod."""
        return self.data_dir / "pods" / uid

    def log_dir(self, namespace: str, name: str, uid: str) -> Path:
        """The container logs of one pod: ``<container>/<attempt>.log``."""
        return self.data_dir / "logs" / f"{namespace}_{name}_{uid}"

    @property
    def seccomp_dir(self) -> Path:
        return self.data_dir / "seccomp"
