"""plan(): from what is to what to do, one row per situation."""

import pytest

from sampan.kubelet.actions import (
    SANDBOX,
    CreateSandbox,
    Failure,
    RemoveContainer,
    RemoveSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
    Unmount,
    Verdict,
)
from sampan.kubelet.plan import plan
from tests.unit.kubelet.pods import NOW, container, make_pod, ran, sandbox, seen, with_status

POD = make_pod(containers=[container("a"), container("b")])
NEVER = make_pod(restartPolicy="Never")
ON_FAILURE = make_pod(restartPolicy="OnFailure")
INIT = make_pod(init=[container("i1"), container("i2")])
SIDECAR = make_pod(init=[container("i1"), container("side", restartPolicy="Always"), container("i2")])
ONE = make_pod()


def actions(pod, observed):
    return plan(pod, observed).actions


START_A, START_B = StartContainer("a", 0), StartContainer("b", 0)
TABLE = {
    "nothing yet": (POD, seen(sandboxes=[]), (CreateSandbox(0),)),
    "sandbox under way": (POD, seen(sandboxes=[], busy={SANDBOX}), ()),
    "sandbox stands": (POD, seen(), (START_A, START_B)),
    "one start under way": (POD, seen(busy={"a"}), (START_B,)),
    "one runs": (POD, seen(ran(POD, "a")), (START_B,)),
    "both run": (POD, seen(ran(POD, "a"), ran(POD, "b")), ()),
    "created but never started": (ONE, seen(ran(ONE, "app", "created")), (RemoveContainer("app-0"),)),
    "created, start under way": (ONE, seen(ran(ONE, "app", "created"), busy={"app"}), ()),
    "ended, Always": (ONE, seen(ran(ONE, "app", "exited")), (StartContainer("app", 1, 10),)),
    "ended well, OnFailure": (ON_FAILURE, seen(ran(ON_FAILURE, "app", "exited")), (StopSandbox("s1"), Unmount())),
    "ended badly, OnFailure": (ON_FAILURE, seen(ran(ON_FAILURE, "app", "exited", code=1)),
                               (StartContainer("app", 1, 10),)),
    "ended badly, Never": (NEVER, seen(ran(NEVER, "app", "exited", code=1)), (StopSandbox("s1"), Unmount())),
    "finished, sandbox gone": (NEVER, seen(ran(NEVER, "app", "exited"), stopped={"s1"}, unmounted=True), ()),
    "finished, no sandbox is made": (NEVER, seen(ran(NEVER, "app", "exited"), sandboxes=[], unmounted=True), ()),
    "sandbox died": (ONE, seen(ran(ONE, "app", "exited"), sandboxes=[sandbox(ready=False)]), (StopSandbox("s1"),)),
    "dead sandbox torn down": (ONE, seen(ran(ONE, "app", "exited"), sandboxes=[sandbox(ready=False)], stopped={"s1"}),
                               (CreateSandbox(1),)),
    "new sandbox, container of the old": (
        ONE, seen(ran(ONE, "app", "exited"), sandboxes=[sandbox(ready=False), sandbox("s2", attempt=1)],
                  stopped={"s1"}),
        (StartContainer("app", 1, 10),)),
    "old sandbox without containers goes": (
        ONE, seen(ran(ONE, "app", sandbox="s2"), sandboxes=[sandbox(ready=False), sandbox("s2", attempt=1)],
                  stopped={"s1"}),
        (RemoveSandbox("s1"),)),
    "first init": (INIT, seen(), (StartContainer("i1", 0),)),
    "first init runs": (INIT, seen(ran(INIT, "i1")), ()),
    "second init": (INIT, seen(ran(INIT, "i1", "exited")), (StartContainer("i2", 0),)),
    "inits done": (INIT, seen(ran(INIT, "i1", "exited"), ran(INIT, "i2", "exited")), (StartContainer("app", 0),)),
    "init failed, Always": (INIT, seen(ran(INIT, "i1", "exited", code=1)), (StartContainer("i1", 1, 10),)),
    "inits were removed, app runs": (INIT, seen(ran(INIT, "app")), ()),
    "sidecar follows init": (SIDECAR, seen(ran(SIDECAR, "i1", "exited")), (StartContainer("side", 0),)),
    "init follows started sidecar": (SIDECAR, seen(ran(SIDECAR, "i1", "exited"), ran(SIDECAR, "side")),
                                     (StartContainer("i2", 0),)),
    "init waits for sidecar's startup probe": (
        SIDECAR, seen(ran(SIDECAR, "i1", "exited"), ran(SIDECAR, "side"),
                      verdicts={"side-0": Verdict(started=False, ready=False)}), ()),
    "sidecar died during init": (SIDECAR, seen(ran(SIDECAR, "i1", "exited"), ran(SIDECAR, "side", "exited")),
                                 (StartContainer("side", 1, 10),)),
    "sidecar died beside app": (SIDECAR, seen(ran(SIDECAR, "side", "exited"), ran(SIDECAR, "app")),
                                (StartContainer("side", 1, 10),)),
    "garbage: third attempt": (
        ONE, seen(ran(ONE, "app", "exited"), ran(ONE, "app", "exited", attempt=1), ran(ONE, "app", attempt=2)),
        (RemoveContainer("app-0"),)),
}


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_table(row):
    pod, observed, wanted = TABLE[row]
    assert actions(pod, observed) == wanted


