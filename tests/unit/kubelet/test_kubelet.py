"""A whole kubelet on a fake runtime and a fake API, in virtual time."""

import pytest

from sampan.api.resources import CONFIGMAPS, LEASES, NODES, PODS
from sampan.runtime.base import ExecResult, ImagePullFailure
from sampan.testing import virtual_time
from sampan.testing.fake_runtime import Behaviour
from tests.unit.kubelet.pods import container, make_pod, node, on_a_node, settle


def test_node_is_ready_with_its_first_write(tmp_path):
    async def scenario(n):
        first = next(o for kind, o in n.client.history if o["kind"] == "Node")
        assert {c["type"]: c["status"] for c in first["status"]["conditions"]}["Ready"] == "True"
        await n.until(lambda: n.client.find(LEASES, "n1", "kube-node-lease") is not None)
        assert ("patch", "nodes", "n1") not in n.client.requests

    on_a_node(tmp_path, scenario)


def test_node_without_network_is_not_ready_until_told(tmp_path):
    async def scenario(n):
        def ready():
            conditions = n.client.find(NODES, "n1")["status"]["conditions"]
            return {c["type"]: c["status"] for c in conditions}["Ready"]

        assert ready() == "False"
        n.kubelet.node.set_network_ready(True)
        await n.until(lambda: ready() == "True")

    on_a_node(tmp_path, scenario, pod_cidr="")


def test_pod_runs_and_is_ready_in_one_status_write(tmp_path):
    async def scenario(n):
        n.create(make_pod())
        await n.until(n.ready)
        assert n.client.requests.count(("patch", "pods", "web")) == 1
        status = n.status()
        assert status["phase"] == "Running"
        assert status["podIP"] == "10.244.0.2"
        assert status["containerStatuses"][0]["containerID"].startswith("sampan://c")
        await settle(1)
        assert n.client.requests.count(("patch", "pods", "web")) == 1  # nothing is written again
        assert n.events("Pulled") == [
            'Container image "app:1" already present on machine and can be accessed by the pod']
        assert n.events("Created") == ["Container created"]
        assert n.events("Started") == ["Container started"]

    on_a_node(tmp_path, scenario)


def test_deleted_pod_is_gone_after_its_grace_period(tmp_path):
    async def scenario(n):
        n.runtime.behaviours["app"] = Behaviour(ignores_term=True)
        n.create(make_pod())
        await n.until(n.ready)
        begun = virtual_time.now()
        await n.delete(grace=1)
        await n.until(lambda: n.pod() is None)
        assert 1.0 <= virtual_time.now() - begun < 1.1
        await settle(1)
        assert await n.runtime.list_pod_sandboxes() == []
        assert n.cgroups.made == set()
        assert n.events("Killing") == ["Stopping container app"]
        assert list((tmp_path / "pods").iterdir()) == []

    on_a_node(tmp_path, scenario)


def test_last_status_before_the_end_is_terminal(tmp_path):
    async def scenario(n):
        n.create(make_pod())
        await n.until(n.ready)
        await n.delete()
        await n.until(lambda: n.pod() is None)
        last = [o for kind, o in n.client.history if o.get("kind") == "Pod"][-1]
        assert last["status"]["phase"] == "Failed"  # 143, as upstream
        assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
        # One to tell that it runs, one to tell how it ended: that the deletion was observed goes without saying.
        assert n.client.requests.count(("patch", "pods", "web")) == 2

    on_a_node(tmp_path, scenario)


def test_shrinking_the_grace_period_hurries_the_end(tmp_path):
    async def scenario(n):
        n.runtime.behaviours["app"] = Behaviour(ignores_term=True)
        n.create(make_pod())
        await n.until(n.ready)
        begun = virtual_time.now()
        await n.delete(grace=30)
        await settle(3)
        await n.delete(grace=1)
        await n.until(lambda: n.pod() is None)
        assert virtual_time.now() - begun < 5

    on_a_node(tmp_path, scenario)


