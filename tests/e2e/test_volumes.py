"""Every kind of volume: what is in it, whose it is, and when it changes."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from tests.e2e.cluster import Kubectl, eventually
from tests.e2e.manifest import (
    Object,
    apply,
    config_map,
    container,
    container_status,
    events,
    execute,
    once,
    output,
    pod,
    running,
    secret,
)

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def mount(name: str, path: str = "/data", **fields: object) -> Object:
    return {"name": name, "mountPath": path, **fields}


def test_empty_dir(kubectl: Kubectl) -> None:
    """Shared by the pod's containers, and kept when one of them starts again."""
    volumes = [{"name": "disk", "emptyDir": {}},
               {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}}]
    mounts = [mount("disk", "/disk"), mount("memory", "/memory")]
    writer = container("echo once >>/disk/x; exit 1", name="writer", volumeMounts=mounts)
    reader = container(name="reader", volumeMounts=mounts)
    apply(kubectl, pod(writer, reader, volumes=volumes))
    eventually(lambda: container_status(kubectl, "writer")["restartCount"] >= 1)
    eventually(lambda: execute(kubectl, "pod", "cat /disk/x", "reader").startswith("once\nonce\n"))
    there = execute(kubectl, "pod", "grep ' /memory ' /proc/mounts; ls -ld /disk | cut -c1-10", "reader")
    assert there.startswith("tmpfs /memory tmpfs") and "size=4096k" in there
    assert there.endswith("drwxrwxrwx\n")
    assert "No space left" in execute(kubectl, "pod", "head -c 5m /dev/zero >/memory/x", "reader", check=False)


