"""systemctl restart: idle connections wait in the manager's store for the next process, and those that cannot are ended
as at a stop. What is in the store may come from anybody."""

import array
import contextlib
import ctypes
import json
import os
import pathlib
import resource
import select
import signal
import socket
import time

import pytest

import h1
import manager
import peer

PARKED = "holdfast-parked"
ROUTES = '[Route /hello]\nRespond=200 "hello"\n[Route /app/*rest]\nUpstream=app\n'
GATEWAY = "Threads=2\nDrainSec=20s\nQuietSec=1s"


@pytest.fixture
def gateway(service, upstream):
    """On TCP over IPv4 and IPv6 and on a Unix socket (indices 0 to 2), with an admin socket, an app, and a bus."""
    for kind in ("tcp4", "tcp6", "unix"):
        service.listen("http", kind)
    service.listen("admin")
    service.good = f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES
    service.configure(service.good, gateway=GATEWAY)
    return service.with_bus().start_ready()


def succession(service):
    return json.loads(service.ctl("status", "--json").stdout)["succession"]


made = []  # connections, to close at the end of the test


@pytest.fixture(autouse=True)
def close_all():
    yield
    while made:
        made.pop().close()


def connect(service, count, index=2):
    """Connections that have had one request."""
    clients = [service.connect(index) for _ in range(count)]
    made.extend(clients)
    for client in clients:
        assert client.get("/hello").text == "hello"
    return clients


# --- what moves ---------------------------------------------------------------------------------------------------


def test_idle_connections_survive(gateway):
    clients = [client for index in (0, 1, 2) for client in connect(gateway, 10, index)]
    own = [client.sock.getsockname() for client in clients]
    for restart in range(5):
        for client in clients[restart % 3 :: 3]:  # the others have one behind them that they did not notice
            assert client.get("/hello").text == "hello"
        gateway.restart()
        assert gateway.stored == []
    assert all(client.get("/hello").text == "hello" for client in clients)
    assert [client.sock.getsockname() for client in clients] == own
    told = succession(gateway)
    assert (told["restarts"], told["connections_parked"], told["connections_not_moved"]) == (5, 150, 0)


def test_a_request_that_comes_while_nobody_is_there(gateway):
    with gateway.connect() as client, gateway.connect() as half:
        client.get("/hello")
        half.get("/hello")
        gateway.begin_restart()
        assert gateway.wait() == 0
        client.request("GET", "/hello")
        half.send(b"GET /hello HTTP/1.1\r\nHo")
        assert client.is_quiet(0.2)
        gateway.start_again()
        assert client.read_response().text == "hello"
        half.send(b"st: test\r\n\r\n")
        assert half.read_response().text == "hello"


def test_a_request_half_arrived_is_answered(gateway):
    """By the process that has its first half; then the connection goes on like the others."""
    with gateway.connect() as head, gateway.connect() as body:
        head.send(b"GET /hello HTTP/1.1\r\nHo")
        body.send(b"POST /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234")
        assert head.is_quiet(0.2)
        gateway.begin_restart()
        gateway.wait_for("STOPPING=1")
        assert body.is_quiet(0.2) and gateway.is_running()
        head.send(b"st: test\r\n\r\n")
        body.send(b"56789")
        assert head.read_response().text == body.read_response().text == "hello"
        assert gateway.wait() == 0
        gateway.start_again()
        assert head.get("/hello").status == body.get("/hello").status == 200


def test_a_request_in_progress_ends_before(gateway, upstream):
    with gateway.connect() as client:
        client.request("GET", "/app/slow")
        app, _ = upstream.expect()
        gateway.begin_restart()
        gateway.wait_for("STOPPING=1")
        assert client.is_quiet(0.3)
        app.respond(200, b"done")
        assert client.read_response().body == b"done"
        assert gateway.wait() == 0
        gateway.start_again()
        assert client.get("/hello").text == "hello"


