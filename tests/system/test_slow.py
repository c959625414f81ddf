"""Clients that are slow, on purpose or not: each phase of a connection has a clock of its own, and who runs out of it is
told in the journal. Who is slow but honest is served to the end."""

import itertools
import socket
import ssl
import subprocess
import threading
import time

import pytest

import exposition
import h1
import manager
from process import cpu_seconds
from targets import counted

HELLO = '[Route /hello]\nRespond=200 "hello"\n'
LARGE = 8 * 1024 * 1024  # more than the kernel buffers on the way take


def configure(service, gateway, kind="tcp4", routes=HELLO):
    service.listen("http", kind)
    service.listen("admin")
    service.configure(routes, gateway=gateway)
    return service.start_ready()


def serve_large(service, gateway, kind="tcp4"):
    site = service.directory / "site"
    site.mkdir()
    (site / "large").write_bytes(bytes(LARGE))
    return configure(service, gateway, kind, f"[Route /*path]\nStatic={site}\n")


def await_fault(service, fault):
    """The one client that was turned away: a record says why, and it is counted."""
    line = service.wait_for_line(f"turned away .*fault={fault}")
    metrics = exposition.Exposition(service.admin("GET", "/metrics").text)
    assert metrics.sum("holdfast_client_faults_total", fault=fault) == 1
    return line


def no_faults(service):
    return not [line for line in service.lines() if "turned away" in line]


# Each timer


def test_a_handshake_that_does_not_end(service, tmp_path):
    certificate, key = manager.make_certificate(tmp_path)
    service.listen("https", "tcp4")
    service.listen("admin")
    service.write_config(
        f"[Gateway]\nThreads=1\nHandshakeTimeoutSec={int(300 * manager.PATIENCE)}ms\n"
        f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n{HELLO}"
    )
    service.start_ready()
    with service.connect() as silent:
        assert silent.read_to_end() == b""
    assert "handshake" in await_fault(service, "handshake-timeout")
    with h1.Connection(service.address(), tls=ssl.create_default_context(cafile=certificate)) as client:
        assert client.get("/hello").status == 200
        time.sleep(0.4 * manager.PATIENCE)  # the handshake's clock is over with the handshake
        assert client.get("/hello").status == 200


def test_a_head_that_trickles(service):
    configure(service, "HeadTimeoutSec=500ms")
    with service.connect() as client:
        stop = threading.Event()

        def trickle():
            for byte in h1.format_request("GET", "/hello", [("X", "y" * 100)]):
                if stop.wait(0.05):
                    return
                client.send(bytes([byte]))

        sender = threading.Thread(target=trickle)
        sender.start()
        assert client.read_response().status == 408
        stop.set()
        sender.join()
        client.assert_closed()
    await_fault(service, "head-timeout")


def send_body(client, pieces, size, every):
    client.request("POST", "/hello", [("Content-Length", str(pieces * size))])
    try:
        for _ in range(pieces):
            time.sleep(every)
            client.send(bytes(size))
    except OSError:
        pass  # it was told already


def test_a_body_that_trickles(service):
    configure(service, "BodyTimeoutSec=500ms\nBodyMinRate=1000")
    with service.connect() as client:
        send_body(client, pieces=20, size=10, every=0.1)  # a tenth of what is asked for
        assert client.read_response().status == 408
    assert "too slowly" in await_fault(service, "body-timeout")


def test_a_body_that_stops(service):
    configure(service, "BodyTimeoutSec=300ms")
    with service.connect() as client:
        client.send(b"POST /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc")
        assert client.read_response().status == 408
        client.assert_closed()
    assert "too slowly" not in await_fault(service, "body-timeout")


def test_a_body_that_is_slow_but_honest(service):
    """It takes several times BodyTimeoutSec= altogether."""
    configure(service, "BodyTimeoutSec=500ms\nBodyMinRate=1000")
    with service.connect() as client:
        send_body(client, pieces=15, size=300, every=0.1)
        assert client.read_response().status == 200
    assert no_faults(service)


