"""SIGTERM: nothing is refused, nothing that runs is lost, and it ends in time."""

import signal
import time

import pytest

import h1

ROUTES = '[Route /hello]\nRespond=200 "hello"\n[Route /app/*rest]\nUpstream=app\n'


@pytest.fixture
def gateway(service, upstream):
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES, gateway="Threads=2\nDrainSec=10s\nQuietSec=1s")
    return service.start_ready()


def drain(gateway):
    gateway.signal(signal.SIGTERM)
    gateway.wait_for("STOPPING=1")


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
