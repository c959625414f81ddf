"""Requests that no target is ready for: they wait, in order, within bounds, and go out when one is there."""

import contextlib
import re
import signal
import time

import pytest

import h1
import h2
from process import cpu_seconds
from targets import App, configure, metric, records, send, serve, wait_held


@pytest.fixture
def path(service):
    """Where the target is, when it is there."""
    return service.directory / "app.sock"


@pytest.fixture
def appear(path):
    apps = []

    def make(**options):
        apps.append(App(path, **options))
        return apps[-1]

    yield make
    for app in apps:
        app.close()


def hold(service, path, options="", **others):
    return serve(service, [f"unix:{path}"], options, **others)


def test_a_request_waits_for_its_target(service, path, appear):
    gateway = hold(service, path)
    with send(gateway, "/x") as client:
        wait_held(gateway, 1)
        assert client.is_quiet(0.1)
        appear()
        response = client.read_response()
        assert (response.status, response.body) == (200, b"app")
        assert re.fullmatch("[0-9]+ms", response.headers.get("X-Holdfast-Held"))
        assert response.headers.get("X-Holdfast-Target") == f"unix:{path}"
    wait_held(gateway, 0)
    assert metric(gateway, "upstream_held_bytes") == 0
    assert metric(gateway, "upstream_held_total", upstream="app") == 1


def test_the_time_it_waited_is_told_once(service, path, appear):
    """What is held, refused and held again has not waited twice."""
    gateway = hold(service, path, "MaxTries=100")
    began = time.monotonic()
    with send(gateway, "/x") as client:
        wait_held(gateway, 1)
        for _ in range(6):  # it is seen, and has gone again when the request comes
            app = h1.Upstream(path)
            app.accept()
            app.close()
            wait_held(gateway, 1)
        appear()
        response = client.read_response()
    assert response.status == 200
    assert int(response.headers.get("X-Holdfast-Held")[:-2]) <= (time.monotonic() - began) * 1000


def test_they_go_out_in_the_order_they_came(service, path):
    gateway = hold(service, path)
    clients = []
    for i in range(40):
        clients.append(send(gateway, f"/{i}"))
        wait_held(gateway, i + 1)
    app = h1.Upstream(path)
    assert read_all(app, 40) == [f"/{i}" for i in range(40)]
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    app.close()


def read_all(app, n):
    """What so many requests are for, in the order in which they were sent, each on a connection of its own."""
    targets = []
    while len(targets) < n:
        connection = app.accept()
        with contextlib.suppress(h1.Closed):  # a look at whether the app is there
            targets.append(connection.read_request().target)
    for connection in app.connections:
        with contextlib.suppress(OSError):
            connection.respond(200, b"app")
    return targets


def test_pipelined_ones_too(service, path, appear):
    gateway = hold(service, path)
    with gateway.connect() as client:
        client.send(b"".join(h1.format_request("POST", f"/{i}", body=b"x" * i) for i in range(5)))
        wait_held(gateway, 1)
        app = appear()
        for _ in range(5):
            assert client.read_response().status == 200
    assert app.seen == [f"/{i}" for i in range(5)]


def test_whoever_arrives_while_others_wait_does_not_overtake(service, path):
    gateway = hold(service, path, "HoldRate=20")
    clients = []
    for i in range(12):
        clients.append(send(gateway, f"/{i}"))
        wait_held(gateway, i + 1)
    app = h1.Upstream(path)
    h1.eventually(lambda: metric(gateway, "upstream_held") < 12)  # they go out
    clients += [send(gateway, f"/{i}") for i in range(12, 18)]
    targets = read_all(app, 18)
    assert targets[:12] == [f"/{i}" for i in range(12)]
    assert sorted(targets[12:]) == sorted(f"/{i}" for i in range(12, 18))
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    app.close()


def test_hold_rate(service, path, appear):
    gateway = hold(service, path, "HoldRate=20")
    clients = [send(gateway, f"/{i}") for i in range(14)]
    wait_held(gateway, 14)
    appear()
    began = time.monotonic()
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    assert time.monotonic() - began > 0.5  # at 20 a second, but for a few at once


