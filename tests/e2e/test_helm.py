"""The real Helm installs, upgrades, rolls back and removes the chart that ``helm create`` makes."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster import KUBECTLS, Kubectl, Result, eventually, run


def test_a_release_lives_and_ends(kubectl: Kubectl, tmp_path: Path) -> None:
    def helm(*arguments: str) -> Result:
        program = str(KUBECTLS["1.37"].with_name("helm"))
        return run([program, "--kubeconfig", str(kubectl.cluster.kubeconfig), "--namespace", kubectl.namespace,
                    *arguments], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, timeout=90)

    chart = str(tmp_path / "web")
    run([str(KUBECTLS["1.37"].with_name("helm")), "create", chart], env={"HOME": str(tmp_path)})
    helm("install", "first", chart, "--set", "image.tag=latest", "--wait", "--timeout", "60s")
    assert "deployed" in helm("list").out
    helm("upgrade", "first", chart, "--set", "image.tag=latest,replicaCount=2", "--wait", "--timeout", "60s")
    assert kubectl.json("get", "deployment", "first-web")["status"]["readyReplicas"] == 2
    helm("rollback", "first", "1", "--wait", "--timeout", "60s")
    assert kubectl.json("get", "deployment", "first-web")["spec"]["replicas"] == 1
    assert [line.split("\t")[0].strip() for line in helm("history", "first").out.splitlines()[1:]] == ["1", "2", "3"]
    helm("uninstall", "first", "--wait", "--timeout", "60s")
    eventually(lambda: not kubectl.json("get", "all")["items"])