def test_an_idle_connection_is_closed_without_a_word(service):
    configure(service, "IdleTimeoutSec=300ms")
    with service.connect() as client:
        assert client.get("/hello").status == 200
        client.assert_closed()
    assert no_faults(service)


# Responses that are not taken


def connect_narrow(service, timeout=10):
    """With a small window, so that the kernel does not take the response in the client's place."""
    if isinstance(service.address(), str):
        return service.connect(timeout=timeout)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    sock.settimeout(timeout)
    sock.connect(service.address())
    client = h1.Connection.__new__(h1.Connection)
    h1.Peer.__init__(client, sock, timeout)
    return client


@pytest.mark.parametrize("kind", ["tcp4", "unix"])
def test_a_client_that_does_not_read(service, kind):
    serve_large(service, "SendTimeoutSec=400ms", kind)
    with connect_narrow(service) as client:
        client.request("GET", "/large")
        await_fault(service, "send-timeout")
        with pytest.raises((h1.Closed, ConnectionResetError)):
            client.read_response()


def test_a_client_that_reads_in_drops(service):
    serve_large(service, "SendTimeoutSec=500ms\nSendMinRate=10M")
    with connect_narrow(service) as client:
        client.request("GET", "/large")
        with pytest.raises((h1.Closed, ConnectionResetError)):
            for _ in range(1000):
                client.read_exactly(4096)
                time.sleep(0.01)
            client.read_exactly(LARGE)
    await_fault(service, "send-timeout")


@pytest.mark.parametrize("kind", ["tcp4", "unix"])
def test_a_client_that_reads_slowly(service, kind):
    """One write of a piece takes far longer than SendTimeoutSec=, but something moves all the time."""
    serve_large(service, "SendTimeoutSec=400ms\nSendMinRate=1K", kind)
    with connect_narrow(service) as client:
        client.request("GET", "/large")
        response = client.read_head()
        received = 0
        for _ in range(20):
            time.sleep(0.1)
            received += len(client.read_exactly(65536))
        client.read_exactly(int(response.headers.get("Content-Length")) - received)
        assert client.get("/large").status == 200
    assert no_faults(service)


def test_a_slow_app_is_not_the_clients_fault(service, upstream):
    """The client was slow once; that the app is, later, is not put to its account."""
    configure(service, "SendTimeoutSec=600ms", routes=f"[Upstream app]\nTarget={upstream.target}\n[Route /*rest]\nUpstream=app\n")
    with connect_narrow(service) as client:
        client.request("GET", "/")
        app, _ = upstream.expect()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LARGE + 3))
        sender = threading.Thread(target=app.send, args=(bytes(LARGE),))
        sender.start()
        time.sleep(0.4)  # longer than it takes until it is looked at
        client.read_head()
        client.read_exactly(LARGE)
        sender.join()
        time.sleep(1)
        app.send(b"end")
        assert client.read_exactly(3) == b"end"
        app.send(b"")
    assert no_faults(service)


def test_pipelined_requests_of_a_client_that_does_not_read(service):
    """Even what was accepted long ago, as an interim response, does not wait for ever."""
    serve_large(service, "SendTimeoutSec=400ms")
    with connect_narrow(service) as client:
        client.send(h1.format_request("GET", "/large") * 3)
        await_fault(service, "send-timeout")


# Limits


def await_counted(service, n, timeout=10):
    h1.eventually(lambda: counted(service) == n, timeout)


def await_pause(service, reason):
    return service.wait_for_line(f"accepting on listener http pauses .*{reason}")


def pauses(service):
    return [line for line in service.lines() if "pauses at" in line]


def busy(service):
    """A connection on which a request has begun: it is not idle."""
    client = service.connect()
    client.send(b"GET /hello HTTP/1.1\r\n")
    return client


