"""What connections, requests and state see of a reload: nothing, or what was announced."""

import json
import os
import re
import signal
import ssl
import threading
import time

import pytest

import exposition
import h1
import h2
import manager

HELLO = '[Route /hello]\nRespond=200 "hello"\n[Route /generation]\nRespond=200 "first"\n'
SECOND = HELLO.replace("first", "second")


@pytest.fixture
def gateway(service):
    """On TCP over IPv4 and IPv6 and on a Unix socket (indices 0 to 2), with an admin socket."""
    for kind in ("tcp4", "tcp6", "unix"):
        service.listen("http", kind)
    service.listen("admin")
    service.configure(HELLO)
    return service.start_ready()


@pytest.fixture
def proxy(service, upstream):
    """With an app behind it that the test plays."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.app = f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n"
    service.configure(HELLO + service.app, gateway="Threads=2\nDrainSec=20s")
    return service.start_ready()


def take_second(service, extra=""):
    """Reloads to a configuration that can be told from the first."""
    service.configure(SECOND + extra)
    return service.reload()


def metrics(service):
    return exposition.Exposition(service.admin("GET", "/metrics").text)


def draining(service):
    """What holdfastctl says of the generations that drain, by number."""
    status = json.loads(service.ctl("status", "--json").stdout)
    return {entry["generation"]: entry for entry in status["draining"]}


# --- idle connections ---------------------------------------------------------------------------------------------


def test_idle_connections_move(gateway):
    clients = [gateway.connect(index) for index in (0, 1, 2) for _ in range(10)]
    own = [client.sock.getsockname() for client in clients]
    for reload in range(20):
        for client in clients[reload % 3 :: 3]:  # the others have one behind them that they did not notice
            assert client.get("/hello").text == "hello"
        gateway.reload()
    assert all(client.get("/hello").text == "hello" for client in clients)
    assert [client.sock.getsockname() for client in clients] == own
    gateway.wait_former()
    status = json.loads(gateway.ctl("status", "--json").stdout)
    listener = status["listeners"][0]
    assert sum(listener["connections"].values()) == 30 and sum(listener["accepted"].values()) == 30
    assert status["succession"]["connections_moved"] == 20 * 30


def test_the_first_request_may_come_after_the_reload(gateway):
    clients = [gateway.connect(index) for index in (0, 1, 2)]
    h1.eventually(lambda: '"http1": 3' in gateway.ctl("status", "--json").stdout)
    take_second(gateway)
    assert [client.get("/generation").text for client in clients] == ["second"] * 3


def test_peer_and_listener_move_along(service):
    service.listen("http", "tcp4")
    service.listen("other", "tcp4")
    service.listen("admin")
    service.configure(HELLO + "[Listener other]\nMaxBodySize=10\n", gateway="Threads=2\nAccessLog=stderr")
    service.start_ready()
    clients = [service.connect(0), service.connect(1)]
    for client in clients:
        client.get("/hello")
    service.reload()
    for client, listener, status in zip(clients, ("http", "other"), (200, 413)):
        client.request("POST", "/hello", body=b"x" * 11)
        assert client.read_response().status == status
        service.wait_for_line(f"POST.*listener={listener}.*peer=127.0.0.1")


def test_idle_time_moves_along(service):
    """A connection does not win a new idle timeout by each reload."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.configure(HELLO, gateway=f"Threads=2\nIdleTimeoutSec={int(2 * manager.PATIENCE)}s")
    service.start_ready()
    with service.connect(timeout=10 * manager.PATIENCE) as client:
        client.get("/hello")
        began = time.monotonic()
        for _ in range(3):
            assert client.is_quiet(0.4 * manager.PATIENCE)
            service.reload()
        client.assert_closed()
        assert 1.8 < (time.monotonic() - began) / manager.PATIENCE < 2.9  # after a reload at 1.2 s