def test_back_off_waits_until_the_delay_written_on_the_last_attempt_is_over():
    step = plan(ONE, seen(ran(ONE, "app", "exited", attempt=3, ago=15, backoff=40, code=1)))
    assert step.actions == ()
    assert step.wake_at == NOW + 25


@pytest.mark.parametrize(("backoff", "following"), [(0, 10), (10, 20), (160, 300), (300, 300)])
def test_back_off_doubles_up_to_five_minutes(backoff, following):
    ended = ran(ONE, "app", "exited", ago=301, backoff=backoff)
    assert actions(ONE, seen(ended)) == (StartContainer("app", 1, following),)


def test_ten_good_minutes_clear_the_back_off():
    ended = ran(ONE, "app", "exited", ago=1, backoff=300, lasted=601)
    assert actions(ONE, seen(ended)) == (StartContainer("app", 1, 10),)


def test_a_failed_start_is_tried_again_when_its_time_comes():
    failure = {"app": Failure("ImagePullBackOff", "", NOW + 7)}
    assert plan(ONE, seen(failures=failure)).wake_at == NOW + 7
    assert actions(ONE, seen(failures=failure, now=NOW + 7)) == (StartContainer("app", 0),)


def test_failed_init_container_of_a_pod_that_never_restarts_ends_the_pod():
    pod = make_pod(init=[container("i1")], restartPolicy="Never")
    assert actions(pod, seen(ran(pod, "i1", "exited", code=3))) == (StopSandbox("s1"), Unmount())


def test_liveness_failure_kills_with_the_probes_own_grace_period():
    verdicts = {"app-0": Verdict(failed="liveness", grace_seconds=3.0)}
    wanted = StopContainer("app-0", "app", NOW + 3, "Container app failed liveness probe, will be restarted")
    assert actions(ONE, seen(ran(ONE, "app"), verdicts=verdicts)) == (wanted,)
    assert actions(ONE, seen(ran(ONE, "app"), verdicts=verdicts, stopping={"app-0": NOW + 3})) == ()


def test_changed_image_restarts_the_container_whatever_the_policy():
    now = make_pod(containers=[container("app", image="app:2")], restartPolicy="Never")
    running = seen(ran(NEVER, "app"))
    wanted = StopContainer("app-0", "app", NOW + 30, "Container app definition changed, will be restarted")
    assert actions(now, running) == (wanted,)


def test_running_container_of_a_dead_sandbox_is_stopped_before_a_new_sandbox():
    observed = seen(ran(ONE, "app"), sandboxes=[sandbox(ready=False)])
    assert [type(a) for a in actions(ONE, observed)] == [StopContainer, StopSandbox]


def test_ephemeral_container_runs_once():
    pod = make_pod(ephemeralContainers=[container("debug")])
    assert actions(pod, seen(ran(pod, "app"))) == (StartContainer("debug", 0),)
    assert actions(pod, seen(ran(pod, "app"), ran(pod, "debug", "exited"))) == ()


def test_a_finished_pod_starts_nothing_again():
    pod = with_status(make_pod(), phase="Failed")
    assert actions(pod, seen(sandboxes=[], unmounted=True)) == ()


def test_active_deadline_sets_the_alarm():
    pod = with_status(make_pod(activeDeadlineSeconds=60), startTime="2026-11-18T14:13:20Z")
    wake_at = plan(pod, seen(ran(pod, "app"))).wake_at
    assert wake_at is not None


@pytest.mark.parametrize(("rules", "code", "again"), [
    ([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}], 42, True),
    ([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}], 1, False),
    ([{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}], 1, True),
])
def test_restart_rules_of_a_container_come_before_the_pods_policy(rules, code, again):
    pod = make_pod(containers=[container("app", restartPolicy="Never", restartPolicyRules=rules)])
    started = any(isinstance(a, StartContainer) for a in actions(pod, seen(ran(pod, "app", "exited", code=code))))
    assert started == again