def finish(client):
    client.send(b"Host: test\r\n\r\n")
    return client.read_response().status


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("section", ["gateway", "listener"])
def test_a_limit_makes_clients_wait(service, section, threads):
    """Nobody is refused: whoever comes when all places are taken is served when one is free."""
    service.listen("http", "tcp4")
    service.listen("admin")
    limit = "MaxConnections=5\n"
    service.write_config(
        f"[Gateway]\nThreads={threads}\n{limit * (section == 'gateway')}"
        f"[Listener http]\n{limit * (section == 'listener')}{HELLO}"
    )
    service.start_ready()
    holders = [busy(service) for _ in range(5)]
    await_counted(service, 5)
    waiting = [busy(service) for _ in range(8)]
    await_pause(service, "is reached")
    before = cpu_seconds(service.pid)
    assert all(client.is_quiet(0.05) for client in waiting)
    time.sleep(0.6)
    assert cpu_seconds(service.pid) - before < 0.1, "it is busy with waiting"
    assert counted(service) == 5
    for client in holders + waiting:
        assert finish(client) == 200
        client.close()
    await_counted(service, 0)
    assert len(pauses(service)) == 1, "one record for each episode"


@pytest.mark.parametrize("threads", [1, 3])
def test_idle_connections_make_room(service, threads):
    """The longest idle of a worker goes first, as many as workers want for a place; whoever has begun a request stays,
    and so does who was idle for a moment only."""
    configure(service, f"Threads={threads}\nMaxConnections=10")
    worker = busy(service)
    idle = []
    for _ in range(9):
        idle.append(service.connect())
        assert idle[-1].get("/hello").status == 200
    await_counted(service, 10)
    late = service.connect()
    late.request("GET", "/hello")
    await_pause(service, "is reached")
    assert late.read_response().status == 200
    gone = [client for client in idle if not client.is_quiet(0.01)]
    assert 1 <= len(gone) <= threads
    if threads == 1:
        assert gone == idle[:1]
    assert finish(worker) == 200
    for client in idle:
        if client not in gone:
            assert client.get("/hello").status == 200


def test_connections_of_one_source(service):
    service.listen("http", "tcp4")
    service.listen("admin")
    service.write_config(f"[Gateway]\nThreads=2\n[Listener http]\nMaxConnectionsPerSource=3\n{HELLO}")
    service.start_ready()

    def connect(source):
        sock = socket.create_connection(service.address(), 10, (source, 0))
        client = h1.Connection.__new__(h1.Connection)
        h1.Peer.__init__(client, sock, 10)
        return client

    first = [connect("127.0.0.1") for _ in range(3)]
    assert [client.get("/hello").status for client in first] == [200] * 3
    with pytest.raises((h1.Closed, ConnectionResetError)):
        connect("127.0.0.1").get("/hello")
    await_fault(service, "connections")
    other = connect("127.0.0.2")
    assert other.get("/hello").status == 200
    assert [client.get("/hello").status for client in first] == [200] * 3
    first.pop().close()
    await_counted(service, 3)
    assert connect("127.0.0.1").get("/hello").status == 200