def test_under_load(gateway):
    """Clients that never retry, over each kind of socket: no request is lost, nobody has to connect again."""
    done, failures, counts = threading.Event(), [], []

    def load(index):
        count = 0
        with gateway.connect(index) as client:
            try:
                while not done.is_set():
                    client.request("POST", "/hello", body=b"x" * 100)
                    response = client.read_response()
                    assert response.text == "hello" and "Connection" not in response.headers
                    count += 1
            except Exception as failure:
                failures.append(repr(failure))
        counts.append(count)

    threads = [threading.Thread(target=load, args=(i % 3,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        gateway.reload()
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert min(counts) > 30


# --- requests that have begun -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [
    (b"G", b"ET /generation HTTP/1.1\r\nHost: test\r\n\r\n"),
    (b"GET /generation HTTP/1.1\r\nHost: test\r\n", b"\r\n"),
    (b"POST /generation HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345", b"67890"),
    (b"POST /generation HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345", b"\r\n0\r\n\r\n"),
])
def test_begun_requests_stay(gateway, pieces):
    """They are answered where they are; then the connection goes after the others."""
    with gateway.connect() as client:
        client.send(pieces[0])
        h1.eventually(lambda: h1.json(gateway.admin("GET", "/v1/status"))["workers"][0]["connections"] +
                      h1.json(gateway.admin("GET", "/v1/status"))["workers"][1]["connections"] == 1)
        h1.eventually(lambda: sum(w["idle"] for w in h1.json(gateway.admin("GET", "/v1/status"))["workers"]) == 0)
        take_second(gateway)
        client.send(pieces[1])
        response = client.read_response()
        assert response.text == "first" and "Connection" not in response.headers
        gateway.wait_former()
        assert client.get("/generation").text == "second"


def test_a_request_in_progress_stays(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/app/slow")
        app, _ = upstream.expect()
        take_second(proxy)
        assert client.is_quiet(0.2) and len(proxy.draining()) == 1
        app.respond(200, b"done")
        response = client.read_response()
        assert response.text == "done" and "Connection" not in response.headers
        proxy.wait_former()
        assert client.get("/generation").text == "second"


def test_pipelined_requests_are_answered(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/app/slow")
        app, _ = upstream.expect()
        client.request("GET", "/generation")
        client.request("GET", "/generation")
        take_second(proxy)
        app.respond(200, b"done")
        # The requests behind it may be answered by either: what is in the old one's buffer stays there.
        assert client.read_response().text == "done"
        assert {client.read_response().text for _ in range(2)} <= {"first", "second"}
        proxy.wait_former()
        assert client.get("/generation").text == "second"


def test_an_upload_and_a_download_span_a_reload(proxy, upstream):
    with proxy.connect() as up, proxy.connect() as down:
        up.send(b"POST /app/up HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n" + b"u" * 300_000)
        down.request("GET", "/app/down")
        app, _ = upstream.expect()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"d" * 300_000)
        assert down.read_head().status == 200
        take_second(proxy, proxy.app)
        up.send(b"u" * 700_000)
        other, request = upstream.expect()
        assert request.body == b"u" * 1_000_000
        other.respond(200, b"got it")
        assert up.read_response().text == "got it"
        app.send(b"d" * 700_000)
        assert down.read_exactly(1_000_000) == b"d" * 1_000_000
        proxy.wait_former()
        assert up.get("/generation").text == "second" and down.get("/generation").text == "second"


def test_expect_continue_spans_a_reload(proxy, upstream):
    with proxy.connect() as client:
        client.send(b"POST /app/up HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_head().status == 100
        take_second(proxy, proxy.app)
        client.send(b"12345")
        app, request = upstream.expect()
        assert request.body == b"12345"
        app.respond(200, b"thanks")
        assert client.read_response().text == "thanks"


# --- what cannot move ---------------------------------------------------------------------------------------------


def test_a_tunnel_stays_until_the_deadline(service, upstream):
    service.listen("http", "tcp4")
    service.listen("admin")
    service.allow(".*")
    service.configure(f"{HELLO}[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n",
                      gateway="Threads=2\nDrainSec=2s")
    service.start_ready()
    with service.connect() as client:
        client.request("GET", "/app/ws", [("Connection", "Upgrade"), ("Upgrade", "echo")])
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        assert client.read_head().status == 101
        began = time.monotonic()
        service.reload()
        client.send(b"ping")
        assert app.read_exactly(4) == b"ping"
        app.send(b"pong")
        assert client.read_exactly(4) == b"pong"
        assert client.is_quiet(1)
        service.wait_former()
        assert 1.8 < time.monotonic() - began < 4
    service.wait_for_line("generation 1 has ended: .*1 cut")


def test_http2_streams_finish(proxy, upstream):
    """Two GOAWAYs: what the client sent before it knew is answered, and so is what takes long."""
    with h2.Connection(proxy.address()) as client:
        stream = client.request("GET", "/app/slow")
        app, _ = upstream.expect()
        take_second(proxy)
        first = client.read_goaway(1)
        assert first.last_stream == 2**31 - 1
        late = client.get("/generation")
        assert late.status == "200" or late.status == 200
        second = client.read_goaway(2)
        assert second.last_stream < 2**31 - 1
        app.respond(200, b"done")
        assert client.read_response(stream).body == b"done"
        client.read_to_close()
    proxy.wait_former()
    with h2.Connection(proxy.address()) as client:
        assert client.get("/generation").body == b"second"


@pytest.fixture
def tls(service, tmp_path):
    """HTTPS (index 0) with a short time to drain."""
    certificate, key = manager.make_certificate(tmp_path)
    service.listen("https", "tcp4")
    service.listen("admin")
    service.tls = f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n"
    service.configure(service.tls + HELLO, listeners=(), gateway="Threads=2\nDrainSec=4s")
    service.start_ready()
    service.context = ssl.create_default_context(cafile=certificate)
    return service


def test_tls_is_answered_once_more(tls):
    with h1.Connection(tls.address(), tls=tls.context) as client:
        assert "Connection" not in client.get("/generation").headers
        tls.configure(tls.tls + SECOND, listeners=(), gateway="Threads=2\nDrainSec=4s")
        tls.reload()
        response = client.get("/generation")
        assert (response.text, response.headers.get("Connection")) == ("first", "close")
        client.assert_closed()
    tls.wait_former()


def test_idle_tls_is_kept_and_then_closed_in_stages(tls):
    clients = [h1.Connection(tls.address(), tls=tls.context) for _ in range(16)]
    for client in clients:
        client.get("/hello")
    began = time.monotonic()
    tls.reload()
    ends = []
    for client in clients:
        client.assert_closed()
        ends.append(time.monotonic() - began)
    assert 2.5 < min(ends) and max(ends) < 4.5 + (manager.PATIENCE - 1) / 2  # from three quarters of the time on, before the deadline
    tls.wait_former()
    tls.wait_for_line("generation 1 has ended: .*, 0 cut")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_sessions_are_resumed(tls, version):
    tls.context.minimum_version = tls.context.maximum_version = version

    def visit(session=None):
        sock = manager.socket.create_connection(tls.address(), 10)
        with tls.context.wrap_socket(sock, server_hostname="localhost", session=session) as wrapped:
            wrapped.sendall(h1.format_request("GET", "/hello"))
            assert wrapped.recv(65536).startswith(b"HTTP/1.1 200")
            return wrapped.session, wrapped.session_reused

    session, reused = visit()
    assert not reused
    for _ in range(3):
        tls.reload()
        session, reused = visit(session)
        assert reused


def test_tickets_are_not_good_for_other_certificates(tls, tmp_path):
    """Nor for ones that a reload has exchanged: a session says what was verified when it began."""
    tls.context.minimum_version = tls.context.maximum_version = ssl.TLSVersion.TLSv1_2
    sock = tls.context.wrap_socket(manager.socket.create_connection(tls.address(), 10), server_hostname="localhost")
    session = sock.session
    sock.close()
    (tmp_path / "other").mkdir()
    certificate, key = manager.make_certificate(tmp_path / "other")
    tls.configure(f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n" + HELLO,
                  listeners=(), gateway="Threads=2\nDrainSec=4s")
    tls.reload()
    tls.wait_former()  # until then it may be the old generation that accepts
    tls.context.load_verify_locations(certificate)
    sock = tls.context.wrap_socket(manager.socket.create_connection(tls.address(), 10), server_hostname="localhost",
                                   session=session)
    assert not sock.session_reused
    sock.close()


# --- several generations ------------------------------------------------------------------------------------------


def test_generations_coexist(proxy, upstream):
    """Each keeps its request; status shows them; a reload too many is refused; in the end all have answered."""
    clients, apps = [], []
    for number in (1, 2, 3):
        clients.append(proxy.connect())
        clients[-1].request("GET", f"/app/{number}")
        apps.append(upstream.expect()[0])
        proxy.reload()
    assert len(proxy.draining()) == 3
    h1.eventually(lambda: {g: d["in_flight"] for g, d in draining(proxy).items()} == {1: 1, 2: 1, 3: 1})
    assert all(0 < d["left_usec"] <= 20_000_000 for d in draining(proxy).values())
    assert metrics(proxy).value("holdfast_generations_draining") == 3
    table = proxy.ctl("status").stdout
    assert "DRAINING" in table and "CUT IN" in table

    result = proxy.ctl("reload")
    assert result.returncode == 1 and "MaxGenerations=4" in result.stderr and "3, 2, 1" in result.stderr
    apps[1].respond(200, b"2")
    assert clients[1].read_response().text == "2"
    h1.eventually(lambda: set(draining(proxy)) == {1, 3})
    proxy.reload()
    for number in (0, 2):
        apps[number].respond(200, b"late")
        assert clients[number].read_response().text == "late"
    proxy.wait_former()
    h1.eventually(lambda: draining(proxy) == {})
    # Connections of all of them have come to the newest.
    assert all(client.get("/hello").text == "hello" for client in clients)


def test_all_generations_drain_at_stop(proxy, upstream):
    clients, apps = [], []
    for number in (1, 2):
        clients.append(proxy.connect())
        clients[-1].request("GET", f"/app/{number}")
        apps.append(upstream.expect()[0])
        proxy.reload()
    stopped = threading.Thread(target=proxy.stop)
    stopped.start()
    proxy.wait_for("STOPPING=1")
    for client, app in zip(clients, apps):
        assert client.is_quiet(0.2)
        app.respond(200, b"late")
        assert client.read_response().text == "late"
    stopped.join(20)
    assert proxy.status == 0 and not stopped.is_alive()


def test_what_is_left_ends_within_the_units_time(service, upstream):
    """A generation that was replaced cannot ask systemd for more than TimeoutStopSec=, which begins anew when the main
    process has ended."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.allow(".*")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n",
                      gateway="Threads=2\nDrainSec=1h")
    service.with_bus()
    service.unit.timeout_stop = 3
    service.start_ready()
    with service.connect() as client:
        client.request("GET", "/app/slow")
        app, _ = upstream.expect()
        service.reload()
        service.signal_all(signal.SIGTERM)
        assert service.wait() == 0
        began = time.monotonic()
        service.signal_all(signal.SIGTERM)
        assert client.is_quiet(2)
        service.wait_former()
        assert time.monotonic() - began < 3
        client.assert_closed()
        app.close()


def test_the_deadline_cuts_what_is_left(service, upstream):
    service.listen("http", "tcp4")
    service.listen("admin")
    service.allow(".*")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n",
                      gateway="Threads=2\nDrainSec=1s")
    service.start_ready()
    with service.connect() as client:
        client.request("GET", "/app/slow")
        app, _ = upstream.expect()
        service.reload()
        service.wait_former()
        client.assert_closed()
        app.close()
    service.wait_for_line("generation 1 has ended: .*1 cut")


def test_successor_dies_later(proxy, upstream):
    """The old generation, whose successor is gone, still answers what it has."""
    with proxy.connect() as client:
        client.request("GET", "/app/slow")
        app, _ = upstream.expect()
        proxy.reload()
        proxy.expected_status = None
        proxy.signal(signal.SIGKILL)
        proxy.wait()
        proxy.wait_for_line("the generation that replaced this one has died")
        app.respond(200, b"done")
        response = client.read_response()
        # Its worker may answer before it has heard that nobody takes connections any more.
        assert response.text == "done" and response.headers.get("Connection") in ("close", None)
        assert client.read_to_end() == b""
    proxy.wait_former()


# --- state --------------------------------------------------------------------------------------------------------


def test_counters_go_on(proxy, upstream):
    """Over reloads, and with what a draining generation counts afterwards."""

    def sample():
        m = metrics(proxy)
        return (m.value("holdfast_requests_total", route="/hello", method="GET", **{"class": "2xx"}),
                m.value("holdfast_request_duration_seconds_count", route="/hello"),
                m.value("holdfast_connections_total", listener="http", protocol="http1"))

    with proxy.connect() as client, proxy.connect() as slow:
        for reload in range(1, 4):
            slow.request("GET", "/app/slow")
            app, _ = upstream.expect()
            for _ in range(5):
                client.get("/hello")
            h1.eventually(lambda: sample() == (5 * reload, 5 * reload, 2))
            proxy.reload()
            assert sample() == (5 * reload, 5 * reload, 2)
            app.respond(200, b"done")
            slow.read_response()
            proxy.wait_former()
            h1.eventually(lambda: metrics(proxy).value("holdfast_requests_total", route="/app/*rest", method="GET",
                                                       **{"class": "2xx"}) == reload)
    m = metrics(proxy)
    assert m.value("holdfast_reloads_total") == 3 and m.value("holdfast_reloads_failed_total") == 0
    assert 0 < m.value("holdfast_reload_start_seconds") < 20
    # What each generation did itself is in its own record.
    proxy.wait_for_line(r"generation 3 has ended: 6 requests answered")


def test_health_goes_along(service):
    """A target that was found down is not news to the next generation."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.allow(".*")
    service.configure("[Upstream app]\nTarget=unix:/nonexistent/a.sock\nHoldSec=0\n[Route /]\nUpstream=app\n")
    service.start_ready()
    assert service.get("/").status == 503
    service.wait_for_line("warning: .*down")
    service.reload()
    assert json.loads(service.ctl("status", "--json").stdout)["upstreams"][0]["targets"][0]["up"] is False
    assert service.get("/").status == 503
    service.wait_former()
    assert len([l for l in service.lines() if re.search(r"target .* is down|unix:/nonexistent/a.sock.* down", l)]) <= 1


def test_memory_and_descriptors_do_not_grow(gateway):
    """What a generation gets from the one before it, it has once."""
    with gateway.connect() as client:
        sizes = []
        for _ in range(12):
            gateway.reload()
            client.get("/hello")
            gateway.wait_former()
            h1.eventually(lambda: draining(gateway) == {})
            sizes.append(len(os.listdir(f"/proc/{gateway.pid}/fd")))
    assert max(sizes[2:]) - min(sizes[2:]) <= 1
    variables = open(f"/proc/{gateway.pid}/environ").read().split("\0")
    assert len([v for v in variables if v.startswith("LISTEN_PID=")]) == 1