def test_host_path(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("from the host\n")
    types = {"directory": "Directory", "made": "DirectoryOrCreate", "file": "File", "fresh": "FileOrCreate"}
    volumes = [{"name": name, "hostPath": {"path": str(tmp_path / name), "type": type}} for name, type in types.items()]
    said = output(kubectl, once(
        container("cat /file; echo a >/directory/a; echo b >/made/b; echo c >/fresh",
                  volumeMounts=[mount(name, f"/{name}") for name in types]), volumes=volumes))
    assert said == "from the host\n"
    assert [(tmp_path / p).read_text() for p in ("directory/a", "made/b", "fresh")] == ["a\n", "b\n", "c\n"]
    wrong = [{"name": "v", "hostPath": {"path": str(tmp_path / "file"), "type": "Directory"}}]
    apply(kubectl, pod(container(volumeMounts=[mount("v")]), name="wrong", volumes=wrong))
    assert "hostPath type check failed" in eventually(lambda: events(kubectl, "wrong")["FailedMount"])


def test_config_maps_and_secrets(kubectl: Kubectl) -> None:
    script = ("cat /map/a /map/b; stat -L -c %a /map/a; ls /items; cat /items/deep/file; "
              "stat -L -c %a /items/deep/file; cat /secret/word; stat -L -c %a /secret/word; "
              "cat /sub; ls /none | wc -l; touch /map/x 2>&1; "
              "grep ' /secret ' /proc/mounts | cut -d' ' -f1")
    mounts = [mount("map", "/map"), mount("items", "/items"), mount("secret", "/secret"), mount("none", "/none"),
              mount("map", "/sub", subPath="a")]
    volumes = [
        {"name": "map", "configMap": {"name": "map"}},
        {"name": "items", "configMap": {"name": "map", "items": [{"key": "a", "path": "deep/file", "mode": 0o400}]}},
        {"name": "secret", "secret": {"secretName": "hidden", "defaultMode": 0o440}},
        {"name": "none", "configMap": {"name": "absent", "optional": True}}]
    said = output(kubectl, once(container(f"{script}; true", volumeMounts=mounts), volumes=volumes),
                  config_map("map", a="1\n", b="2\n"), secret("hidden", word="sesame\n"))
    assert said.split("\n")[:9] == ["1", "2", "644", "deep", "1", "400", "sesame", "440", "1"]
    assert "Read-only file system" in said and said.endswith("tmpfs\n")


def test_binary_data_arrives_whole(kubectl: Kubectl) -> None:
    data = bytes(range(256))
    item = config_map("map") | {"binaryData": {"bytes": base64.b64encode(data).decode()}}
    said = output(kubectl, once(container("sha256sum </data/bytes", volumeMounts=[mount("v")]),
                                volumes=[{"name": "v", "configMap": {"name": "map"}}]), item)
    assert said.split()[0] == hashlib.sha256(data).hexdigest()


def test_changes_reach_the_volume(kubectl: Kubectl) -> None:
    """All files of a change appear at once; a subPath stays what it was, as upstream."""
    volumes = [{"name": "map", "configMap": {"name": "map"}}, {"name": "secret", "secret": {"secretName": "hidden"}},
               {"name": "later", "secret": {"secretName": "later", "optional": True}},
               {"name": "labels", "downwardAPI": {"items": [
                   {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]
    mounts = [mount(v["name"], f"/{v['name']}") for v in volumes] + [mount("map", "/sub", subPath="a")]
    running(kubectl, pod(container(volumeMounts=mounts), volumes=volumes),
            config_map("map", a="old", gone="x"), secret("hidden", word="old"))
    assert execute(kubectl, "pod", "cat /labels/labels") == 'app="pod"'
    apply(kubectl, config_map("map", a="new", more="y"), secret("hidden", word="new"), secret("later", word="came"))
    kubectl("label", "pod", "pod", "more=yes")
    eventually(lambda: execute(kubectl, "pod", "cat /map/a /secret/word /later/word; ls /map; cat /sub", check=False) ==
               "newnewcamea\nmore\nold", 90)
    eventually(lambda: execute(kubectl, "pod", "cat /labels/labels") == 'app="pod"\nmore="yes"', 90)


def test_a_missing_config_map_holds_the_pod(kubectl: Kubectl) -> None:
    apply(kubectl, pod(container(volumeMounts=[mount("v")]), volumes=[{"name": "v", "configMap": {"name": "absent"}}]))
    said = eventually(lambda: events(kubectl)["FailedMount"])
    assert 'MountVolume.SetUp failed for volume "v" : configmap "absent" not found' in said
    eventually(lambda: container_status(kubectl)["state"]["waiting"]["reason"] == "ContainerCreating")
    apply(kubectl, config_map("absent", a="1"))
    kubectl.wait("pod/pod", "condition=Ready", 60)


def test_downward_api(kubectl: Kubectl) -> None:
    def reference(path: str, field: str) -> Object:
        return {"path": path, "fieldRef": {"fieldPath": field}}

    items = [reference("name", "metadata.name"), reference("labels", "metadata.labels"),
             reference("note", "metadata.annotations['note']"), reference("uid", "metadata.uid"),
             {"path": "memory", "resourceFieldRef": {
                 "containerName": "main", "resource": "limits.memory", "divisor": "1Mi"}}]
    item = once(container("for f in name labels note uid memory; do cat /data/$f; echo; done",
                          volumeMounts=[mount("v")], resources={"limits": {"memory": "48Mi"}}),
                volumes=[{"name": "v", "downwardAPI": {"items": items}}])
    item["metadata"]["annotations"] = {"note": "a note"}
    said = output(kubectl, item)
    uid = kubectl.json("get", "pod", "pod")["metadata"]["uid"]
    assert said == f'pod\napp="pod"\na note\n{uid}\n48\n'


def test_projected_together(kubectl: Kubectl) -> None:
    sources = [{"configMap": {"name": "map", "items": [{"key": "a", "path": "conf/a"}]}},
               {"secret": {"name": "hidden"}},
               {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
               {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}}]
    said = output(kubectl, once(
        container("cat /data/conf/a /data/word /data/name; echo; cat /data/token; id -u; stat -L -c %a /data/token",
                  volumeMounts=[mount("v")]), volumes=[{"name": "v", "projected": {"sources": sources}}],
        securityContext={"runAsUser": 1000, "fsGroup": 1000}), config_map("map", a="1"), secret("hidden", word="2"))
    first, rest = said.split("\n", 1)
    assert first == "12pod"
    payload = rest.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == ["vault"] and claims["sub"] == f"system:serviceaccount:{kubectl.namespace}:default"
    assert claims["kubernetes.io"]["pod"]["name"] == "pod"
    assert claims["exp"] - claims["iat"] == 600
    assert rest.endswith("1000\n640\n") or rest.endswith("1000\n600\n"), rest


def test_sub_paths(kubectl: Kubectl) -> None:
    mounts = [mount("v", "/whole"), mount("v", "/part", subPath="a/b"),
              mount("v", "/mine", subPathExpr="$(POD)/logs")]
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    said = output(kubectl, once(
        container("echo x >/part/x; echo y >/mine/y; cat /whole/a/b/x /whole/pod/logs/y", env=env, volumeMounts=mounts),
        volumes=[{"name": "v", "emptyDir": {}}]))
    assert said == "x\ny\n"
    apply(kubectl, pod(container(volumeMounts=[mount("v", subPathExpr="$(ABSOLUTE)")],
                                 env=[{"name": "ABSOLUTE", "value": "/tmp"}]), name="bad",
                       volumes=[{"name": "v", "emptyDir": {}}]))
    eventually(lambda: container_status(kubectl, name="bad")["state"]["waiting"]["reason"] ==
               "CreateContainerConfigError")


def test_a_pod_calls_its_own_api_server(kubectl: Kubectl) -> None:
    """With the token at the usual path, the CA beside it, and the name that every client library uses.

    The client is the machine's curl: like the nginx image it comes from Debian.
    """
    kubectl("create", "role", "looker", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "looker", "--role=looker", f"--serviceaccount={kubectl.namespace}:default")
    script = (f"cd {TOKEN}; ls; cat namespace; echo; for what in pods/pod secrets; do "
              'curl -sS --cacert ca.crt -H "Authorization: Bearer $(cat token)" '
              f"https://kubernetes.default.svc/api/v1/namespaces/{kubectl.namespace}/$what | tr -d '\\n'; echo; done")
    client = container(script, image="nginx", volumeMounts=[mount("usr", "/usr", readOnly=True)])
    said = output(kubectl, once(client, volumes=[{"name": "usr", "hostPath": {"path": "/usr"}}]))
    *listed, own_pod, secrets = said.strip().split("\n")
    assert listed == ["ca.crt", "namespace", "token", kubectl.namespace]
    assert json.loads(own_pod)["metadata"]["name"] == "pod"
    refusal = json.loads(secrets)  # known by name, and allowed no more than it was given
    assert refusal["code"] == 403 and f"system:serviceaccount:{kubectl.namespace}:default" in refusal["message"]
    none = output(kubectl, once(container(f"ls {TOKEN} 2>&1; true"), name="none", automountServiceAccountToken=False))
    assert "No such file" in none
    assert [m["mountPath"] for m in container_status(kubectl)["volumeMounts"]] == ["/usr", TOKEN]
