"""Images come from a registry, here one on the node's loopback, with and without a password."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster import Cluster, Kubectl, eventually
from tests.e2e.manifest import Object, apply, container_status, ended, events, output, pod, status
from tests.e2e.registry import HTPASSWD, docker_config, push, registry

BUSYBOX = Path("/bin/busybox")
HELLO = {"bin/sh": BUSYBOX, "hello": "#!/bin/sh\necho hello, $WHO\n"}
CONFIG: dict[str, object] = {"Cmd": ["/bin/sh", "/hello"], "Env": ["WHO=image"], "WorkingDir": "/"}


def of(image: str, name: str = "pod", **spec: object) -> Object:
    return pod({"name": "main", "image": image}, name=name, restartPolicy="Never", **spec)


def waiting(kubectl: Kubectl, name: str, reason: str) -> str:
    """The message of the state in which the container waits, once the reason is that one."""

    def message() -> str:
        state = container_status(kubectl, name=name)["state"]["waiting"]
        return str(state["message"]) if state["reason"] == reason else ""

    found: str = eventually(message)
    return found


def test_pull(cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> None:
    with registry(cluster, tmp_path, 5081) as address:
        digest = push(cluster, address, "test/hello:1", HELLO, CONFIG, directory=tmp_path)
        image = f"{address}/test/hello:1"
        assert output(kubectl, of(image)) == "hello, image\n"
        found = container_status(kubectl)
        assert found["image"] == image and found["imageID"] == f"{address}/test/hello@{digest}"
        assert eventually(lambda: events(kubectl)["Pulled"]).startswith(f'Successfully pulled image "{image}" in ')
        # what is there is not asked for again, unless the pod wants that
        assert output(kubectl, of(image, "again")) == "hello, image\n"
        assert "already present on machine" in eventually(lambda: events(kubectl, "again")["Pulled"])
        assert output(kubectl, of(f"{address}/test/hello@{digest}", "digest")) == "hello, image\n"
        # a tag that has moved is followed by Always
        push(cluster, address, "test/hello:latest", HELLO, CONFIG, directory=tmp_path)
        assert output(kubectl, of(f"{address}/test/hello", "latest")) == "hello, image\n"
        push(cluster, address, "test/hello:latest", HELLO, CONFIG | {"Env": ["WHO=other"]}, directory=tmp_path)
        assert output(kubectl, of(f"{address}/test/hello", "moved")) == "hello, other\n"
        # what is not there is tried again, less and less often
        apply(kubectl, of(f"{address}/test/absent:1", "absent"))
        said = waiting(kubectl, "absent", "ErrImagePull")
        assert said.endswith(f"{address}/test/absent:1: not found")
        said = waiting(kubectl, "absent", "ImagePullBackOff")
        assert said.startswith(f'Back-off pulling image "{address}/test/absent:1": ErrImagePull: ')
        found_events = events(kubectl, "absent")
        assert found_events["BackOff"] == f'Back-off pulling image "{address}/test/absent:1"'
        assert "Failed" in found_events and found_events["Pulling"]
        assert status(kubectl, "absent")["phase"] == "Pending"
        kubectl("delete", "pods", "--all")


def test_pull_with_a_password(cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> None:
    with registry(cluster, tmp_path, 5082, HTPASSWD) as address:
        push(cluster, address, "test/hidden:1", HELLO, CONFIG, user="robot:sesame", directory=tmp_path)
        image = f"{address}/test/hidden:1"
        apply(kubectl, of(image, "stranger"))
        assert "pull access denied" in waiting(kubectl, "stranger", "ErrImagePull")
        kubectl("create", "secret", "docker-registry", "key", f"--docker-server={address}",
                "--docker-username=robot", "--docker-password=sesame")
        kubectl("create", "secret", "generic", "wrong", "--type=kubernetes.io/dockerconfigjson",
                f"--from-literal=.dockerconfigjson={docker_config(address, 'robot', 'guess')}")
        apply(kubectl, of(image, "liar", imagePullSecrets=[{"name": "wrong"}]))
        assert "pull access denied" in waiting(kubectl, "liar", "ErrImagePull")
        both = {"imagePullSecrets": [{"name": "wrong"}, {"name": "key"}]}
        assert output(kubectl, of(image, "friend", **both)) == "hello, image\n"
        # a ServiceAccount's secrets are its pods' secrets
        kubectl("patch", "serviceaccount", "default", "-p", '{"imagePullSecrets":[{"name":"key"}]}')
        apply(kubectl, of(image, "account") | {})
        assert ended(kubectl, "account")["phase"] == "Succeeded"
        assert kubectl.json("get", "pod", "account")["spec"]["imagePullSecrets"] == [{"name": "key"}]
        kubectl("delete", "pods", "--all")