def test_hold_max(service, path, appear):
    gateway = hold(service, path, "HoldMax=3")
    clients = [send(gateway, f"/{i}") for i in range(3)]
    wait_held(gateway, 3)
    with send(gateway, "/more") as client:
        response = client.read_response()
        assert response.status == 503 and response.headers.get("Retry-After")
    gateway.wait_for_line("HoldMax= or HoldMaxSize= is reached")
    wait_held(gateway, 3)
    clients.pop().close()
    wait_held(gateway, 2)
    clients.append(send(gateway, "/again"))
    wait_held(gateway, 3)
    appear()
    assert [client.read_response().status for client in clients] == [200] * 3


def test_hold_max_size(service, path, appear):
    gateway = hold(service, path, "HoldMaxSize=100K")
    first = send(gateway, "/1", "POST", body=b"x" * 60_000)
    wait_held(gateway, 1)
    assert 60_000 < metric(gateway, "upstream_held_bytes") < 62_000
    with send(gateway, "/2", "POST", body=b"x" * 60_000) as client:
        assert client.read_response().status == 503
    third = send(gateway, "/3", "POST", body=b"y" * 30_000)
    wait_held(gateway, 2)
    app = appear()
    assert first.read_response().status == third.read_response().status == 200
    assert sorted(len(request.body) for request in app.requests.snapshot()) == [30_000, 60_000]
    wait_held(gateway, 0)
    assert metric(gateway, "upstream_held_bytes") == 0


def test_nobody_waits_for_ever(service, path):
    gateway = hold(service, path, "HoldSec=200ms")
    with gateway.connect() as client:
        response = client.get("/x")
        assert response.status == 503 and int(response.headers.get("Retry-After")) > 0
        assert response.headers.get("Content-Type") == "application/problem+json"
        line = gateway.wait_for_line("a request is told that there is nobody, after [0-9]+ms: .*HoldSec=")
        assert "upstream=app" in line and "path=/x" in line
        assert client.get("/y").status == 503  # the connection lives on
    assert metric(gateway, "upstream_hold_expired_total") == 2
    wait_held(gateway, 0)


def test_nobody_waits_at_all(service, path, appear):
    gateway = hold(service, path, "HoldSec=0")
    response = gateway.get("/x")
    assert response.status == 503 and response.headers.get("Retry-After")
    appear()
    # It is not known yet that it is there: but as there is no other, it is tried.
    assert gateway.get("/x").status == 200


def test_waiting_costs_no_turns_of_the_loop(service, path):
    """Nothing is to be done while nobody is there."""
    gateway = hold(service, path, "HoldSec=20s")
    with send(gateway, "/x"):
        wait_held(gateway, 1)
        before = cpu_seconds(gateway.pid)
        time.sleep(1)
        assert cpu_seconds(gateway.pid) - before < 0.2


@pytest.mark.parametrize("way", ["close", "reset"])
def test_whoever_goes_away_waits_no_longer(service, path, appear, way):
    gateway = hold(service, path)
    gone, stays = send(gateway, "/gone"), send(gateway, "/stays")
    wait_held(gateway, 2)
    getattr(gone, way)()
    wait_held(gateway, 1)
    app = appear()
    assert stays.read_response().status == 200
    wait_held(gateway, 0)
    assert app.seen == ["/stays"]


def test_request_timeout_while_it_waits(service, path):
    gateway = hold(service, path, route="RequestTimeoutSec=200ms")
    response = gateway.get("/x")
    assert response.status == 503 and response.headers.get("Retry-After")
    gateway.wait_for_line("told that there is nobody, .*RequestTimeoutSec=")
    wait_held(gateway, 0)


def test_http2(service, path, appear):
    gateway = hold(service, path)
    with h2.Connection(gateway.address()) as client:
        streams = [client.request("POST", f"/{i}", body=b"x" * i) for i in range(3)]
        wait_held(gateway, 3)
        client.send_frame(h2.RST_STREAM, 0, streams[1], b"\0\0\0\x08")
        wait_held(gateway, 2)
        app = appear()
        for stream in (streams[0], streams[2]):
            assert client.read_response(stream).status == 200
        assert sorted(app.seen) == ["/0", "/2"]
    gateway_is_empty(gateway)


