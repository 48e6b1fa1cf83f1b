"""What kubectl changes, with each version: create, apply, patch, scale, roll out, label, delete."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.cluster import Kubectl, eventually

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: %s}
"""


def test_apply_by_the_client(each_kubectl: Kubectl) -> None:
    assert each_kubectl.apply(CONFIG % "red").out == "configmap/settings created\n"
    assert each_kubectl.apply(CONFIG % "red").out == "configmap/settings unchanged\n"
    difference = each_kubectl("diff", "-f", "-", stdin=CONFIG % "blue", check=False)
    assert difference.code == 1 and "+  colour: blue" in difference.out
    assert each_kubectl.apply(CONFIG % "blue").out == "configmap/settings configured\n"
    assert each_kubectl("delete", "-f", "-", stdin=CONFIG % "blue").out.startswith('configmap "settings" deleted')


def test_apply_by_the_server(each_kubectl: Kubectl) -> None:
    each_kubectl("apply", "--server-side", "-f", "-", stdin=CONFIG % "red")
    assert each_kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}").out == "red"
    refused = each_kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=CONFIG % "blue",
                           check=False)
    assert refused.code == 1 and 'conflict with "kubectl"' in refused.err and ".data.colour" in refused.err
    each_kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-",
                 stdin=CONFIG % "blue")
    owners = each_kubectl("get", "cm", "settings", "--show-managed-fields", "-o",
                          "jsonpath={.metadata.managedFields[*].manager}").out.split()
    assert "other" in owners


def test_create_and_delete(each_kubectl: Kubectl) -> None:
    each_kubectl("create", "secret", "generic", "password", "--from-literal=word=hidden")
    again = each_kubectl("create", "secret", "generic", "password", check=False)
    assert again.err == 'error: failed to create secret secrets "password" already exists\n'
    each_kubectl("create", "serviceaccount", "robot")
    each_kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    each_kubectl("create", "rolebinding", "read", "--role=reader", f"--serviceaccount={each_kubectl.namespace}:robot")
    each_kubectl("delete", "secret/password", "serviceaccount/robot", "role/reader", "rolebinding/read")
    assert each_kubectl("get", "secret", "password", check=False).code == 1


def test_dry_run_changes_nothing(each_kubectl: Kubectl) -> None:
    out = each_kubectl("apply", "--dry-run=server", "-f", "-", stdin=CONFIG % "red").out
    assert out == "configmap/settings created (server dry run)\n"
    assert each_kubectl("get", "cm", "settings", check=False).code == 1


def test_patch_in_three_ways(each_kubectl: Kubectl) -> None:
    each_kubectl.apply(CONFIG % "red")
    each_kubectl("patch", "cm", "settings", "--type=merge", "-p", '{"data":{"size":"big"}}')
    each_kubectl("patch", "cm", "settings", "--type=json", "-p", '[{"op":"remove","path":"/data/colour"}]')
    each_kubectl("patch", "cm", "settings", "--type=strategic", "-p", '{"data":{"shape":"round"}}')
    assert each_kubectl.json("get", "cm", "settings")["data"] == {"size": "big", "shape": "round"}


def test_edit(each_kubectl: Kubectl, monkeypatch: object, tmp_path: Path) -> None:
    each_kubectl.apply(CONFIG % "red")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i s/red/green/ \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("KUBE_EDITOR", str(editor))  # type: ignore[attr-defined]
    assert "edited" in each_kubectl("edit", "cm", "settings").out
    assert each_kubectl.json("get", "cm", "settings")["data"] == {"colour": "green"}


def test_label_and_annotate(each_kubectl: Kubectl) -> None:
    each_kubectl.apply(CONFIG % "red")
    each_kubectl("label", "cm", "settings", "tier=front")
    refused = each_kubectl("label", "cm", "settings", "tier=back", check=False)
    assert refused.code == 1 and "--overwrite" in refused.err
    each_kubectl("label", "cm", "settings", "tier-")
    each_kubectl("annotate", "cm", "settings", "why=because")
    meta = each_kubectl.json("get", "cm", "settings")["metadata"]
    assert meta["annotations"]["why"] == "because" and "tier" not in meta.get("labels", {})