@pytest.mark.skipif(bool(manager.UNDER), reason="valgrind takes descriptors of its own")
def test_without_descriptors(service):
    """The limit of open files is met before MaxConnections=: clients wait, the admin API answers, nobody is lost."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.configure(HELLO, gateway="Threads=2\nMaxConnections=1000\nHeadTimeoutSec=1min")
    service.start_ready(descriptors=128)
    clients = [busy(service) for _ in range(200)]
    await_pause(service, "no descriptor")
    before, asked = cpu_seconds(service.pid), 0
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert service.admin("GET", "/livez").status == 200
        asked += 1
        time.sleep(0.1)
    assert cpu_seconds(service.pid) - before < 0.3, "it is busy with waiting"
    assert 0 < counted(service) < 200
    for client in clients:
        assert finish(client) == 200
        client.close()
    assert len(pauses(service)) == 1


def test_a_stop_at_the_limit(service):
    """Who waits when the gateway stops is served by the next process."""
    configure(service, "Threads=1\nMaxConnections=2")
    holders = [busy(service) for _ in range(2)]
    await_counted(service, 2)
    waiting = [busy(service) for _ in range(20)]
    await_pause(service, "is reached")
    service.reload()
    for client in holders + waiting:
        assert finish(client) == 200
        client.close()


# Many of them, and one beside who does nothing wrong


def p99(times):
    return sorted(times)[len(times) * 99 // 100]


def measure(service, n=300):
    """How long each of so many requests took, one after the other on one connection."""
    times = []
    with service.connect() as client:
        for _ in range(n):
            began = time.monotonic()
            assert client.get("/hello").status == 200
            times.append(time.monotonic() - began)
    return p99(times)


@pytest.mark.costs
def test_two_thousand_slow_clients(service):
    """Their heads and bodies trickle, and what they ask for is not read; the healthy one hardly notices."""
    site = service.directory / "site"
    site.mkdir()
    (site / "large").write_bytes(bytes(LARGE))
    routes = f"{HELLO}[Route /site/*path]\nStatic={site}\n"
    configure(service, "Threads=2\nMaxConnections=3000\nHeadTimeoutSec=1min\nBodyTimeoutSec=1min", routes=routes)
    undisturbed = measure(service)
    openings = (
        b"GET /hello HTTP/1.1\r\nX-Slow: ",
        b"POST /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n",
        b"GET /site/large HTTP/1.1\r\nHost: test\r\n\r\n",
    )
    clients = []
    stop = threading.Event()

    def trickle():
        for i in itertools.cycle(range(len(clients))):
            if stop.wait(0.001):  # up to a thousand bytes a second in all
                return
            if i % 3 < 2:
                clients[i].send(b"x")

    sender = threading.Thread(target=trickle)
    try:
        for i in range(2000):
            clients.append(connect_narrow(service))
            clients[-1].send(openings[i % 3])
        await_counted(service, 2000, timeout=60)
        sender.start()
        disturbed = measure(service)
    finally:
        stop.set()
        if sender.ident:
            sender.join()
        for client in clients:
            client.close()
    assert no_faults(service)
    # The floor is what the machine's own scheduling costs at times.
    assert disturbed <= 3 * max(undisturbed, 0.01), f"p99 {disturbed * 1000:.1f} ms, before {undisturbed * 1000:.1f} ms"
    print(f"p99 {disturbed * 1000:.2f} ms, before {undisturbed * 1000:.2f} ms")
    await_counted(service, 0, timeout=60)


@pytest.mark.parametrize("mode", ["-H", "-B", "-X"])
@pytest.mark.costs
def test_slowhttptest(service, tmp_path, mode):
    """The tool's own verdict, by a probe of its own each second: the service is available all through."""
    site = service.directory / "site"
    site.mkdir()
    (site / "large").write_bytes(bytes(LARGE))
    configure(service, "Threads=2", routes=f"{HELLO}[Route /site/*path]\nStatic={site}\n")
    host, port = service.address()
    path = "/site/large" if mode == "-X" else "/hello"
    # Each reader has megabytes in the kernel's buffers: fewer of these.
    connections = "100" if mode == "-X" else "500"
    command = ["slowhttptest", mode, "-c", connections, "-r", "250", "-l", "5", "-i", "1", "-p", "2", "-g"]
    command += ["-o", str(tmp_path / "result"), "-u", f"http://{host}:{port}{path}"]
    command += ["-w", "512", "-y", "1024", "-n", "1", "-z", "32"] if mode == "-X" else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    rows = (tmp_path / "result.csv").read_text().splitlines()
    available = [int(row.split(",")[-1]) for row in rows[1:]]
    assert len(available) >= 4, done.stdout[-2000:]
    assert all(available), "\n".join(rows)
    assert service.get("/hello").status == 200
