from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from sampan.api.errors import ApiError, Forbidden, NotFound, ServiceUnavailable
from sampan.api.http import Request, Response, Subject
from sampan.api.resources import CORE_EVENTS
from sampan.client import events
from sampan.client.correlator import Correlator, Occurrence
from sampan.client.events import EventRecorder
from sampan.client.rest import Client
from sampan.client.transport import InProcess

POD = {
    "kind": "Pod", "apiVersion": "v1", "spec": {},
    "metadata": {"name": "web", "namespace": "a", "uid": "u1", "resourceVersion": "5"},
}
START = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)


class EventServer:
    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.refuse: list[ApiError] = []
        self.calls = 0

    async def handle(self, request: Request) -> Response:
        self.calls += 1
        if self.refuse:
            error = self.refuse.pop(0)
            return Response(error.code, {}, orjson.dumps(error.status))
        body = orjson.loads(request.body)
        if request.method == "POST":
            self.events[body["metadata"]["name"]] = body
            return Response(201, {}, request.body)
        name = request.path.rpartition("/")[2]
        if name not in self.events:
            return Response(404, {}, orjson.dumps(NotFound.of(CORE_EVENTS, name).status))
        self.events[name] |= body
        return Response(200, {}, orjson.dumps(self.events[name]))


class Recording:
    def __init__(self) -> None:
        self.server = EventServer()
        self.now = START
        self.slept: list[float] = []
        client = Client(InProcess(self.server.handle, Subject("kubelet")))
        self.recorder = EventRecorder(client, "kubelet", "n1", now=lambda: self.now, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def written(self) -> list[dict[str, Any]]:
        return list(self.server.events.values())


@pytest.fixture
async def recording():
    recording = Recording()
    yield recording
    await recording.recorder.close()


async def test_an_event_says_who_what_and_when(recording: Recording) -> None:
    recording.recorder.event(POD, "Normal", "Pulled", "image is there", field_path="spec.containers{web}")
    await recording.recorder.flush()
    (event,) = recording.written
    assert event["metadata"].pop("name").startswith("web.18")
    assert event == {
        "apiVersion": "v1", "kind": "Event", "metadata": {"namespace": "a"},
        "involvedObject": {"kind": "Pod", "namespace": "a", "name": "web", "uid": "u1", "apiVersion": "v1",
                           "resourceVersion": "5", "fieldPath": "spec.containers{web}"},
        "reason": "Pulled", "message": "image is there", "type": "Normal", "count": 1, "eventTime": None,
        "source": {"component": "kubelet", "host": "n1"}, "reportingComponent": "kubelet", "reportingInstance": "n1",
        "firstTimestamp": "2026-11-22T15:00:00Z", "lastTimestamp": "2026-11-22T15:00:00Z",
    }


async def test_repeats_raise_the_count(recording: Recording) -> None:
    for _ in range(3):
        recording.recorder.event(POD, "Warning", "BackOff", "restarting")
        recording.now += timedelta(seconds=10)
    recording.recorder.event(POD, "Warning", "Unhealthy", "probe failed")
    await recording.recorder.flush()
    first, second = recording.written
    assert (first["count"], first["lastTimestamp"]) == (3, "2026-11-22T15:00:20Z")
    assert first["firstTimestamp"] == "2026-11-22T15:00:00Z"
    assert (second["reason"], second["count"]) == ("Unhealthy", 1)


async def test_an_expired_event_is_written_anew(recording: Recording) -> None:
    recording.recorder.event(POD, "Warning", "BackOff", "restarting")
    await recording.recorder.flush()
    recording.server.events.clear()
    recording.now += timedelta(hours=2)
    recording.recorder.event(POD, "Warning", "BackOff", "restarting")
    await recording.recorder.flush()
    assert [event["count"] for event in recording.written] == [1]


async def test_tries_again_while_the_server_is_away_and_gives_up_on_refusal(recording: Recording) -> None:
    recording.server.refuse = [ServiceUnavailable("away"), ServiceUnavailable("away")]
    recording.recorder.event(POD, "Normal", "Started", "up")
    await recording.recorder.flush()
    assert len(recording.written) == 1 and recording.slept == [1.0, 2.0]
    recording.server.refuse = [Forbidden.of(CORE_EVENTS, "x", "namespace a is being terminated")]
    recording.recorder.event(POD, "Normal", "Killing", "down")
    await recording.recorder.flush()
    assert len(recording.written) == 1 and recording.server.calls == 4


async def test_a_full_queue_drops_and_never_blocks(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(events.QUEUE_SIZE + 5):
        recording.recorder.event(POD, "Normal", "Many", str(number))
    assert "dropped events" in caplog.text


async def test_an_object_without_a_name_fails_nobody(recording: Recording, caplog: pytest.LogCaptureFixture) -> None:
    recording.recorder.event({"kind": "Pod"}, "Normal", "Odd", "")
    assert "event not recorded reason=Odd" in caplog.text


async def test_events_about_nodes_go_to_default(recording: Recording) -> None:
    recording.recorder.event({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"}}, "Normal", "Starting", "")
    await recording.recorder.flush()
    assert recording.written[0]["metadata"]["namespace"] == "default"


def occurrence(message: str, seconds: float = 0.0, name: str = "web") -> Occurrence:
    return Occurrence({"name": name}, "Normal", "Reason", message, START + timedelta(seconds=seconds))


def test_many_messages_for_one_reason_are_folded_into_one() -> None:
    correlator = Correlator()
    folded = [correlator.fold(occurrence(f"message {number}")) for number in range(12)]
    assert [f.message for f in folded if f][8:] == [
        "message 8", "(combined from similar events): message 9", "(combined from similar events): message 10",
        "(combined from similar events): message 11",
    ]
    correlator.remember(folded[9], "web.1", 1)
    assert correlator.written(folded[11]) == ("web.1", 1)
    later = correlator.fold(occurrence("fresh", seconds=3000))
    assert later is not None and later.message == "fresh"


def test_spam_is_cut_off_per_object_and_comes_back_slowly() -> None:
    correlator = Correlator()
    assert sum(correlator.fold(occurrence("again")) is not None for _ in range(40)) == 25
    assert correlator.fold(occurrence("again", name="other")) is not None
    assert correlator.fold(occurrence("again", seconds=299)) is None
    assert correlator.fold(occurrence("again", seconds=601)) is not None
