"""Probes: thresholds and schedule in virtual time; http, tcp and gRPC against real sockets on loopback."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from sampan.kubelet import probe_grpc, probe_http
from sampan.kubelet.actions import Verdict
from sampan.kubelet.containers import container_named
from sampan.kubelet.probe_run import PortMissing, port_number, run_probe
from sampan.kubelet.probes import ContainerProbes, Tally, count
from sampan.testing import virtual_time
from tests.unit.kubelet.pods import container, make_pod, ran


@pytest.mark.parametrize(("results", "probe", "healthy"), [
    ("+", {}, True), ("-", {}, False), ("+--", {}, True), ("+---", {}, False), ("+--+--", {}, True),
    ("+---+", {"successThreshold": 2}, False), ("---++", {"successThreshold": 2}, True),
    ("+-", {"failureThreshold": 1}, False),
])
def test_thresholds(results, probe, healthy):
    tally = Tally(False)
    for result in results:
        tally = count(tally, result == "+", probe)
    assert tally.healthy == healthy


class Subject:
    """A container whose health is a function of time, and a record of when it was asked."""

    def __init__(self, healthy):
        self.healthy = healthy
        self.asked = []
        self.failures = []
        self.verdicts = []

    def probes(self, already=None, **spec):
        self._probes = ContainerProbes(spec, self.run, changed=self.changed, unhealthy=self.unhealthy, already=already)
        return self._probes

    async def run(self, kind, probe):
        now = asyncio.get_running_loop().time()
        self.asked.append((kind, round(now, 2)))
        return self.healthy(kind, now), "output"

    def changed(self):
        self.verdicts.append((round(asyncio.get_running_loop().time(), 2), self._probes.verdict()))

    def unhealthy(self, kind, output):
        self.failures.append((kind, round(asyncio.get_running_loop().time(), 2)))


def watch(subject, seconds, age=0.0, already=None, **spec):
    async def main():
        probes = subject.probes(already, **spec)
        probes.start(age)
        await asyncio.sleep(seconds)
        await probes.close()

    virtual_time.run(main())
    return subject


def test_readiness_is_asked_at_once_then_every_period():
    found = watch(Subject(lambda kind, now: True), 25, readinessProbe={"exec": {}, "periodSeconds": 10})
    assert found.asked == [("readiness", 0), ("readiness", 10), ("readiness", 20)]
    assert found.verdicts == [(0, Verdict(True, True))]


def test_initial_delay_counts_from_the_start_of_the_container():
    found = watch(Subject(lambda kind, now: True), 8, age=2, readinessProbe={"exec": {}, "initialDelaySeconds": 5})
    assert found.asked == [("readiness", 3)]


def test_a_server_that_needs_a_moment_is_ready_a_moment_later():
    found = watch(Subject(lambda kind, now: now >= 0.3), 5, readinessProbe={"httpGet": {}, "periodSeconds": 10})
    assert found.verdicts == [(0.35, Verdict(True, True))]
    assert found.failures == []


def test_eager_attempts_never_count_against_the_startup_threshold():
    found = watch(Subject(lambda kind, now: False), 35,
                  startupProbe={"httpGet": {}, "periodSeconds": 10, "failureThreshold": 3})
    assert len(found.failures) == 3 and found.failures[-1][1] >= 20
    assert found.verdicts[-1][1].failed == "startup"


def test_liveness_begins_after_startup_has_succeeded():
    found = watch(Subject(lambda kind, now: now >= 3), 8, startupProbe={"exec": {}, "periodSeconds": 2},
                  livenessProbe={"exec": {}, "periodSeconds": 2})
    assert [k for k, _ in found.asked[:3]] == ["startup"] * 3
    assert found.asked[3:5] == [("liveness", 4), ("liveness", 6)]


def test_liveness_failure_names_itself_and_its_grace_period():
    """The first time after one period: a container that has just started is not to be killed for it."""
    probe = {"exec": {}, "periodSeconds": 1, "failureThreshold": 2, "terminationGracePeriodSeconds": 4}
    found = watch(Subject(lambda kind, now: False), 5, livenessProbe=probe)
    assert found.verdicts == [(2, Verdict(True, True, "liveness", 4.0))]


def test_a_taken_over_container_stays_ready_until_a_probe_says_otherwise():
    subject = Subject(lambda kind, now: now < 5)
    found = watch(subject, 40, already=Verdict(True, True), readinessProbe={"exec": {}, "periodSeconds": 10})
    assert found.verdicts == [(30, Verdict(True, False))]


@asynccontextmanager
async def serving(answer):
    """A server on loopback; at the end no connection of it is left."""
    ended = []

    async def connected(reader, writer):
        ended.append(done := asyncio.Event())
        with suppress(OSError, EOFError):
            await answer(reader, writer)
        writer.transport.abort()
        done.set()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for done in ended:
            await done.wait()
        await asyncio.sleep(0)


def http_answer(*lines, body=""):
    async def answer(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        answer.requests.append(request.decode())
        first = request.split(b" ")[1].decode()
        chosen = lines[0] if len(lines) == 1 or first == "/" else lines[1]
        writer.write(f"HTTP/1.1 {chosen}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()

    answer.requests = []
    return answer


@pytest.mark.parametrize(("lines", "healthy", "output"), [
    (("200 OK",), True, "body"), (("399 Odd",), True, "body"),
    (("500 Internal Server Error",), False, "HTTP probe failed with statuscode: 500"),
    (("404 Not Found",), False, "HTTP probe failed with statuscode: 404"),
    (("302 Found\r\nLocation: /there", "200 OK"), True, "body"),
    (("302 Found\r\nLocation: /there", "503 No"), False, "HTTP probe failed with statuscode: 503"),
    (("302 Found\r\nLocation: http://elsewhere.example/",), True, "Probe terminated redirects, Response body: body"),
])
async def test_http(lines, healthy, output):
    async with serving(http_answer(*lines, body="body")) as port:
        assert await probe_http.probe(f"http://127.0.0.1:{port}/", (), 1) == (healthy, output)


async def test_http_headers_can_be_replaced_and_removed():
    answer = http_answer("200 OK")
    headers = [{"name": "host", "value": "a.example"}, {"name": "Accept", "value": ""}, {"name": "X-A", "value": "1"}]
    async with serving(answer) as port:
        await probe_http.get(f"http://127.0.0.1:{port}/p?q=1", headers, 1)
    assert answer.requests[0].startswith("GET /p?q=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: kube-probe/1.37\r\n")
    assert "Accept" not in answer.requests[0] and "X-A: 1\r\n" in answer.requests[0]


async def silent(reader, writer):
    await reader.read()


async def test_no_answer_in_upstreams_words():
    async with serving(silent) as port:
        url = f"http://127.0.0.1:{port}/"
        timeout = f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        assert await probe_http.probe(url, (), 0.05) == (False, timeout)
    refused = f'Get "{url}": dial tcp 127.0.0.1:{port}: connect: connection refused'
    assert await probe_http.probe(url, (), 1) == (False, refused)


async def test_tcp_and_named_ports():
    async with serving(silent) as port:
        pod = make_pod(containers=[container("app", ports=[{"name": "web", "containerPort": port}])])
        made, status = container_named(pod, "app"), ran(pod, "app")
        assert await run_probe(None, made, status, "127.0.0.1", {"tcpSocket": {"port": "web"}}) == (True, "")
    refused = (False, f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    assert await run_probe(None, made, status, "127.0.0.1", {"tcpSocket": {"port": port}}) == refused
    with pytest.raises(PortMissing):
        port_number(made, "none")


def grpc_answer(*frames):
    async def answer(reader, writer):
        await reader.readexactly(len(probe_grpc.PREFACE))
        writer.write(probe_grpc.frame(probe_grpc.SETTINGS, 0, 0, b"") + b"".join(frames))
        await reader.read()

    return answer


def data(message):
    return probe_grpc.frame(probe_grpc.DATA, 0, 1, b"\0" + len(message).to_bytes(4, "big") + message)


HEADERS = probe_grpc.frame(probe_grpc.HEADERS, probe_grpc.END_HEADERS, 1, b"\x88")
TRAILERS_ONLY = probe_grpc.frame(probe_grpc.HEADERS, probe_grpc.END_HEADERS | probe_grpc.END_STREAM, 1, b"\x88")


@pytest.mark.parametrize(("frames", "healthy", "text"), [
    ((HEADERS, data(b"\x08\x01")), True, "SERVING"), ((HEADERS, data(b"\x08\x02")), False, '"NOT_SERVING"'),
    ((HEADERS, data(b"")), False, '"UNKNOWN"'), ((TRAILERS_ONLY,), False, "health rpc failed"),
])
async def test_grpc(frames, healthy, text):
    async with serving(grpc_answer(*frames)) as port:
        found, output = await probe_grpc.probe("127.0.0.1", port, "x" * 200, 1)
    assert found == healthy and text in output


async def test_grpc_against_the_real_library():
    grpc = pytest.importorskip("grpc")
    server = grpc.aio.server()

    async def check(request, context):
        return b"\x08\x01" if request == b"\x0a\x02up" else b"\x08\x02"

    handler = grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    up = await probe_grpc.probe("127.0.0.1", port, "up", 2)
    down = await probe_grpc.probe("127.0.0.1", port, "down", 2)
    await server.stop(None)
    assert up == (True, "service healthy, status: SERVING")
    assert down == (False, 'service unhealthy (responded with "NOT_SERVING")')
