"""STATUS, READY and RESTARTS as ``kubectl get pods`` has them."""

import pytest

from sampan.api.resources import PODS
from sampan.apiserver.kinds.registry import kind_of


def running(ready=True, restarts=0, **more):
    return {"ready": ready, "restartCount": restarts, "state": {"running": {}}, **more}


def waiting(reason, restarts=0, last=None):
    status = {"restartCount": restarts, "state": {"waiting": {"reason": reason}}}
    return status | ({"lastState": {"terminated": {"finishedAt": last}}} if last else {})


def ended(code=0, reason="Completed", **more):
    return {"restartCount": 0, "state": {"terminated": {"exitCode": code, "reason": reason, **more}}}


def pod(statuses=(), init=(), sidecars=(), phase="Running", metadata=None, conditions=(), **status):
    init_containers = [{"name": f"i{n}", **({"restartPolicy": "Always"} if n in sidecars else {})}
                       for n in range(len(init) or 0)]
    return {
        "metadata": {"name": "web", "creationTimestamp": "2026-11-22T14:55:00Z", **(metadata or {})},
        "spec": {"containers": [{"name": f"c{n}"} for n in range(max(len(statuses), 1))],
                 "initContainers": init_containers},
        "status": {"phase": phase, "conditions": list(conditions), **status,
                   "containerStatuses": [{"name": f"c{n}", **s} for n, s in enumerate(statuses)],
                   "initContainerStatuses": [{"name": f"i{n}", **s} for n, s in enumerate(init)]}}


READY = {"type": "Ready", "status": "True"}
INITIALIZED = {"type": "Initialized", "status": "True"}
GOING = {"deletionTimestamp": "2026-11-22T15:00:30Z"}
CASES = {
    "pending": (pod(phase="Pending"), "0/1", "Pending", "0"),
    "running": (pod([running()]), "1/1", "Running", "0"),
    "not ready": (pod([running(False)]), "0/1", "Running", "0"),
    "creating": (pod([waiting("ContainerCreating")], phase="Pending"), "0/1", "ContainerCreating", "0"),
    "crash loop": (pod([waiting("CrashLoopBackOff", 3, "2026-11-22T14:58:00Z")]), "0/1", "CrashLoopBackOff",
                   "3 (2m ago)"),
    "image": (pod([waiting("ImagePullBackOff")], phase="Pending"), "0/1", "ImagePullBackOff", "0"),
    "completed": (pod([ended()], phase="Succeeded"), "0/1", "Completed", "0"),
    "error": (pod([ended(1, "Error")], phase="Failed"), "0/1", "Error", "0"),
    "exit code": (pod([ended(3, "")], phase="Failed"), "0/1", "ExitCode:3", "0"),
    "signal": (pod([ended(137, "", signal=9)], phase="Failed"), "0/1", "Signal:9", "0"),
    "one done, one runs": (pod([ended(), running()], conditions=[READY]), "1/2", "Running", "0"),
    "one done, one runs, not ready": (pod([ended(), running()]), "1/2", "NotReady", "0"),
    "first waiting one counts": (pod([waiting("A"), waiting("B")]), "0/2", "A", "0"),
    "evicted": (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted", "0"),
    "terminating": (pod([running()], metadata=GOING), "1/1", "Terminating", "0"),
    "finished and deleted": (pod([ended()], metadata=GOING, phase="Succeeded"), "0/1", "Completed", "0"),
    "node lost": (pod([running()], metadata=GOING, reason="NodeLost"), "1/1", "Unknown", "0"),
    "gated": (pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False",
                                               "reason": "SchedulingGated"}]), "0/1", "SchedulingGated", "0"),
    "init first": (pod(init=[waiting("PodInitializing"), waiting("PodInitializing")], phase="Pending"), "0/1",
                   "Init:0/2", "0"),
    "init second": (pod(init=[ended(), {"restartCount": 2, "state": {"running": {}}}], phase="Pending"), "0/1",
                    "Init:1/2", "2"),
    "init error": (pod(init=[ended(1, "Error")], phase="Pending"), "0/1", "Init:Error", "0"),
    "init exit code": (pod(init=[ended(1, "")], phase="Pending"), "0/1", "Init:ExitCode:1", "0"),
    "init crash": (pod(init=[waiting("CrashLoopBackOff", 4)], phase="Pending"), "0/1", "Init:CrashLoopBackOff", "4"),
    "initializing": (pod([waiting("PodInitializing")], init=[ended()], phase="Pending"), "0/1", "PodInitializing", "0"),
    "init restarts are forgotten": (pod([running(restarts=1)], init=[ended() | {"restartCount": 5}]), "1/1", "Running",
                                    "1"),
    "sidecar": (pod([running()], init=[running(started=True, restarts=2)], sidecars=[0]), "2/2", "Running", "2"),
    "sidecar starts": (pod([waiting("PodInitializing")], init=[running(False)], sidecars=[0], phase="Pending"), "0/2",
                       "Init:0/1", "0"),
}


@pytest.mark.parametrize("given,ready,status,restarts", CASES.values(), ids=CASES.keys())
def test_cells(given, ready, status, restarts, now):
    row = kind_of(PODS).row(given, now)
    assert row[:5] == ["web", ready, status, restarts, "5m"]


def test_wide_cells(now):
    given = pod([running()], podIP="10.1.2.3", podIPs=[{"ip": "10.1.2.3"}], nominatedNodeName="n2",
                conditions=[{"type": "a", "status": "True"}])
    given["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    assert kind_of(PODS).row(given, now)[5:] == ["10.1.2.3", "n1", "n2", "1/2"]
    assert kind_of(PODS).row(pod(), now)[5:] == ["<none>"] * 4


def test_the_columns_are_kubectls():
    columns = kind_of(PODS).columns
    assert [c.name for c in columns if not c.priority] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert [c.name for c in columns if c.priority] == ["IP", "Node", "Nominated Node", "Readiness Gates"]