def test_a_deployment_scales_and_rolls(each_kubectl: Kubectl, manifests: Path) -> None:
    each_kubectl("apply", "-f", str(manifests / "web.yaml"))
    assert "successfully rolled out" in each_kubectl("rollout", "status", "deployment/web", "--timeout=60s").out
    each_kubectl("scale", "deployment/web", "--replicas=3")
    each_kubectl.wait("deployment/web", "jsonpath={.status.readyReplicas}=3")
    each_kubectl("set", "env", "deployment/web", "GENERATION=2")
    each_kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    history = each_kubectl("rollout", "history", "deployment/web").out
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    each_kubectl("rollout", "undo", "deployment/web")
    each_kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    containers = each_kubectl.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"]
    assert "env" not in containers[0]
    each_kubectl("rollout", "restart", "deployment/web")
    each_kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    each_kubectl("set", "image", "deployment/web", "nginx=nginx:latest")
    each_kubectl("rollout", "pause", "deployment/web")
    each_kubectl("rollout", "resume", "deployment/web")


def test_run_and_expose(each_kubectl: Kubectl) -> None:
    each_kubectl("run", "one", "--image=nginx", "--image-pull-policy=IfNotPresent", "--port=80")
    each_kubectl("expose", "pod", "one", "--port=8080", "--target-port=80")
    each_kubectl.wait("pod/one", "condition=Ready")
    service = each_kubectl.json("get", "service", "one")
    assert service["spec"]["ports"][0] == {"port": 8080, "protocol": "TCP", "targetPort": 80}
    address = each_kubectl.json("get", "pod", "one")["status"]["podIP"]
    eventually(lambda: address in each_kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=one").out)
    each_kubectl("delete", "pod,service", "one", "--now")


def test_taint_and_cordon(each_kubectl: Kubectl) -> None:
    node = each_kubectl("get", "nodes", "-o", "name").out.strip()
    name = node.split("/")[1]
    try:
        each_kubectl("taint", "node", name, "test=yes:NoSchedule")
        each_kubectl("cordon", name)
        assert "SchedulingDisabled" in each_kubectl("get", node).out
        each_kubectl("run", "waiting", "--image=busybox", "--image-pull-policy=IfNotPresent", "--", "sleep", "9")
        message = eventually(lambda: each_kubectl(
            "get", "pod", "waiting", "-o", "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}").out)
        assert message.startswith("0/1 nodes are available: 1 node(s) "), message
    finally:
        each_kubectl("taint", "node", name, "test-", check=False)
        each_kubectl("uncordon", name)
    each_kubectl.wait("pod/waiting", "condition=Ready")


def test_drain_evicts_what_may_be_evicted(each_kubectl: Kubectl, manifests: Path) -> None:
    each_kubectl("apply", "-f", str(manifests / "web.yaml"))
    each_kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    name = each_kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}").out
    try:
        out = each_kubectl("drain", name, "--ignore-daemonsets", "--force", "--delete-emptydir-data",
                           "--pod-selector=app=web", "--timeout=60s").out
        assert "evicting pod" in out or "evicted" in out
        assert f"node/{name} drained" in out
    finally:
        each_kubectl("uncordon", name)


def test_replace_and_json_in(each_kubectl: Kubectl) -> None:
    each_kubectl.apply(CONFIG % "red")
    live = each_kubectl.json("get", "cm", "settings")
    live["data"] = {"colour": "white"}
    each_kubectl("replace", "-f", "-", stdin=json.dumps(live))
    stale = each_kubectl("replace", "-f", "-", stdin=json.dumps(live), check=False)
    assert stale.code == 1 and "the object has been modified" in stale.err
