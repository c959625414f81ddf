"""ProxyProtocol=: connections that begin with a header of the PROXY protocol, which says whose they are."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time

import pytest

import exposition
import h1
import h2
import manager
from process import cpu_seconds
from targets import counted

HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 443 80\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 443 80\r\n"


def v2(source="192.0.2.1", command=1, family=0x11, tlvs=b""):
    payload = b"" if family == 0 else socket.inet_aton(source) + socket.inet_aton("198.51.100.2") + b"\x01\xbb\0\x50"
    payload += tlvs
    return SIGNATURE + bytes([0x20 | command, family]) + len(payload).to_bytes(2, "big") + payload


def start(service, upstream=None, listener="", kind="tcp4", gateway="Threads=1"):
    service.listen("http", kind)
    service.listen("admin")
    app = f"[Upstream app]\nTarget={upstream.target}\n[Route /app]\nUpstream=app\n" if upstream else ""
    service.write_config(
        f"[Gateway]\n{gateway}\n[Listener http]\nProxyProtocol=yes\nProxyProtocolFrom=127.0.0.1 unix\n{listener}\n"
        f'{app}[Route /hello]\nRespond=200 "hello"\n[Route /only]\nRespond=204\nAllowFrom=192.0.2.0/24\n'
    )
    service.allow("info: request from")
    return service.start_ready()


def client_of(connection, upstream):
    """The address that the app is told."""
    connection.request(target="/app")
    with upstream.accept() as app:
        fields = app.read_request().headers
        app.respond(200)
        assert connection.read_response().status == 200
    return fields.get("X-Forwarded-For")


def assert_closed(connection):
    with contextlib.suppress(ConnectionResetError):
        assert connection.sock.recv(1) == b""


def faults(service, kind):
    metrics = exposition.Exposition(service.admin("GET", "/metrics").text)
    return metrics.value("holdfast_client_faults_total", listener="http", fault=kind)


@pytest.mark.parametrize(
    "header, client",
    [
        (V1, "192.0.2.1"),
        (V1_IPV6, "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (v2(), "192.0.2.1"),
        (v2(tlvs=b"\x04\0\x03abc"), "192.0.2.1"),
        (v2(family=0), "127.0.0.1"),
        (v2(command=0, family=0), "127.0.0.1"),
    ],
)
def test_the_client_is_the_source(service, upstream, header, client):
    start(service, upstream)
    with service.connect(before=header) as connection:
        assert client_of(connection, upstream) == client
        assert connection.get("/only").status == (204 if client == "192.0.2.1" else 403)
        assert client_of(connection, upstream) == client  # for as long as it lasts
    with service.connect(before=header + h1.format_request("GET", "/hello")) as connection:  # all at once
        assert connection.read_response().body == b"hello"


@pytest.mark.parametrize("header", [V1, v2(tlvs=b"\x04\0\x03abc")])
def test_byte_by_byte(service, upstream, header):
    start(service, upstream)
    with service.connect() as connection:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(header)):
            connection.send(header[i : i + 1])
            time.sleep(0.002)  # so that each is a segment of its own, mostly; nothing hangs on it
        assert client_of(connection, upstream) == "192.0.2.1"


def test_waiting_costs_nothing(service):
    """Half a header does not wake the loop again and again."""
    start(service)
    with service.connect(before=V1[:20]), service.connect(before=v2()[:20]), service.connect() as admin:
        before = cpu_seconds(service.pid)
        with pytest.raises(TimeoutError):
            admin.sock.settimeout(1)
            admin.sock.recv(1)
        assert cpu_seconds(service.pid) - before < 0.25


@pytest.mark.parametrize("header", [V1, v2(), v2(command=0, family=0)])
def test_whoever_sends_it_may_have_ended_tls(service, upstream, header):
    start(service, upstream)
    with h2.Connection(service.address(), before=header) as client:
        stream = client.request(path="/app", scheme="https")
        with upstream.accept() as app:
            fields = app.read_request().headers
            app.respond(200)
            assert client.read_response(stream).status == 200
    assert fields.get("X-Forwarded-Proto") == "https" and "proto=https" in fields.get("Forwarded")


def test_over_tls(service, upstream, tmp_path):
    certificate, key = manager.make_certificate(tmp_path)
    start(service, upstream, f"Protocol=https\nTLSCertificate={certificate}\nTLSKey={key}")
    for header in (V1, v2()):
        with service.connect(tls=ssl.create_default_context(cafile=certificate), before=header) as connection:
            assert client_of(connection, upstream) == "192.0.2.1"
        tls = ssl.create_default_context(cafile=certificate)
        with h2.Connection(service.address(), tls=tls, before=header) as connection:
            assert connection.read_response(connection.request(path="/only")).status == 204
    with pytest.raises((ssl.SSLError, OSError)):
        service.connect(tls=ssl.create_default_context(cafile=certificate))
    service.wait_for_line("turned away 127.0.0.1 .*PROXY header")


def test_over_http2(service):
    start(service)
    for header in (V1, v2()):
        with h2.Connection(service.address(), before=header) as connection:
            assert connection.read_response(connection.request(path="/only")).status == 204


@pytest.mark.parametrize(
    "junk, why",
    [
        (h1.format_request("GET", "/hello"), "there is none"),
        (h2.PREFACE, "there is none"),
        (b"\x16\x03\x01\x02\0\x01\0", "there is none"),
        (b"PROXY TCP4 192.0.2.1\r\n", "an address is none of its family"),
        (b"PROXY " + b"x" * 200, "its line is longer than 107 bytes"),
        (V1[:-2] + b"\n", "its line does not end in CR LF"),
        (SIGNATURE + b"\x11\x11\0\x0c", "its version is not 2"),
        (v2(family=0x12), "its family and protocol"),
        (SIGNATURE + b"\x21\x11\xff\xff", "it is longer than 2048 bytes"),
    ],
)
def test_junk(service, junk, why):
    start(service)
    with service.connect(before=junk) as connection:
        assert_closed(connection)
    service.wait_for_line(f"turned away 127.0.0.1 on listener http: its PROXY header .*: {why}")
    assert faults(service, "proxy-header") == 1
    with service.connect(before=V1) as connection:
        assert connection.get("/hello").status == 200


def test_none_at_all(service):
    start(service, gateway="Threads=1\nHeadTimeoutSec=300ms")
    with service.connect() as silent, service.connect(before=V1[:9]) as slow:
        assert_closed(silent)
        assert_closed(slow)
    service.wait_for_line("it did not come in time")
    assert faults(service, "proxy-header") == 2
    service.connect().close()  # who looks whether somebody listens is no fault
    with service.connect(before=V1[:9]) as half:
        half.shutdown_write()
        assert_closed(half)
    service.wait_for_line("the connection ended within it")
    assert faults(service, "proxy-header") == 3


def test_who_may_speak_it(service):
    start(service)
    with service.connect(source="127.0.0.2", before=V1) as connection:
        assert_closed(connection)
    service.wait_for_line("turned away 127.0.0.2 on listener http: .*it may not speak the PROXY protocol")
    assert faults(service, "denied") == 1


def test_access_goes_by_the_source(service):
    start(service, listener="DenyFrom=192.0.2.0/24 127.0.0.1")
    for header, is_served in [
        (V1, False),
        (v2(), False),
        (V1_IPV6, True),
        (v2("203.0.113.1"), True),
        (b"PROXY UNKNOWN\r\n", False),
        (v2(command=0, family=0), True),  # the proxy itself, to see whether we are well
    ]:
        with service.connect(before=header) as connection:
            if is_served:
                assert connection.get("/hello").status == 200
            else:
                assert_closed(connection)
    assert faults(service, "denied") == 3
    service.wait_for_line("turned away 192.0.2.1 on listener http: its address is not allowed here")


def test_places_go_by_the_source(service):
    """MaxConnectionsPerSource= is for clients, however many of them come by one proxy."""
    start(service, listener="MaxConnectionsPerSource=2")
    with contextlib.ExitStack() as stack:
        def connect(header):
            return stack.enter_context(service.connect(before=header))

        first, second = connect(V1), connect(v2())  # the same client
        assert first.get("/hello").status == second.get("/hello").status == 200
        assert_closed(connect(V1))
        service.wait_for_line("turned away 192.0.2.1 on listener http: ")
        assert faults(service, "connections") == 1
        assert [connect(v2(f"192.0.2.{n}")).get("/hello").status for n in range(2, 10)] == [200] * 8
        # The proxy's own looks are not limited.
        assert [connect(v2(command=0, family=0)).get("/hello").status for _ in range(5)] == [200] * 5
        first.close()
        h1.eventually(lambda: counted(service) == 14)
        assert connect(V1).get("/hello").status == 200
    h1.eventually(lambda: counted(service) == 0)


def test_many_that_announce_nothing(service):
    """They cost a place each for HeadTimeoutSec= and nothing else; whoever announces is served meanwhile."""
    start(service, gateway="Threads=1\nHeadTimeoutSec=2s")
    with contextlib.ExitStack() as stack:
        half = [stack.enter_context(service.connect(before=V1[:20])) for _ in range(400)]
        h1.eventually(lambda: counted(service) == 400)
        for _ in range(50):
            with service.connect(before=V1) as connection:
                assert connection.get("/hello").status == 200
        for connection in half:
            assert_closed(connection)
    assert faults(service, "proxy-header") == 400
    assert counted(service) == 0
    assert 0 < len([line for line in service.lines() if "turned away" in line]) < 100


def test_a_flood_of_junk(service):
    """Each is counted, few are told of one by one, and the others are served as ever."""
    start(service)
    for _ in range(20):
        clients = [service.connect(before=b"PROXY " + b"x" * 200) for _ in range(50)]
        with service.connect(before=V1) as connection:
            assert connection.get("/hello").status == 200
        for client in clients:
            assert_closed(client)
            client.close()
    assert faults(service, "proxy-header") == 1000
    assert counted(service) == 0
    assert 0 < len([line for line in service.lines() if "turned away" in line]) < 100


def test_on_a_unix_socket(service, upstream):
    start(service, upstream, kind="unix")
    with service.connect(before=V1) as connection:
        assert client_of(connection, upstream) == "192.0.2.1"
    with service.connect() as connection:
        for byte in v2():
            connection.send(bytes([byte]))
        assert client_of(connection, upstream) == "192.0.2.1"


def test_the_source_is_a_trusted_proxy(service, upstream):
    """One that speaks HTTP, behind one that does not."""
    start(service, upstream, "TrustedProxies=192.0.2.0/24")
    for header, expected in [(V1, "203.0.113.1, 192.0.2.1"), (V1_IPV6, "2001:db8::1")]:
        with service.connect(before=header) as connection:
            connection.request(target="/app", headers=[("X-Forwarded-For", "203.0.113.1")])
            with upstream.accept() as app:
                assert app.read_request().headers.get("X-Forwarded-For") == expected
                app.respond(200)
                connection.read_response()


def test_idle_connections_at_a_reload(service, upstream):
    start(service, upstream)
    with service.connect(before=V1) as told, service.connect(before=b"PROXY UNKNOWN\r\n") as untold:
        for _ in range(2):
            assert client_of(told, upstream) == "192.0.2.1"
            assert client_of(untold, upstream) == "127.0.0.1"
            service.reload()
        text = service.config_path.read_text()
        service.config_path.write_text(text.replace("ProxyProtocol", "#ProxyProtocol"))
        service.reload()
        assert client_of(told, upstream) == "192.0.2.1"  # also where it is not asked for any more
        assert client_of(untold, upstream) == "127.0.0.1"
        service.config_path.write_text(text.replace("[Listener http]\n", "[Listener http]\nDenyFrom=192.0.2.1\n"))
        service.reload()
        assert_closed(told)
        assert client_of(untold, upstream) == "127.0.0.1"
    service.wait_for_line("turned away 192.0.2.1")


def test_idle_connections_at_a_restart(service, upstream):
    service.with_bus()
    start(service, upstream, gateway="Threads=1\nDrainSec=20s\nQuietSec=1s")
    with service.connect(before=v2()) as told:
        assert client_of(told, upstream) == "192.0.2.1"
        service.restart()
        assert client_of(told, upstream) == "192.0.2.1"


@contextlib.contextmanager
def haproxy(service, option):
    front = manager.listen("tcp4")
    address = front.getsockname()
    front.close()
    host, port = service.address()
    path = service.directory / "haproxy.cfg"
    path.write_text(
        f"defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\nlisten front\n"
        f" bind {address[0]}:{address[1]}\n server holdfast {host}:{port} {option}\n"
    )
    process = subprocess.Popen([HAPROXY, "-db", "-f", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(address).close()
                break
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        yield address
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id", "send-proxy-v2 check"])
def test_behind_haproxy(service, upstream, option):
    start(service, upstream)
    with haproxy(service, option) as address:
        with h1.Connection(address, source="127.0.0.5") as connection:
            assert client_of(connection, upstream) == "127.0.0.5"
        with h2.Connection(address, source="127.0.0.6") as connection:
            assert connection.read_response(connection.request(path="/hello")).status == 200
    assert faults(service, "proxy-header") == 0


def test_mistakes(service):
    service.listen("http", "tcp4")
    service.write_config("[Listener http]\nProxyProtocol=yes\n[Route /]\nRespond=200\n")
    assert service.run() != 0
    assert "ProxyProtocolFrom= is missing" in service.text()
