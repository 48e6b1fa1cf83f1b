"""What kubectl asks without changing anything, with each version."""

from __future__ import annotations

import json
import subprocess

from tests.e2e.cluster import Kubectl, eventually


def test_version(each_kubectl: Kubectl) -> None:
    answer = json.loads(each_kubectl("version", "-o", "json").out)
    assert answer["serverVersion"]["gitVersion"].startswith("v1.37.0")


def test_cluster_info(each_kubectl: Kubectl) -> None:
    assert "is running at" in each_kubectl("cluster-info").out


def test_api_resources(each_kubectl: Kubectl) -> None:
    lines = {line.split()[0]: line.split() for line in each_kubectl("api-resources").out.splitlines()}
    assert lines["pods"] == ["pods", "po", "v1", "true", "Pod"]
    assert lines["deployments"] == ["deployments", "deploy", "apps/v1", "true", "Deployment"]
    assert lines["nodes"] == ["nodes", "no", "v1", "false", "Node"]


def test_api_versions(each_kubectl: Kubectl) -> None:
    assert {"v1", "apps/v1", "rbac.authorization.k8s.io/v1"} <= set(each_kubectl("api-versions").out.split())


def test_explain(each_kubectl: Kubectl) -> None:
    assert "replicas" in each_kubectl("explain", "deployment.spec").out
    assert "maxSurge" in each_kubectl("explain", "deployment.spec.strategy.rollingUpdate").out
    refused = each_kubectl("explain", "pod.spec.nonsense", check=False)
    assert refused.code == 1 and "nonsense" in refused.err


def test_get_in_every_form(each_kubectl: Kubectl) -> None:
    each_kubectl("create", "configmap", "one", "--from-literal=a=1")
    each_kubectl("label", "configmap", "one", "tier=front")
    assert each_kubectl("get", "configmap", "one", "-o", "jsonpath={.data.a}").out == "1"
    assert "a: \"1\"" in each_kubectl("get", "cm/one", "-o", "yaml").out
    assert each_kubectl("get", "cm", "-l", "tier=front", "-o", "name").out.split() == ["configmap/one"]
    assert each_kubectl("get", "cm", "-l", "tier=back", "-o", "name").out == ""
    header, row, *_ = each_kubectl("get", "configmaps", "one").out.splitlines()
    assert header.split() == ["NAME", "DATA", "AGE"]
    assert row.split()[:2] == ["one", "1"]
    assert each_kubectl.namespace in each_kubectl("get", "cm", "-A").out
    wide = each_kubectl("get", "nodes", "-o", "wide").out.splitlines()
    assert wide[0].split()[:5] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert "CONTAINER-RUNTIME" in wide[0] and "sampan://" in wide[1]
    assert each_kubectl("get", "cm", "one", "-o", "custom-columns=N:.metadata.name").out.split() == ["N", "one"]


def test_get_of_what_is_not_there(each_kubectl: Kubectl) -> None:
    refused = each_kubectl("get", "pod", "nobody", check=False)
    assert (refused.code, refused.err) == (1, 'Error from server (NotFound): pods "nobody" not found\n')
    refused = each_kubectl("get", "nonsense", check=False)
    assert refused.code == 1 and 'the server doesn\'t have a resource type "nonsense"' in refused.err


def test_get_watch_shows_each_change(each_kubectl: Kubectl) -> None:
    watching = each_kubectl.start("get", "configmaps", "-w", "--output-watch-events", stdout=subprocess.PIPE)
    assert watching.stdout is not None
    try:
        each_kubectl("create", "configmap", "seen")
        each_kubectl("delete", "configmap", "seen")
        lines: list[str] = []
        while not any(line.startswith("DELETED") and "seen" in line for line in lines):
            lines.append(watching.stdout.readline().decode())
            assert lines[-1], lines
        assert any(line.startswith("ADDED") and "seen" in line for line in lines)
    finally:
        watching.terminate()
        watching.wait()
        watching.stdout.close()


def test_describe(each_kubectl: Kubectl, manifests: object) -> None:
    each_kubectl("run", "shown", "--image=busybox", "--image-pull-policy=IfNotPresent", "--", "sleep", "1000")
    each_kubectl.wait("pod/shown", "condition=Ready")
    text = eventually(lambda: (out := each_kubectl("describe", "pod", "shown").out) and "Started" in out and out)
    for part in ("Status:           Running", "Successfully assigned", "QoS Class:                   BestEffort",
                 "kube-api-access-", "Container image \"busybox\" already present"):
        assert part in text, text
    assert "Allocated resources" in each_kubectl("describe", "node").out
    for kind in ("namespace/default", "service/kubernetes"):
        assert "Name:" in each_kubectl("describe", kind, "-n", "default").out


def test_events(each_kubectl: Kubectl) -> None:
    each_kubectl("run", "noisy", "--image=busybox", "--image-pull-policy=IfNotPresent", "--", "sleep", "1000")
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        eventually(lambda reason=reason: reason in each_kubectl("get", "events").out)
    assert "pod/noisy" in each_kubectl("events", "--for", "pod/noisy").out.lower()


def test_can_i(each_kubectl: Kubectl) -> None:
    assert each_kubectl("auth", "can-i", "create", "pods").out == "yes\n"
    as_default = f"--as=system:serviceaccount:{each_kubectl.namespace}:default"
    refused = each_kubectl("auth", "can-i", "create", "pods", as_default, check=False)
    assert (refused.code, refused.out) == (1, "no\n")
    assert "selfsubjectaccessreviews" in each_kubectl("auth", "can-i", "--list", as_default).out
    assert "kubernetes-admin" in each_kubectl("auth", "whoami").out


def test_what_is_not_there_yet_is_refused_by_name(each_kubectl: Kubectl) -> None:
    each_kubectl("create", "deployment", "web", "--image=nginx", "--replicas=0")
    refused = each_kubectl("autoscale", "deployment", "web", "--max=3", check=False)
    assert refused.code == 1 and "autoscaling" in refused.err.lower(), refused
    refused = each_kubectl("top", "nodes", check=False)
    assert (refused.code, refused.err) == (1, "error: Metrics API not available\n")


def test_raw_paths(each_kubectl: Kubectl) -> None:
    assert each_kubectl("get", "--raw", "/readyz").out == "ok"
    assert "[+]ping ok" in each_kubectl("get", "--raw", "/livez?verbose").out
    assert json.loads(each_kubectl("get", "--raw", "/openid/v1/jwks").out)["keys"]
