"""However many ask the admin API, and however badly they behave, operators get through, and the thread that answers has
time for its other work: the watchdog and health checks."""

import contextlib
import os
import socket
import subprocess
import threading
import time

import pytest

import h1
from process import resident_bytes

CONNECTIONS, READERS = 64, 48  # gateway/control.c
STRANGER = 64713

# Connects so many times and tells, for each connection, whether it is answered; then keeps what it has.
HOLDER = """
import socket, sys, time
held = []
for _ in range(int(sys.argv[2])):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(sys.argv[1])
    try:
        connection.sendall(b"GET /livez HTTP/1.1\\r\\nHost: holdfast\\r\\n\\r\\n")
        data = connection.recv(4096)
    except OSError:
        data = b""
    held.append(connection)
    print("held" if data else "closed", flush=True)
time.sleep(600)
"""

# Connections that ask without waiting for answers, and read those without a pause.
FLOOD = """
import socket, sys, threading
def send(connection, data):
    while True:
        connection.sendall(data)
def flood():
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    data = b"GET /metrics HTTP/1.1\\r\\nHost: holdfast\\r\\n\\r\\n" * 1000
    threading.Thread(target=send, args=(connection, data), daemon=True).start()
    first, buffer = True, bytearray(1 << 20)
    while connection.recv_into(buffer):
        if first:
            print("begun", flush=True)
        first = False
threads = [threading.Thread(target=flood, daemon=True) for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@contextlib.contextmanager
def program(service, text, count, **options):
    """Runs one of the above; yields it when it has written `count` lines, and those."""
    process = subprocess.Popen(["/usr/bin/python3", "-c", text, service.admin_address(), str(count)], cwd="/",
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options)
    try:
        yield [process.stdout.readline().strip() for _ in range(count)]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_readers_leave_places_for_operators(gateway):
    gateway.directory.chmod(0o755)
    os.chmod(gateway.admin_address(), 0o666)
    with program(gateway, HOLDER, READERS + 5, user=STRANGER, group=STRANGER, extra_groups=[]) as lines:
        assert lines == ["held"] * READERS + ["closed"] * 5
        told = gateway.wait_for_line("admin-connections")
        assert f"{READERS} are open" in told
        # Those who may change something still get in, as many as are left, and no more.
        with program(gateway, HOLDER, CONNECTIONS - READERS + 3) as lines:
            assert lines == ["held"] * (CONNECTIONS - READERS) + ["closed"] * 3
            gateway.wait_for_line(f"{CONNECTIONS} are open")
            assert gateway.get("/hello").status == 200
        h1.eventually(lambda: gateway.ctl("status").returncode == 0)
    h1.eventually(lambda: held_by_a_stranger(gateway) == ["held"])


def held_by_a_stranger(gateway):
    with program(gateway, HOLDER, 1, user=STRANGER, group=STRANGER, extra_groups=[]) as lines:
        return lines


class Checked:
    """An app that counts its health checks."""

    def __init__(self):
        self.upstream = h1.Upstream(timeout=None)
        self.times = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.upstream.accept(),), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, h1.Closed, h1.ProtocolError):
            while True:
                connection.read_request()
                self.times.append(time.monotonic())
                connection.respond(200)

    def close(self):
        with contextlib.suppress(OSError):
            self.upstream.sock.shutdown(socket.SHUT_RDWR)
        self.upstream.close()


@pytest.mark.costs
def test_a_flood_leaves_time_for_checks_and_watchdog(service):
    app = Checked()
    service.allow("warning: upstream app")  # a check may come late where the machine is busy
    service.allow("warning: cut at the deadline: GET /metrics")  # of the flood
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream app]\nTarget={app.upstream.target}\nHealthPath=/h\nHealthIntervalSec=100ms\n"
                      "[Route /]\nUpstream=app\n")
    service.start_ready(watchdog=2)

    def count(seconds=4):
        """How many checks, and how often the watchdog was fed, in that time."""
        began = time.monotonic()
        time.sleep(seconds)
        fed = [m for m in service.notifications.snapshot() if "WATCHDOG=1" in m and m.at >= began]
        return sum(at >= began for at in app.times), len(fed)

    checks, fed = count()
    with program(service, FLOOD, CONNECTIONS - 4):
        checks_in_flood, fed_in_flood = count()
        status = service.ctl("status")  # finds a place, and its turn
        assert status.returncode == 0, status.stderr
    assert checks_in_flood >= checks / 2, (checks_in_flood, checks)
    assert fed_in_flood >= fed / 2, (fed_in_flood, fed)
    assert service.is_running()
    app.close()


@pytest.mark.costs
def test_what_nobody_reads_is_bounded(service):
    """Clients that ask for a long answer and do not read it: from some point on it is a short one that they get."""
    routes = "".join(f'[Route /a/{"x" * 100}/{i}]\nRespond=200 "x"\n' for i in range(5200))
    service.listen("http")
    service.listen("admin")
    service.configure(routes)
    service.start_ready(timeout=60)
    size = len(service.admin("GET", "/v1/status").body)
    assert size * CONNECTIONS > 2 * 64 * 1024 * 1024, "the answer is too short for this test"
    before = resident_bytes(service.pid)
    clients = [service.connect(1, timeout=60) for _ in range(CONNECTIONS - 4)]
    for client in clients:
        client.request("GET", "/v1/status")
    statuses = []
    for client in clients:  # the heads alone
        statuses.append(client.read_head().status)
    assert statuses.count(200) <= 64 * 1024 * 1024 // size + 1
    assert statuses.count(503) >= CONNECTIONS // 4 and set(statuses) == {200, 503}
    assert resident_bytes(service.pid) - before < 2.5 * 64 * 1024 * 1024
    assert service.get("/a/" + "x" * 100 + "/7").status == 200
    for client in clients:
        client.close()
    h1.eventually(lambda: service.admin("GET", "/v1/status").status == 200)


def test_heads_and_bodies(gateway):
    """Whatever the configuration says of those of other requests."""
    for data, status in (
        (b"GET /?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: holdfast\r\n\r\n", (414, 431)),
        (b"GET / HTTP/1.1\r\nHost: holdfast\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", (431,)),
        (b"GET / HTTP/1.1\r\nHost: holdfast\r\n" + b"X: a\r\n" * 100 + b"\r\n", (431,)),
        (b"GET /v1/status?" + b"a" * 5000 + b" HTTP/1.1\r\nHost: holdfast\r\n\r\n", (414,)),
        (b"GET /v1/status?a=b HTTP/1.1\r\nHost: holdfast\r\n\r\n", (200,)),
        (b"POST /v1/reload HTTP/1.1\r\nHost: holdfast\r\nContent-Length: 20000\r\n\r\n", (413,)),
        (b"POST /v1/reload HTTP/1.1\r\nHost: holdfast\r\nContent-Length: 2\r\n\r\n{}", (400,)),
        (b"POST /v1/reload HTTP/1.1\r\nHost: holdfast\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", (400,)),
    ):
        with gateway.connect(1) as client:
            client.send(data)
            assert client.read_response().status in status, data[:60]
    assert gateway.admin("GET", "/v1/status").status == 200