def test_what_still_comes_from_a_predecessor(service):
    """One that was replaced gives connections away all the while: each goes on, or finds that nobody takes it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = peer.Channel(ours)
    service.listen("http")
    service.listen("admin")
    service.configure('[Route /hello]\nRespond=200 "hello"\n', gateway=GATEWAY)
    service.with_bus().start(channel=theirs)
    theirs.close()
    channel.expect("ready")
    channel.send("go")
    channel.expect("serving")
    channel.send("lead")
    channel.expect("leading")
    service.wait_ready()
    clients = []
    with ours:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while len(clients) < 5000:
                if len(clients) == 20:
                    service.begin_restart()
                client, given = socket.socketpair()
                with given:
                    channel.send("connections", fds=[given.fileno()], listener="http", age_ms=[5], idle_ms=[5])
                clients.append(client)
                time.sleep(0.0005)
        assert service.wait() == 0
    service.start_again()
    for client in clients:
        with h1.Connection.__new__(h1.Connection) as connection:
            h1.Peer.__init__(connection, client, 10)
            assert connection.get("/hello").text == "hello"


def test_a_stop_parks_nothing(gateway):
    with gateway.connect() as client:
        client.get("/hello")
        gateway.unit.job = "stop"
        assert gateway.stop() == 0
        client.assert_closed()
    assert gateway.stored == []


def test_without_a_bus_nothing_is_parked(service):
    service.listen("http")
    service.configure('[Route /hello]\nRespond=200 "hello"\n', gateway=GATEWAY)
    service.start_ready()
    with service.connect() as client:
        client.get("/hello")
        assert service.stop() == 0
        client.assert_closed()
    assert service.stored == []


def test_a_process_that_does_not_start_leaves_them_for_the_next(gateway):
    clients = connect(gateway, 5)
    gateway.begin_restart()
    assert gateway.wait() == 0
    gateway.configure("[Gateway]\nThreads=many\n")
    for _ in range(2):
        allowed = list(gateway.allowed)
        assert gateway.run() == 78
        gateway.allowed, gateway.expected_status = allowed, 0
        assert [name for name, _ in gateway.stored] == [PARKED]
    # Nor does one that is told to stop before it is ready.
    gateway.configure(gateway.good + "[Check never]\nConnect=unix:/nonexistent\nTimeoutSec=20s\n", gateway=GATEWAY)
    gateway.start()
    gateway.wait_for("STATUS=starting")
    gateway.signal(signal.SIGTERM)
    gateway.wait()
    assert [name for name, _ in gateway.stored] == [PARKED]
    gateway.configure(gateway.good, gateway=GATEWAY)
    gateway.start_ready()
    assert all(client.get("/hello").text == "hello" for client in clients)
    assert gateway.stored == [] and succession(gateway)["connections_parked"] == 5


def test_what_is_parked_survives_a_kill(gateway, upstream):
    clients = connect(gateway, 20)
    gateway.allow("warning: generation 1 .*ended without a word")
    with gateway.connect() as busy:
        busy.request("GET", "/app/slow")
        upstream.expect()
        gateway.begin_restart()
        gateway.wait_for("STOPPING=1")
        h1.eventually(lambda: '"http1": 1' in gateway.ctl("status", "--json").stdout)
        gateway.signal(signal.SIGKILL)
        assert gateway.wait() == -signal.SIGKILL
        gateway.start_again()
        assert all(client.get("/hello").text == "hello" for client in clients)
        assert json.loads(gateway.ctl("status", "--json").stdout)["generations"][0]["origin"] == "crash"


# --- what cannot move ---------------------------------------------------------------------------------------------


def channel_ends(service):
    """Duplicates of the process's own packet sockets: what it writes parked connections to is among them."""
    libc, duplicates = ctypes.CDLL(None, use_errno=True), []
    for entry in pathlib.Path(f"/proc/{service.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(entry).startswith("socket:"):
                fd = libc.syscall(438, service._pidfd, int(entry.name), 0)  # pidfd_getfd
                assert fd >= 0, os.strerror(ctypes.get_errno())
                sock = socket.socket(fileno=fd)
                if sock.type == socket.SOCK_SEQPACKET:
                    duplicates.append(sock)
                else:
                    sock.close()
    return duplicates


def leave_no_room(service):
    for sock in channel_ends(service):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is
        sock.close()


def wait_until_told(service):
    """Until all workers know that it ends."""
    service.wait_for("STOPPING=1")
    h1.eventually(lambda: not any(w["accepting"] for w in h1.json(service.admin("GET", "/v1/status"))["workers"]))


def assert_ended_politely(clients):
    """A request that is late is answered; whoever sends none is closed on, in an orderly way and not all at once."""
    began = time.monotonic()
    late, silent = clients[:5], clients[5:]
    for client in late:
        response = client.get("/hello")
        assert (response.status, response.headers.get("Connection")) == (200, "close")
        client.assert_closed()
    assert time.monotonic() - began < 0.9
    closed, poll = {}, select.poll()
    for client in silent:
        poll.register(client.sock, select.POLLIN)
    while len(closed) < len(silent):
        for fd, _ in poll.poll(10_000) or pytest.fail("they are not closed"):
            closed[fd] = time.monotonic() - began
            poll.unregister(fd)
    for client in silent:
        client.assert_closed()
    first, last = min(closed.values()), max(closed.values())
    assert 0.7 < first < 4 and last - first > 0.03  # there are eight stages in 140 ms


def test_what_finds_no_room_is_ended_politely(gateway):
    """And the state finds room all the same."""
    gateway.on_store = lambda _: leave_no_room(gateway)
    gateway.allow(r"warning: restart: \d+ idle connections parked for the next process, \d+ closed for want of room")
    clients = connect(gateway, 700)
    gateway.begin_restart()
    gateway.wait_for("STOPPING=1")
    h1.eventually(lambda: sum(json.loads(gateway.ctl("status", "--json").stdout)["listeners"][0]["connections"].values()) > 0)
    # Who was given away first is not told: those that are still served here answer.
    for client in clients:
        client.request("GET", "/hello")
    assert gateway.wait() == 0
    gateway.start_again()
    kept, ended = [], []
    for client in clients:
        response = client.read_response()
        assert response.text == "hello"
        (ended if response.headers.get("Connection") == "close" else kept).append(client)
    assert kept and ended
    for client in ended:
        client.assert_closed()
    assert all(client.get("/hello").text == "hello" for client in kept)
    told = succession(gateway)
    assert (told["restarts"], told["connections_parked"], told["connections_not_moved"]) == (1, len(kept), len(ended))


def test_silent_ones_that_find_no_room_are_closed_in_stages(gateway):
    gateway.on_store = lambda _: leave_no_room(gateway)
    gateway.allow("warning: restart: .* closed for want of room")
    clients = connect(gateway, 700)
    gateway.begin_restart()
    gateway.wait_for("STOPPING=1")
    began = time.monotonic()
    assert gateway.wait() == 0
    assert 0.9 < time.monotonic() - began < 5
    gateway.start_again()
    told = succession(gateway)
    ended = [client for client in clients if not client.is_quiet(0.001)]
    assert told["connections_parked"] + told["connections_not_moved"] == 700
    assert len(ended) == told["connections_not_moved"] > 0
    for client in ended:
        client.assert_closed()


def test_no_store(gateway):
    """FileDescriptorStoreMax=0, or a unit without it."""
    gateway.store_max = 0
    gateway.allow("warning: idle connections cannot be kept over the restart: systemd keeps no .*FileDescriptorStoreMax=8")
    clients = connect(gateway, 100)
    gateway.begin_restart()
    wait_until_told(gateway)
    assert_ended_politely(clients)
    assert gateway.wait() == 0
    gateway.start_again()


def test_a_store_that_lets_go_late(gateway):
    """systemd closes what it does not keep on another thread, at its leisure: that may show only when connections are
    sent."""
    gateway.allow("warning: idle connections were not kept over the restart: .*FileDescriptorStoreMax=8")
    gateway.allow(r"warning: restart: 0 idle connections parked for the next process, 100 closed")
    clients = connect(gateway, 100)
    gateway.unit.before["TimeoutStopUSec"] = lambda: gateway._drop(PARKED)  # asked for before any is given away
    gateway.begin_restart()
    wait_until_told(gateway)
    assert_ended_politely(clients)
    assert gateway.wait() == 0
    assert "FileDescriptorStoreMax=8" in gateway.text()
    gateway.start_again()


@contextlib.contextmanager
def in_flight(count):
    """So many descriptors wait in a socket: the kernel counts them against every process of this user."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        for _ in range(count // 250):
            one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [other.fileno()] * 250))])
        yield


@pytest.mark.parametrize("late", [False, True], ids=["before", "once-stored"])
def test_no_descriptor_may_be_in_flight(gateway, late):
    """As for a process without privileges whose limit of open files is used up by what is on its way already."""
    assert gateway.stop() == 0
    wrapper = gateway.directory / "unprivileged"
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --inh-caps=-all --bounding-set=-all {gateway.binary} "$@"\n')
    wrapper.chmod(0o755)
    gateway.binary = wrapper
    gateway.start_ready()
    gateway.allow("warning: idle connections cannot be kept over the restart: ")
    clients = connect(gateway, 100)
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (500, 500))
    with contextlib.ExitStack() as stack:
        if late:
            gateway.on_store = lambda _: stack.enter_context(in_flight(2000))
        else:
            stack.enter_context(in_flight(2000))
        gateway.begin_restart()
        wait_until_told(gateway)
        assert_ended_politely(clients)
        assert gateway.wait() == 0
    assert gateway.stored == []
    gateway.start_again()


def test_a_listener_that_went_over_to_tls(gateway):
    """Nobody can serve them there any more."""
    clients = connect(gateway, 3)
    gateway.begin_restart()
    assert gateway.wait() == 0
    certificate, key = manager.make_certificate(gateway.directory)
    gateway.configure(f"[Listener http]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n" + gateway.good,
                      listeners=(), gateway=GATEWAY)
    gateway.allow("warning: 3 parked descriptors closed: no connection, or no plaintext listener for it any more")
    gateway.start_again()
    for client in clients:
        client.assert_closed()
    assert succession(gateway)["connections_not_moved"] == 3


# --- what is in the store -----------------------------------------------------------------------------------------


def test_descriptors_that_nobody_knows(service):
    service.listen("http")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    listening, (one, other) = socket.create_server(("127.0.0.1", 0)), socket.socketpair()
    path = os.open("/", os.O_PATH)
    with listening, one, other, open("/dev/null", "rb") as file:
        for name, thing in [("stored", listening), ("holdfast-of-the-future", one), ("a name of 100%s" + "x" * 200, other),
                            ("file", file)]:
            service.store(name, thing.fileno())
        service.store("path", path)
        os.close(path)
        service.allow("warning: the descriptor [4-8] named .* and there is no section .*: it is closed")
        service.start_ready()
        assert service.get("/hello").text == "hello"
        h1.eventually(lambda: service.text().count("systemd is asked to keep it no longer") == 5)
        h1.eventually(lambda: service.stored == [])
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1  # it was closed, not shut down
    service.stop()


def test_a_listening_socket_without_a_section_is_still_a_mistake(service):
    service.listen("http")
    service.listen("httpp")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    assert service.run() == 78
    assert 'no section [Listener httpp]' in service.text()


def packet(sock, text, *fds):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([text.encode() if isinstance(text, str) else text], ancillary)


def connections(count, listener="http", **more):
    return json.dumps({"type": "connections", "version": 1, "listener": listener, "age_ms": [5] * count,
                       "idle_ms": [5] * count, **more})


def test_garbage_among_what_was_parked(service):
    """Whatever can be understood is, and the rest does no harm."""
    service.listen("http")
    service.listen("admin")
    service.configure('[Route /hello]\nRespond=200 "hello"\n', gateway=GATEWAY)
    client, ours = socket.socketpair()
    second_client, second = socket.socketpair()
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read, write = os.pipe()
    listening = socket.create_server(("127.0.0.1", 0))
    null = os.open("/dev/null", os.O_RDWR)
    with one, other, ours, second, listening:
        packet(one, b"\xff\x00garbage")
        packet(one, "[]")
        packet(one, "{}")
        packet(one, '{"type": 7}')
        packet(one, '{"type": "of the future", "version": 99}', null)
        packet(one, '{"type": "state"}')
        packet(one, '{"type": "state"}', read)
        packet(one, '{"type": "state"}', null)
        packet(one, connections(3), null, read, listening.fileno())
        packet(one, connections(1, "nobody"), null)
        packet(one, connections(2), null, ours.fileno())
        packet(one, connections(0, age_ms=["x", -1], idle_ms={"a": 1}), second.fileno())
        packet(one, "x" * 70_000, null)  # more than a message can be
        service.store(PARKED, other.fileno())
    service.allow("warning: 6 parked descriptors closed", "warning: 6 messages of what was parked cannot be read, ignoring")
    service.start_ready()
    for sock in (client, second_client):
        with h1.Connection.__new__(h1.Connection) as connection:
            h1.Peer.__init__(connection, sock, 10)
            assert connection.get("/hello").text == "hello"
    service.wait_for_line("took back 2 parked connections")
    h1.eventually(lambda: service.stored == [])
    service.stop()
    for fd in (read, write, null):
        os.close(fd)


def stream(text):
    one, other = socket.socketpair()
    one.sendall(text)
    one.close()
    return other


@pytest.mark.parametrize("make", [lambda: socket.create_server(("127.0.0.1", 0)), lambda: open("/dev/null", "rb"),
                                  lambda: stream(b"x" * 100_000), lambda: stream(b""),
                                  lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)],
                         ids=["listening", "file", "stream", "empty", "udp"])
def test_something_else_under_our_name(service, make):
    service.listen("http")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    with make() as thing:
        service.store(PARKED, thing.fileno())
    service.store(PARKED, os.memfd_create("x"))
    service.allow('warning: a descriptor named "holdfast-parked" cannot be read', "warning: .* cannot be read, ignoring")
    service.start_ready()
    assert service.get("/hello").text == "hello"
    h1.eventually(lambda: service.stored == [])
    service.stop()


def test_a_state_of_nonsense(service):
    service.listen("http")
    service.listen("admin")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    for document in (b"{", b"7", b'{"lineage": [], "metrics": 3, "tls": {"http": []}, "health": null}', b"\xff" * 1000):
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("state")
        os.write(memory, document)
        packet(one, '{"type": "state"}', memory)
        service.store(PARKED, other.fileno())
        for thing in (one, other):
            thing.close()
        os.close(memory)
    service.allow("warning: . messages of what was parked cannot be read, ignoring")
    service.start_ready()
    assert service.get("/hello").text == "hello"
    service.stop()
