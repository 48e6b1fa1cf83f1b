"""A pod's containers: in which order they start, when they start again, and how they end."""

from __future__ import annotations

import json
import time

from tests.e2e.cluster import Kubectl, eventually
from tests.e2e.manifest import (
    apply,
    container,
    container_status,
    ended,
    events,
    nginx,
    once,
    output,
    pod,
    refused,
    running,
    status,
)

SHARED = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
VOLUMES = {"volumes": [{"name": "shared", "emptyDir": {}}]}


def test_init_containers_run_one_after_the_other(kubectl: Kubectl) -> None:
    said = output(kubectl, once(
        container("cat /shared/order; echo main", **SHARED),
        initContainers=[container("sleep 0.3; echo first >>/shared/order", name="one", **SHARED),
                        container("echo second >>/shared/order", name="two", **SHARED)], **VOLUMES))
    assert said == "first\nsecond\nmain\n"
    found = status(kubectl)
    assert [s["state"]["terminated"]["reason"] for s in found["initContainerStatuses"]] == ["Completed"] * 2
    assert {c["type"]: c["status"] for c in found["conditions"]}["Initialized"] == "True"


def test_a_failing_init_container_fails_a_pod_that_never_restarts(kubectl: Kubectl) -> None:
    apply(kubectl, once(container(), initContainers=[container("exit 4", name="broken"), container(name="later")]))
    found = ended(kubectl)
    assert found["phase"] == "Failed"
    assert found["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert found["initContainerStatuses"][1]["state"]["waiting"]["reason"] == "PodInitializing"
    assert found["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert "Init:Error" in kubectl("get", "pod", "pod").out


def test_a_failing_init_container_is_tried_again(kubectl: Kubectl) -> None:
    apply(kubectl, pod(container(), initContainers=[container("exit 4", name="broken")]))
    eventually(lambda: container_status(kubectl, "broken", field="initContainerStatuses")["restartCount"] >= 1)
    found = status(kubectl)
    assert found["phase"] == "Pending"
    condition = {c["type"]: c for c in found["conditions"]}["Initialized"]
    assert condition["reason"] == "ContainersNotInitialized"
    assert condition["message"] == "containers with incomplete status: [broken]"
    assert found["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


def test_a_sidecar_starts_before_and_ends_after_the_others(kubectl: Kubectl) -> None:
    side = container("trap 'echo stopped >>/shared/log; exit 0' TERM; touch /shared/up; while :; do sleep 0.1; done",
                     name="side", restartPolicy="Always", **SHARED,
                     startupProbe={"exec": {"command": ["test", "-e", "/shared/up"]}, "periodSeconds": 1})
    said = output(kubectl, once(container("test -e /shared/up && echo sidecar was up", **SHARED),
                                initContainers=[side], terminationGracePeriodSeconds=5, **VOLUMES))
    assert said == "sidecar was up\n"
    ending = container_status(kubectl, "side", field="initContainerStatuses")["state"]["terminated"]
    assert ending["exitCode"] == 0


def test_restart_policies(kubectl: Kubectl) -> None:
    """Always starts again what ended well, OnFailure only what did not, Never nothing."""
    apply(kubectl, *(pod(container(f"exit {code}"), name=f"{policy.lower()}-{code}", restartPolicy=policy)
                     for policy in ("Always", "OnFailure", "Never") for code in (0, 1)))

    def restarts(name: str) -> int:
        return int(container_status(kubectl, name=name).get("restartCount", 0))

    assert ended(kubectl, "onfailure-0")["phase"] == "Succeeded"
    assert ended(kubectl, "never-0")["phase"] == "Succeeded"
    assert ended(kubectl, "never-1")["phase"] == "Failed"
    for name in ("always-0", "always-1", "onfailure-1"):
        eventually(lambda name=name: restarts(name) == 1)
        eventually(lambda name=name: status(kubectl, name)["containerStatuses"][0]["state"]
                   .get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert [restarts(name) for name in ("onfailure-0", "never-0", "never-1")] == [0, 0, 0]
    waiting = container_status(kubectl, name="always-1")["state"]["waiting"]
    uid = kubectl.json("get", "pod", "always-1")["metadata"]["uid"]
    assert waiting["message"].startswith("back-off 10s restarting failed container=main pod=always-1_")
    assert waiting["message"].endswith(f"({uid})")
    assert "Back-off restarting failed container main in pod always-1_" in eventually(
        lambda: events(kubectl, "always-1").get("BackOff"))


def test_a_container_says_why_it_ended(kubectl: Kubectl) -> None:
    apply(kubectl, once(
        container("echo -n from the file >/dev/termination-log; exit 1", name="file"),
        container("echo -n elsewhere >/tmp/said", name="path", terminationMessagePath="/tmp/said"),
        container("echo from the log; exit 2", name="log", terminationMessagePolicy="FallbackToLogsOnError"),
        container("echo not this", name="silent", terminationMessagePolicy="FallbackToLogsOnError"),
        container("echo -n nobody may >/dev/termination-log", name="user",
                  securityContext={"runAsUser": 65534})))
    found = {s["name"]: s["state"]["terminated"] for s in ended(kubectl)["containerStatuses"]}
    assert {name: state.get("message", "") for name, state in found.items()} == {
        "file": "from the file", "path": "elsewhere", "log": "from the log\n", "silent": "", "user": "nobody may"}
    assert (found["file"]["reason"], found["file"]["exitCode"]) == ("Error", 1)
    assert (found["path"]["reason"], found["path"]["exitCode"]) == ("Completed", 0)


def test_hooks_run_after_the_start_and_before_the_end(kubectl: Kubectl) -> None:
    """What the hook in one container writes, another one sees; an http hook asks a server."""
    address = running(kubectl, pod(nginx(), name="server"))
    hooked = container("trap 'echo TERM >>/host/log; exit 0' TERM; while :; do sleep 0.1; done", lifecycle={
        "postStart": {"exec": {"command": ["sh", "-c", "echo started >>/host/log"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo stopping >>/host/log"]}}},
        volumeMounts=[{"name": "host", "mountPath": "/host"}])
    asking = container(name="asking", lifecycle={
        "postStart": {"httpGet": {"host": address, "port": 80, "path": "/hook-started"}},
        "preStop": {"httpGet": {"host": address, "port": 80, "path": "/hook-stopping"}}})
    directory = f"/tmp/sampan-hooks-{kubectl.namespace}"
    host = {"volumes": [{"name": "host", "hostPath": {"path": directory, "type": "DirectoryOrCreate"}}]}
    running(kubectl, pod(hooked, terminationGracePeriodSeconds=10, **host))
    kubectl("delete", "pod", "pod")
    said = output(kubectl, once(container("cat /host/log; rm /host/log", volumeMounts=hooked["volumeMounts"]),
                                name="reader", **host))
    assert said == "started\nstopping\nTERM\n"
    running(kubectl, pod(asking, name="asking", terminationGracePeriodSeconds=1))
    kubectl("delete", "pod", "asking")
    asked = eventually(lambda: (text := kubectl("logs", "server").out) and "/hook-stopping" in text and text)
    assert "GET /hook-started HTTP/1.1" in asked


def test_a_failing_hook_kills_its_container(kubectl: Kubectl) -> None:
    apply(kubectl, once(container(lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo oh; exit 3"]}}})))
    found = ended(kubectl)
    assert found["phase"] == "Failed"
    assert eventually(lambda: events(kubectl)["FailedPostStartHook"]) == "PostStartHook failed"


def test_a_pod_has_its_grace_period_to_end(kubectl: Kubectl) -> None:
    slow = container("trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done")
    deaf = container("trap '' TERM; while :; do sleep 0.1; done")
    for name, main, grace in (("slow", slow, 20), ("deaf", deaf, 2), ("forced", deaf, 100)):
        apply(kubectl, pod(main, name=name, terminationGracePeriodSeconds=grace))
    for name in ("slow", "deaf", "forced"):
        kubectl.wait(f"pod/{name}", "condition=Ready")
    took = {}
    for name, options in (("slow", []), ("deaf", []), ("forced", ["--grace-period=0", "--force"])):
        began = time.monotonic()
        kubectl("delete", "pod", name, *options)
        took[name] = time.monotonic() - began
    assert 1 <= took["slow"] < 8 and 2 <= took["deaf"] < 9 and took["forced"] < 3, took


def test_a_deleted_pod_shows_that_it_is_terminating(kubectl: Kubectl) -> None:
    running(kubectl, pod(container("trap '' TERM; while :; do sleep 0.1; done"), terminationGracePeriodSeconds=3))
    kubectl("delete", "pod", "pod", "--wait=false")
    found = kubectl.json("get", "pod", "pod")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 3 and found["metadata"]["deletionTimestamp"]
    assert "Terminating" in kubectl("get", "pod", "pod").out
    kubectl.wait("pod/pod", "delete")
    assert "Stopping container main" in events(kubectl)["Killing"]


def test_active_deadline(kubectl: Kubectl) -> None:
    apply(kubectl, pod(container(), activeDeadlineSeconds=1))
    found = ended(kubectl)
    assert (found["phase"], found["reason"]) == ("Failed", "DeadlineExceeded")
    assert found["message"] == "Pod was active on the node longer than the specified deadline"
    assert "DeadlineExceeded" in events(kubectl)


def test_ephemeral_containers(kubectl: Kubectl) -> None:
    """kubectl debug joins a container to a running pod, and to another one's processes with --target."""
    running(kubectl, pod(container("echo here; exec sleep 1234")))
    kubectl("debug", "pod", "--image=busybox", "--image-pull-policy=IfNotPresent", "-c", "looking", "--target=main",
            "--", "sh", "-c", "ps; hostname; sleep 1000")
    eventually(lambda: container_status(kubectl, "looking", field="ephemeralContainerStatuses")["state"].get("running"))
    said = eventually(lambda: (text := kubectl("logs", "pod", "-c", "looking").out) and "\npod\n" in text and text)
    assert "sleep 1234" in said
    change = json.dumps({"spec": {"ephemeralContainers": [{"name": "looking", "image": "nginx"}]}})
    changed = kubectl("patch", "pod", "pod", "--subresource=ephemeralcontainers", "-p", change, check=False)
    assert changed.code == 1 and 'existing ephemeral containers "looking" may not be changed' in changed.err
    kubectl("delete", "pod", "pod", "--grace-period=1")


def test_image_pull_policy_never(kubectl: Kubectl) -> None:
    apply(kubectl, pod(container(image="nobody/has-this:1", imagePullPolicy="Never")),
          once(container("echo there", imagePullPolicy="Never"), name="there"))
    waiting = eventually(lambda: (w := container_status(kubectl)["state"].get("waiting")) and
                         w["reason"] == "ErrImageNeverPull" and w)
    assert waiting["message"] == ('Container image "nobody/has-this:1" is not present with pull policy of Never')
    assert ended(kubectl, "there")["phase"] == "Succeeded"


def test_a_container_is_replaced_when_its_image_changes(kubectl: Kubectl) -> None:
    """The pod stays, with its address; only the container is new, and its restarts are counted."""
    before = running(kubectl, pod({"name": "main", "image": "nginx", "imagePullPolicy": "IfNotPresent"}))
    patch = {"spec": {"containers": [{"name": "main", "image": "docker.io/library/nginx:latest"}]}}
    kubectl("patch", "pod", "pod", "-p", json.dumps(patch))
    eventually(lambda: (s := container_status(kubectl)) and s["restartCount"] == 1 and s["ready"])
    assert status(kubectl)["podIP"] == before
    assert "definition changed, will be restarted" in events(kubectl)["Killing"]


def test_what_cannot_change_in_a_pod(kubectl: Kubectl) -> None:
    running(kubectl, pod(container()))
    changed = kubectl("patch", "pod", "pod", "-p", '{"spec":{"hostname":"other"}}', check=False)
    assert changed.code == 1
    assert "pod updates may not change fields other than" in changed.err
    assert "RFC 1123 label" in refused(kubectl, pod(container(name="Bad_Name")))