def test_crash_loop_waits_ten_then_twenty_seconds(tmp_path):
    async def scenario(n):
        n.runtime.behaviours["app"] = Behaviour(exit_after=1, exit_code=1)
        n.create(make_pod())
        await n.until(lambda: n.status().get("containerStatuses", [{}])[0].get("restartCount") == 1)
        await n.until(lambda: "waiting" in n.status()["containerStatuses"][0]["state"])
        waiting = n.status()["containerStatuses"][0]["state"]["waiting"]
        assert waiting["reason"] == "CrashLoopBackOff"
        assert waiting["message"] == "back-off 10s restarting failed container=app pod=web_default(uid-web)"
        begun = virtual_time.now()
        await n.until(lambda: n.status()["containerStatuses"][0]["restartCount"] == 2)
        assert 9.5 < virtual_time.now() - begun < 10.5
        await n.until(lambda: n.status()["containerStatuses"][0]["restartCount"] == 3)
        assert 30 < virtual_time.now() - begun < 33
        assert n.status()["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
        assert set(n.events("BackOff")) == {"Back-off restarting failed container app in pod web_default(uid-web)"}

    on_a_node(tmp_path, scenario)


def test_job_like_pod_succeeds_and_its_sandbox_is_stopped(tmp_path):
    async def scenario(n):
        n.runtime.behaviours["app"] = Behaviour(exit_after=2)
        n.create(make_pod(restartPolicy="Never"))
        await n.until(lambda: n.status().get("phase") == "Succeeded")
        await settle(1)
        assert [s.ready for s in await n.runtime.list_pod_sandboxes()] == [False]
        assert len(await n.runtime.list_containers()) == 1  # for kubectl logs
        await n.delete()
        await n.until(lambda: n.pod() is None)

    on_a_node(tmp_path, scenario)


def test_init_containers_run_in_order(tmp_path):
    async def scenario(n):
        n.runtime.behaviours |= {"i1": Behaviour(exit_after=1), "i2": Behaviour(exit_after=1)}
        n.create(make_pod(init=[container("i1"), container("i2")]))
        await n.until(n.ready)
        started = [name for verb, name in n.runtime.calls if verb == "start_container"]
        assert started == ["i1", "i2", "app"]

    on_a_node(tmp_path, scenario)


def test_missing_config_map_holds_the_container_until_it_appears(tmp_path):
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]

    async def scenario(n):
        n.create(make_pod(containers=[container("app", env=env)]))
        await n.until(lambda: "waiting" in n.status().get("containerStatuses", [{"state": {}}])[0]["state"]
                      and n.status()["containerStatuses"][0]["state"]["waiting"]["reason"] != "ContainerCreating")
        waiting = n.status()["containerStatuses"][0]["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
        begun = virtual_time.now()
        n.client.put(CONFIGMAPS, {"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"},
                                  "data": {"a": "1"}})
        await n.until(n.ready)
        assert virtual_time.now() - begun < 1
        assert ("A", "1") in (await n.runtime.list_containers())[0].config.env

    on_a_node(tmp_path, scenario)


def test_image_that_can_not_be_pulled(tmp_path):
    async def scenario(n):
        n.runtime.pull_errors["nowhere:1"] = ImagePullFailure("no such image")
        n.create(make_pod(containers=[container("app", image="nowhere:1")]))
        reasons = []

        def backed_off():
            found = n.status().get("containerStatuses") or [{"state": {}}]
            reasons.append(found[0]["state"].get("waiting", {}).get("reason"))
            return reasons[-1] == "ImagePullBackOff"

        await n.until(backed_off)
        assert "ErrImagePull" in reasons
        assert 'Failed to pull image "nowhere:1": no such image' in n.events("Failed")
        del n.runtime.pull_errors["nowhere:1"]
        await n.until(n.ready)

    on_a_node(tmp_path, scenario)


def test_failed_readiness_probe_makes_unready_and_liveness_restarts(tmp_path):
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 2, "failureThreshold": 2}

    async def scenario(n):
        n.create(make_pod(containers=[container("app", readinessProbe=probe, livenessProbe=probe)]))
        await n.until(n.ready)
        n.runtime.exec_results[("check",)] = ExecResult(1, b"broken", b"")
        await n.until(lambda: not n.ready())
        await n.until(lambda: n.status()["containerStatuses"][0]["restartCount"] == 1)
        assert "Liveness probe failed: broken" in n.events("Unhealthy")
        assert n.events("Killing") == ["Container app failed liveness probe, will be restarted"]

    on_a_node(tmp_path, scenario)


def test_pre_stop_hook_runs_before_the_signal_and_counts_as_grace(tmp_path):
    lifecycle = {"preStop": {"exec": {"command": ["sleep", "3"]}}}

    async def scenario(n):
        n.create(make_pod(containers=[container("app", lifecycle=lifecycle)]))
        await n.until(n.ready)
        begun = virtual_time.now()
        await n.delete(grace=10)
        await n.until(lambda: n.pod() is None)
        assert 3 <= virtual_time.now() - begun < 3.2

    on_a_node(tmp_path, scenario)


def test_failed_post_start_hook_kills_the_container(tmp_path):
    lifecycle = {"postStart": {"exec": {"command": ["no"]}}}

    async def scenario(n):
        n.runtime.exec_results[("no",)] = ExecResult(1, b"", b"")
        n.create(make_pod(containers=[container("app", lifecycle=lifecycle)]))
        await n.until(lambda: n.status().get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1)
        assert n.events("FailedPostStartHook")
        assert not n.ready()

    on_a_node(tmp_path, scenario)


def test_active_deadline_fails_the_pod(tmp_path):
    async def scenario(n):
        n.create(make_pod(activeDeadlineSeconds=5))
        await n.until(lambda: n.status().get("phase") == "Failed")
        assert n.status()["reason"] == "DeadlineExceeded"
        await settle(1)
        assert n.runtime.running() == []
        assert n.pod() is not None

    on_a_node(tmp_path, scenario)


def test_unsafe_sysctl_is_refused(tmp_path):
    async def scenario(n):
        n.create(make_pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}))
        await n.until(lambda: n.status().get("phase") == "Failed")
        assert n.status()["reason"] == "SysctlForbidden"
        assert await n.runtime.list_pod_sandboxes() == []

    on_a_node(tmp_path, scenario)


