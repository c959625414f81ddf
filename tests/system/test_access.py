"""Who may come: AllowFrom= and DenyFrom= of listeners and routes. Clients come from several addresses of 127.0.0.0/8."""

import socket
import ssl

import pytest

import exposition
import h1
import h2
import manager

HELLO = '[Route /hello]\nRespond=200 "hello"\n'


def start(service, listener="", routes=HELLO, kind="tcp4", gateway="Threads=1"):
    service.listen("http", kind)
    service.listen("admin")
    service.write_config(f"[Gateway]\n{gateway}\n[Listener http]\n{listener}\n{routes}")
    return service.start_ready()


def is_served(service, source=None, index=0):
    """Otherwise the connection ends without a byte."""
    with service.connect(index, source=source) as client:
        try:
            client.request(target="/hello")
            return client.read_response().status == 200
        except h1.Closed as end:
            assert not end.received
        except (ConnectionResetError, BrokenPipeError):
            pass
        return False


def faults(service, kind):
    metrics = exposition.Exposition(service.admin("GET", "/metrics").text)
    return metrics.value("holdfast_client_faults_total", listener="http", fault=kind)


@pytest.mark.parametrize(
    "listener, served, turned_away",
    [
        ("", ["127.0.0.1"], []),
        ("AllowFrom=127.0.0.2", ["127.0.0.2"], ["127.0.0.1", "127.0.0.3"]),
        ("DenyFrom=127.0.0.2", ["127.0.0.1", "127.0.0.3"], ["127.0.0.2"]),
        ("AllowFrom=127.0.0.2\nDenyFrom=127.0.0.0/30", ["127.0.0.2", "127.0.0.4"], ["127.0.0.1", "127.0.0.3"]),
        ("AllowFrom=127.0.0.2/31 127.0.0.9\nDenyFrom=any", ["127.0.0.2", "127.0.0.3", "127.0.0.9"], ["127.0.0.1"]),
        ("AllowFrom=unix", [], ["127.0.0.1"]),
    ],
)
def test_listener(service, listener, served, turned_away):
    start(service, listener)
    for source in served:
        assert is_served(service, source), source
    for source in turned_away:
        assert not is_served(service, source), source
        service.wait_for_line(f"turned away {source} on listener http: its address is not allowed here")
    assert faults(service, "denied") == len(turned_away)


@pytest.mark.parametrize("kind, word", [("unix", "unix"), ("tcp6", "::1"), ("tcp4", "localhost")])
def test_kinds_of_sockets(service, kind, word):
    start(service, f"AllowFrom={word}", kind=kind)
    assert is_served(service)
    service.write_config(f"[Listener http]\nDenyFrom={word}\n{HELLO}")
    service.reload()
    assert not is_served(service)
    service.wait_for_line("turned away .*: its address is not allowed here")


def test_ipv4_on_a_socket_for_both(service):
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 0))
    sock.listen()
    service.pass_socket("http", sock)
    service.listen("admin")
    service.write_config(f"[Listener http]\nAllowFrom=127.0.0.2\n{HELLO}")
    service.start_ready()
    port = sock.getsockname()[1]
    with h1.Connection(("127.0.0.1", port), source="127.0.0.2") as client:
        assert client.get("/hello").status == 200
    with h1.Connection(("::1", port)) as client, pytest.raises((h1.Closed, ConnectionResetError, BrokenPipeError)):
        client.get("/hello")
    service.wait_for_line("turned away ::1")


def test_before_tls(service, tmp_path):
    """Not a byte of a handshake is answered, and none is computed."""
    certificate, key = manager.make_certificate(tmp_path)
    start(service, f"Protocol=https\nTLSCertificate={certificate}\nTLSKey={key}\nDenyFrom=127.0.0.2")
    context = ssl.create_default_context(cafile=certificate)
    with service.connect(tls=context) as client:
        assert client.get("/hello").status == 200
    with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError, OSError)):
        service.connect(tls=context, source="127.0.0.2")
    service.wait_for_line("turned away 127.0.0.2")
    assert faults(service, "denied") == 1


def test_flood(service):
    """A thousand that may not come leave nothing behind, and few words."""
    start(service, "DenyFrom=127.0.0.2")
    with service.connect() as client:
        client.get("/hello")
        for _ in range(1000):
            assert not is_served(service, "127.0.0.2")
        assert client.get("/hello").status == 200
    assert faults(service, "denied") == 1000
    service.wait_for_line("turned away 127.0.0.2")
    told = [line for line in service.lines() if "turned away" in line]
    assert len(told) < 500


def test_route(service, upstream):
    routes = (
        f"[Upstream app]\nTarget={upstream.target}\n[Route /app]\nUpstream=app\nAllowFrom=127.0.0.2\n"
        "[Route /hello]\nRespond=200\nDenyFrom=127.0.0.3\n[Route /all]\nRespond=204\n"
    )
    start(service, routes=routes)
    service.allow("info: request from")
    for source, path, status in [
        ("127.0.0.1", "/app", 403),
        ("127.0.0.3", "/hello", 403),
        ("127.0.0.1", "/hello", 200),
        ("127.0.0.3", "/all", 204),
    ]:
        with service.connect(source=source) as client:
            response = client.get(path)
            assert response.status == status
            if status == 403:
                assert response.headers.get("Content-Type") == "application/problem+json"
                service.wait_for_line(f"request from {source} refused with 403")
            assert client.get("/all").status == 204  # the connection is as good as before
    with service.connect(source="127.0.0.1") as client:
        client.send(b"POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_response().status == 403  # before the body
    with service.connect(source="127.0.0.2") as client:
        client.request(target="/app")
        app = upstream.accept()
        app.read_request()
        app.respond(200, b"yes")
        assert client.read_response().body == b"yes"
        app.close()
    assert faults(service, "denied") == 0


def test_route_over_http2(service):
    start(service, routes="[Route /no]\nRespond=200\nDenyFrom=127.0.0.2\n[Route /yes]\nRespond=204\n")
    service.allow("info: request from")
    with h2.Connection(service.address(), source="127.0.0.2") as client:
        assert client.read_response(client.request(path="/no")).status == 403
        assert client.read_response(client.request(path="/yes")).status == 204


def test_idle_connections_at_a_reload(service):
    """The successor's configuration says who goes on."""
    start(service)
    stays, goes = service.connect(source="127.0.0.2"), service.connect(source="127.0.0.3")
    with stays, goes:
        assert stays.get("/hello").status == goes.get("/hello").status == 200
        service.write_config(f"[Listener http]\nDenyFrom=127.0.0.3\n{HELLO}")
        service.reload()
        service.wait_for_line("turned away 127.0.0.3")
        assert goes.sock.recv(1) == b""
        assert stays.get("/hello").status == 200


def test_mistakes(service):
    service.listen("http", "tcp4")
    service.write_config(f"[Listener http]\nAllowFrom=127.0.0.1/8\n{HELLO}")
    assert service.run() != 0
    assert "is 127.0.0.0/8 meant, or 127.0.0.1 alone?" in service.text()
