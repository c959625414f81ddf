"""SIGTERM: nothing is refused, nothing that runs is lost, and it ends in time."""

import signal
import time

import pytest

import h1
from targets import begin_without_length

ROUTES = '[Route /hello]\nRespond=200 "hello"\n[Route /app/*rest]\nUpstream=app\n'


@pytest.fixture
def gateway(service, upstream):
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES, gateway="Threads=2\nDrainSec=10s\nQuietSec=1s")
    return service.start_ready()


def drain(gateway):
    """Tells it to stop, and waits until no thread accepts any more."""
    gateway.signal(signal.SIGTERM)
    gateway.wait_for("STOPPING=1")
    h1.eventually(lambda: not any(w["accepting"] for w in h1.json(gateway.admin("GET", "/v1/status"))["workers"]))


def test_a_request_in_progress_is_answered(gateway, upstream):
    with gateway.connect() as client:
        client.request("GET", "/app/slow")
        app = upstream.accept()
        app.read_request()
        drain(gateway)
        assert client.is_quiet(0.3) and gateway.is_running()
        app.respond(200, b"done")
        response = client.read_response()
        assert (response.body, response.headers.get("Connection")) == (b"done", "close")
        client.assert_closed()
    assert gateway.wait() == 0


def test_a_late_request_on_an_idle_connection_is_answered(gateway):
    with gateway.connect() as client, gateway.connect() as silent:
        assert client.get("/hello").status == 200
        assert silent.get("/hello").status == 200
        drain(gateway)
        time.sleep(0.3)
        response = client.get("/hello")
        assert (response.status, response.headers.get("Connection")) == (200, "close")
        client.assert_closed()
        silent.assert_closed()
    assert gateway.wait() == 0


def test_new_connections_wait_for_the_next_process(gateway):
    """The listening socket is the manager's: nothing is refused, and nothing is reset."""
    with gateway.connect() as client:
        client.get("/hello")
        drain(gateway)
        waiting = gateway.connect()
        waiting.request("GET", "/hello")
        assert gateway.wait() == 0
    assert waiting.is_quiet(0.1)
    gateway.start()
    gateway.wait_ready()
    assert waiting.read_response().status == 200
    waiting.close()


def test_an_idle_connection_is_closed_after_the_quiet_period(gateway):
    with gateway.connect() as client:
        assert client.get("/hello").status == 200
        began = time.monotonic()
        drain(gateway)
        client.assert_closed()  # in an orderly way
        assert 0.9 < time.monotonic() - began < 4
    assert gateway.wait() == 0


def test_nothing_is_waited_for_when_nothing_runs(gateway):
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 1.5


def test_a_download_in_progress_finishes(gateway, upstream):
    """Longer than the quiet period, in pieces, and as long as the app takes."""
    with gateway.connect() as client:
        client.request("GET", "/app/download")
        app, _ = upstream.expect()
        app.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert client.read_head().status == 200
        assert client.read_chunk() == b"first"
        drain(gateway)
        assert client.is_quiet(1.5)
        for piece in (b"second", b"third"):
            app.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert client.read_chunk() == piece
        app.send(b"0\r\n\r\n")
        assert client.read_chunk() == b""
        client.read_fields()
        client.assert_closed()
    assert gateway.wait() == 0


def test_a_pipelined_request_is_not_lost(gateway, upstream):
    """Both were sent before the drain began, so both are answered."""
    with gateway.connect() as client:
        client.request("GET", "/app/first")
        app, _ = upstream.expect()
        client.request("GET", "/hello")
        drain(gateway)
        app.respond(200, b"one")
        first, second = client.read_response(), client.read_response()
        assert (first.body, second.body) == (b"one", b"hello")
        client.assert_closed()
    assert gateway.wait() == 0


def test_progress_is_told(gateway, upstream):
    with gateway.connect() as client, gateway.connect() as other:
        client.request("GET", "/app/one")
        app, _ = upstream.expect()
        other.request("GET", "/app/two")
        second, _ = upstream.expect()
        drain(gateway)
        second.respond(200)
        other.read_response()
        line = gateway.wait_for_line("info: draining: 1 request on")
        assert "in_flight=1" in line
        assert gateway.wait_for("STATUS=draining: 1 request in flight")
        app.respond(200)
        client.read_response()
    assert gateway.wait() == 0


def test_an_upload_in_progress_finishes(gateway):
    with gateway.connect() as client:
        client.send(b"POST /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234")
        assert client.is_quiet(0.1)
        drain(gateway)
        time.sleep(1.5)  # longer than the quiet period
        client.send(b"56789")
        response = client.read_response()
        assert (response.status, response.headers.get("Connection")) == (200, "close")
    assert gateway.wait() == 0


def test_the_deadline_cuts_and_tells(service, upstream):
    service.listen("http")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES, gateway="Threads=2\nDrainSec=1s")
    service.allow("warning: cut", "warning: drained")
    service.start_ready()
    with service.connect() as client, service.connect() as half:
        client.request("GET", "/app/slow", [("X-Request-ID", "the-slow-one")])
        app = upstream.accept()
        app.read_request()
        half.send(b"GET /hel")
        assert half.is_quiet(0.1)
        began = time.monotonic()
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert 0.9 < time.monotonic() - began < 5
        with pytest.raises((h1.Closed, ConnectionResetError)):
            client.read_response()
    line = next(line for line in service.lines() if "cut at the deadline: GET /app/slow" in line)
    for field in ("request_id=the-slow-one", "method=GET", "path=/app/slow", "route=/app/*rest", "age_usec="):
        assert field in line
    assert "only begun to arrive" in service.text()


def test_readyz_says_it_is_draining(gateway, upstream):
    with gateway.connect() as client:
        client.request("GET", "/app/slow")
        app = upstream.accept()
        app.read_request()
        drain(gateway)
        response = gateway.admin("GET", "/readyz")
        assert response.status == 503 and b"draining" in response.body
        app.respond(200, b"ok")
        client.read_response()
    assert gateway.wait() == 0


def test_what_is_cut_does_not_end_as_if_it_were_whole(service, upstream):
    """To a client of HTTP/1.0 the end of the connection is that of the body."""
    service.listen("http", "tcp4")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES, gateway="Threads=1\nDrainSec=1s")
    service.allow("warning: cut", "warning: drained")
    service.start_ready()
    with service.connect() as client, begin_without_length(client, upstream):
        service.signal(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)
            pytest.fail("it ended as if it were whole")
        assert service.wait() == 0


def test_a_tunnel_goes_on_until_the_deadline(service, upstream):
    service.listen("http")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES, gateway="Threads=1\nDrainSec=2s")
    service.allow("warning: cut", "warning: drained")
    service.start_ready()
    with service.connect() as client:
        client.request("GET", "/app/ws", [("Connection", "Upgrade"), ("Upgrade", "echo")])
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        assert client.read_head().status == 101
        service.signal(signal.SIGTERM)
        service.wait_for("STOPPING=1")
        time.sleep(0.5)
        client.send(b"still")
        assert app.read_exactly(5) == b"still"
        assert service.wait() == 0
        client.assert_closed()
    line = next(line for line in service.lines() if "cut at the deadline: GET /app/ws, a tunnel" in line)
    for field in ("request_id=", "route=/app/*rest", "age_usec="):
        assert field in line