def test_http2_goes_away(service, path):
    gateway = hold(service, path)
    with h2.Connection(gateway.address()) as client:
        for i in range(3):
            client.request("GET", f"/{i}")
        wait_held(gateway, 3)
    wait_held(gateway, 0)


def gateway_is_empty(gateway):
    wait_held(gateway, 0)
    assert metric(gateway, "upstream_held_bytes") == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_whole(service, path, appear, chunked):
    gateway = hold(service, path)
    body = bytes(i * 7 % 251 for i in range(300_000))
    with gateway.connect() as client:
        if chunked:
            client.send(b"POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(body), 10_000):
                client.send(b"2710\r\n" + body[i:i + 10_000] + b"\r\n")
            client.send(b"0\r\n\r\n")
        else:
            client.request("POST", "/x", body=body)
        wait_held(gateway, 1)
        app = appear()
        assert client.read_response().status == 200
    assert app.requests.snapshot()[0].body == body


def test_several_workers_hold(service, path, appear):
    gateway = hold(service, path, gateway="Threads=3")
    clients = [send(gateway, f"/{i}") for i in range(60)]
    wait_held(gateway, 60)
    app = appear()
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    assert sorted(app.seen) == sorted(f"/{i}" for i in range(60))
    gateway_is_empty(gateway)


def test_an_app_that_restarts_again_and_again(service, path, appear):
    """A client that never retries sees none of it."""
    gateway = hold(service, path)
    app = appear()
    with gateway.connect() as client:
        for i in range(10):
            assert client.get(f"/{i}").status == 200
            app.close()
            client.request("POST", f"/{i}", body=b"x")
            app = appear()
            assert client.read_response().status == 200


# Reload, restart, stop


def test_held_requests_survive_a_reload(service, path, appear):
    gateway = hold(service, path, gateway="Threads=2")
    old = gateway.pid
    clients = [send(gateway, f"/{i}") for i in range(10)]
    wait_held(gateway, 10)
    gateway.reload()
    assert gateway.draining() == [old]
    late = send(gateway, "/late")
    wait_held(gateway, 1)  # the successor's own
    app = appear()
    for client in [*clients, late]:
        assert client.read_response().status == 200
    assert sorted(app.seen) == sorted([*(f"/{i}" for i in range(10)), "/late"])
    for client in [*clients, late]:
        client.close()
    gateway.wait_former()


def test_held_requests_outlive_the_upstream_of_the_configuration(service, path, appear):
    """The new configuration has another target; those that wait, wait for the one that they came for."""
    gateway = hold(service, path)
    with send(gateway, "/old") as client:
        wait_held(gateway, 1)
        other = App(service.directory / "other.sock", name="other")
        configure(gateway, [other.target])
        gateway.reload()
        assert gateway.get("/new").body == b"other"
        appear()
        assert client.read_response().body == b"app"
        other.close()
    gateway.wait_former()


def test_a_restart_drains_what_waits(service, path, appear):
    gateway = hold(service, path)
    client = send(gateway, "/x")
    wait_held(gateway, 1)
    gateway.signal(signal.SIGTERM)
    gateway.wait_for("STOPPING=1")
    appear()
    response = client.read_response()
    assert (response.status, response.headers.get("Connection")) == (200, "close")
    client.close()
    assert gateway.wait() == 0


def test_the_deadline_cuts_what_waits(service, path):
    gateway = hold(service, path, "HoldSec=1min", gateway="Threads=1\nDrainSec=500ms\nQuietSec=100ms")
    client = send(gateway, "/x")
    wait_held(gateway, 1)
    gateway.signal(signal.SIGTERM)
    line = gateway.wait_for_line("cut at the deadline: GET /x")
    assert "upstream=app" in line
    assert client.read_to_end() == b""
    client.close()
    gateway.wait_for_line("1 request cut")
    assert gateway.wait() == 0
    assert records(gateway, "cut at the deadline: ") == 1