def test_unsupported_volume_is_refused_by_name(tmp_path):
    mounts = [{"name": "data", "mountPath": "/data"}]

    async def scenario(n):
        n.create(make_pod(containers=[container("app", volumeMounts=mounts)],
                          volumes=[{"name": "data", "nfs": {"server": "x", "path": "/"}}]))
        await n.until(lambda: bool(n.events("FailedMount")))
        assert "volumes of kind nfs are not supported" in n.events("FailedMount")[0]

    on_a_node(tmp_path, scenario)


def test_sandbox_that_dies_is_replaced_with_its_containers(tmp_path):
    async def scenario(n):
        n.create(make_pod())
        await n.until(n.ready)
        n.runtime.kill_sandbox()
        await n.until(lambda: not n.ready())
        await n.until(n.ready)
        assert n.status()["podIP"] == "10.244.0.3"
        assert n.status()["containerStatuses"][0]["restartCount"] == 1

    on_a_node(tmp_path, scenario)


def test_agent_restart_starts_nothing_twice_and_stays_ready(tmp_path):
    async def scenario(n):
        n.create(make_pod(init=[container("i1")]))
        n.runtime.behaviours["i1"] = Behaviour(exit_after=1)
        await n.until(n.ready)
        before = dict(n.runtime.started)
        await n.restart()
        await settle(60)
        assert dict(n.runtime.started) == before
        assert n.ready()

    on_a_node(tmp_path, scenario)


def test_pod_deleted_from_the_api_while_the_agent_was_away_is_ended(tmp_path):
    async def scenario(n):
        n.create(make_pod())
        await n.until(n.ready)
        await n.kubelet.close()
        await n.client.delete(PODS, "web", "default", grace_period_seconds=0)
        await n.restart()
        await settle(5)
        assert await n.runtime.list_pod_sandboxes() == []
        assert await n.runtime.list_containers() == []

    on_a_node(tmp_path, scenario)


def test_directories_of_pods_that_nobody_knows_are_removed(tmp_path):
    async def scenario(n):
        (tmp_path / "pods" / "lost" / "volumes").mkdir(parents=True)
        (tmp_path / "logs" / "default_web_lost").mkdir(parents=True)
        await n.restart()
        await settle(1)
        assert list((tmp_path / "pods").iterdir()) == list((tmp_path / "logs").iterdir()) == []
        assert [r for r in n.client.requests if r[0] == "delete"] == []

    on_a_node(tmp_path, scenario)


def test_a_pod_of_the_same_name_gets_nothing_of_its_predecessor(tmp_path):
    async def scenario(n):
        n.create(make_pod(uid="one"))
        await n.until(n.ready)
        await n.delete(grace=0)
        n.create(make_pod(uid="two"))
        await n.until(n.ready)
        await settle(5)
        assert n.pod()["metadata"]["uid"] == "two"
        assert [c.config.labels["io.kubernetes.pod.uid"] for c in await n.runtime.list_containers()] == ["two"]

    on_a_node(tmp_path, scenario)


def test_many_pods_at_once(tmp_path):
    async def scenario(n):
        names = [f"web{i}" for i in range(50)]
        for name in names:
            n.create(make_pod(name))
        await n.until(lambda: all(n.ready(name) for name in names))
        assert set(n.runtime.started.values()) == {1}

    on_a_node(tmp_path, scenario)


@pytest.mark.parametrize("steps", range(0, 24))
def test_killed_at_any_step_the_next_agent_converges_and_starts_nothing_twice(tmp_path, steps):
    async def main():
        async with node(tmp_path) as n:
            n.runtime.behaviours["i1"] = Behaviour(exit_after=0.1)
            n.runtime.crash_after = steps
            n.create(make_pod(init=[container("i1"), container("side", restartPolicy="Always")],
                              containers=[container("a"), container("b")]))
            await settle(3)
            await n.restart()
            await n.until(n.ready)
            assert n.runtime.running() == ["a", "b", "side"]
            attempts = {key: count for key, count in n.runtime.started.items() if count > 1}
            assert attempts == {}
            assert len([s for s in await n.runtime.list_pod_sandboxes() if s.ready]) == 1
            await n.delete(grace=1)
            await n.until(lambda: n.pod() is None)
            await settle(1)
            assert await n.runtime.list_containers() == []

    virtual_time.run(main())


@pytest.mark.parametrize("steps", range(0, 10))
def test_killed_at_any_step_of_a_deletion_the_next_agent_finishes_it(tmp_path, steps):
    async def main():
        async with node(tmp_path) as n:
            n.create(make_pod(init=[container("side", restartPolicy="Always")]))
            await n.until(n.ready)
            n.runtime.crash_after = steps
            await n.delete(grace=1)
            await settle(3)
            await n.restart()
            if n.pod() is not None:
                await n.until(lambda: n.pod() is None)
            await settle(5)
            assert await n.runtime.list_containers() == []
            assert await n.runtime.list_pod_sandboxes() == []

    virtual_time.run(main())


