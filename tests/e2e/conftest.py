"""One cluster for all end-to-end tests, a namespace for each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import DATA_DIR, KUBECTLS, NAME, Cluster, Kubectl

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Started once; gone without a trace in the end, whatever happened in between."""
    cluster = Cluster(NAME, tmp_path_factory.mktemp("e2e") / "kubeconfig")
    cluster.down("--purge")
    try:
        cluster.up()
        yield cluster
    finally:
        save_logs(cluster)
        cluster.down("--purge")


def save_logs(cluster: Cluster) -> None:
    """What the two processes logged, for whoever has to find out why a test failed."""
    kept = DATA_DIR / "logs"
    kept.mkdir(parents=True, exist_ok=True)
    directory = cluster.data_dir / cluster.name
    for log in (directory / "server" / "server.log", *directory.glob("nodes/*/agent.log")):
        if log.exists():
            (kept / f"{cluster.name}-{log.name}").write_bytes(log.read_bytes())


@pytest.fixture(params=sorted(KUBECTLS))
def kubectl_version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace named after the test; deleted in the background when the test is over."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = f"{stem}-{next(_numbers)}"
    cluster.kubectl().apply(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}")
    yield name
    cluster.kubectl()("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str) -> Kubectl:
    """kubectl 1.33, in the test's own namespace."""
    return cluster.kubectl(namespace=namespace)


@pytest.fixture
def each_kubectl(cluster: Cluster, namespace: str, kubectl_version: str) -> Kubectl:
    """The test runs once with each kubectl."""
    return cluster.kubectl(kubectl_version, namespace)


@pytest.fixture
def manifests() -> Path:
    return Path(__file__).parent / "manifests"
