"""The messages between generations, where the other side is of another release, or of none: what was recorded once is
understood for ever (tests/system/peers), what is not known is passed over, and whatever is wrong ends the succession and
nothing else."""

import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import sys

import pytest

import exposition
import h1
import manager
import peer

HELLO = '[Route /hello]\nRespond=200 "hello"\n'
PEERS = pathlib.Path(__file__).with_name("peers")
PEER = pathlib.Path(peer.__file__)


def recorded(role):
    return sorted(path.stem for path in PEERS.glob(f"{role}-*.json"))


@pytest.fixture
def channel():
    """Our end, and the one that is passed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield peer.Channel(ours), theirs
    ours.close()
    theirs.close()


@pytest.fixture
def heir(service, channel):
    """A real successor whose predecessor the test is; not started yet."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.configure(HELLO)
    service.channel = channel[1]
    return service, channel[0]


def start(heir):
    service, ours = heir
    service.start(channel=service.channel)
    service.channel.close()
    return service, ours


# --- a real successor ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recorded("predecessor"))
def test_successor_understands(heir, name):
    service, ours = heir
    steps = json.loads((PEERS / f"{name}.json").read_text())["steps"]
    while steps and "send" in steps[0]:  # what was sent before it was started
        peer.replay(ours, steps[:1])
        steps = steps[1:]
    start(heir)
    peer.replay(ours, steps)
    service.wait_ready()
    assert service.get("/hello").text == "hello"
    idle = h1.Connection(service.address())
    assert idle.get("/hello").text == "hello"
    status = json.loads(service.ctl("status", "--json").stdout)
    assert status["state"] == "running" and status["generation"] == (1 if "before" in name else 8)
    if "first" in name:
        m = exposition.Exposition(service.admin("GET", "/metrics").text)
        assert m.value("holdfast_requests_total", route="/hello", method="GET", **{"class": "2xx"}) == 42 + 2
        assert m.value("holdfast_reloads_total") == 4
        assert [g["generation"] for g in status["generations"]] == [8, 7]
    # The conversation may end in any way now.
    ours.sock.close()
    if "first" in name:
        service.wait_for_line("generation 7 has ended: 42 requests answered")
    assert idle.get("/hello").text == "hello"
    service.reload()
    assert idle.get("/hello").text == "hello"


@pytest.mark.parametrize("garbage", [
    b"{", b"[]", b"7", b"null", b'"ready"', b"\xff\xfe", b"{}", b'{"type": 7}', b'{"type": "go"', b"\0" * 100, b"[" * 60_000,
    b'{"type": "' + b"x" * 60_000 + b'"}', b'{"type": "welcome", "generation": -1, "your_generation": 1e300}',
    b'{"type": "welcome", "generation": 99999999999999999999999999}', b"x" * 100_000,
])
def test_successor_passes_over_garbage(heir, garbage):
    service, ours = heir
    ours.send_raw(garbage, fds=[0, 1, 2])
    start(heir)
    ours.expect("ready")
    for kind in ("go", "lead"):
        ours.send_raw(garbage, fds=[0])
        ours.send(kind)
        ours.expect({"go": "serving", "lead": "leading"}[kind])
        ours.send_raw(garbage, fds=[1] * 250)
    service.wait_ready()
    assert service.get("/hello").text == "hello"


@pytest.mark.parametrize("order", [["lead"], ["state", "lead"], ["connections", "progress", "farewell", "ancestor"]])
def test_successor_keeps_to_the_order(heir, order):
    service, ours = heir
    for kind in order:
        ours.send(kind)
    start(heir)
    ours.expect("ready")
    for kind in order:
        ours.send(kind)
    assert service.notifications.snapshot() == []  # it is nobody's main process
    ours.send("go")
    ours.expect("serving")
    assert service.notifications.snapshot() == []
    ours.send("lead")
    service.wait_ready()


@pytest.mark.parametrize("until", ["start", "ready", "serving"])
def test_successor_of_nobody_ends(heir, until):
    service, ours = heir
    service.allow(".*")
    service.expected_status = None
    start(heir)
    if until != "start":
        ours.expect("ready")
    if until == "serving":
        ours.send("go")
        ours.expect("serving")
    ours.sock.close()
    service.wait(20)
    assert service.status in (0, 69)
    assert service.notifications.snapshot() == []


def accept_for(heir, upstream):
    """A successor that accepts, with an app behind it, and was not told to lead."""
    service, ours = heir
    service.allow(".*")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /]\nUpstream=app\n")
    start(heir)
    ours.expect("ready")
    ours.send("go")
    ours.expect("serving")


def test_successor_answers_what_it_has_when_it_is_nobodys(heir, upstream):
    service, ours = heir
    accept_for(heir, upstream)
    with service.connect() as client:
        client.request("GET", "/")
        app, _ = upstream.expect()
        ours.sock.close()
        service.wait_for_line("ended the reload: this process ends")
        app.respond(200, b"done")
        assert client.read_response().text == "done"
    assert service.wait(20) == 0


def test_connections_that_are_none(heir):
    """Descriptors of other kinds, more or fewer numbers than descriptors, listeners that do not exist."""
    service, ours = heir
    start(heir)
    ours.expect("ready")
    ours.send("go")
    ours.expect("serving")
    ours.send("lead")
    ours.expect("leading")
    service.wait_ready()
    before = len(os.listdir(f"/proc/{service.pid}/fd"))
    pipe = os.pipe()
    ours.send("connections", fds=[pipe[0], pipe[1], 0], listener="http", age_ms=[1], idle_ms=[-5, 2**70, "x", {}])
    ours.send("connections", fds=[pipe[0]], listener="nobody")
    ours.send("connections", listener="http", age_ms=[1, 2, 3])
    ours.send("counters", fds=[pipe[0]])  # nobody writes to it, and nobody waits for that
    mine, theirs = socket.socketpair()
    ours.send("connections", fds=[theirs.fileno()], listener="http", age_ms=[10**12], idle_ms=[0])
    theirs.close()
    mine.settimeout(10)
    mine.sendall(h1.format_request("GET", "/hello"))
    assert mine.recv(65536).startswith(b"HTTP/1.1 200")
    mine.close()
    h1.eventually(lambda: len(os.listdir(f"/proc/{service.pid}/fd")) <= before + 1)
    for fd in pipe:
        os.close(fd)
    assert service.get("/hello").text == "hello"


def test_successor_is_told_to_stop_twice(heir, upstream):
    """By the service manager and by its predecessor: it does not hurry for that."""
    service, ours = heir
    accept_for(heir, upstream)
    with service.connect() as client:
        client.request("GET", "/")
        app, _ = upstream.expect()
        service.signal(signal.SIGTERM)
        service.wait_for_line("SIGTERM: draining")
        service.signal(signal.SIGTERM)
        ours.sock.close()
        assert client.is_quiet(0.3)
        app.respond(200, b"done")
        assert client.read_response().text == "done"
    assert service.wait(20) == 0


# --- a real predecessor -------------------------------------------------------------------------------------------


@pytest.fixture
def predecessor(service):
    """A real predecessor, at whose executable's path the test puts a successor of its own."""
    original = service.binary
    service.binary = service.directory / "holdfastd"
    shutil.copy(original, service.binary)
    service.listen("http", "tcp4")
    service.listen("admin")
    service.allow(".*")
    service.configure(HELLO, gateway=f"Threads=2\nReloadTimeoutSec={int(3 * manager.PATIENCE)}s\nDrainSec=2s")
    service.start_ready()

    def install(*arguments):
        path = service.directory / "new"
        path.write_text("#!/bin/sh\nexec " + shlex.join(map(str, (sys.executable, PEER, *arguments))) + "\n")
        path.chmod(0o755)
        path.rename(service.binary)

    service.install = install
    return service


@pytest.mark.parametrize("name", recorded("successor"))
def test_predecessor_understands(predecessor, name):
    old = predecessor.pid
    idle = predecessor.connect()
    assert idle.get("/hello").text == "hello"
    predecessor.expected_status = None  # the peer ends by the signal
    predecessor.install("replay", PEERS / f"{name}.json", "connections")
    result = predecessor.ctl("reload")
    assert result.returncode == 0 and "generation 2 serves" in result.stdout, result.stderr + predecessor.text()
    assert predecessor.pid != old
    # The peer answers on what was handed over to it.
    assert idle.get("/hello").text == "from the peer"
    predecessor.wait_former()
    assert predecessor.former == {old: 0}


@pytest.mark.parametrize("words", [
    "garbage,ready,garbage,end", "huge,end", "descriptors,end", "serving,leading,serving,end", "leading,ready,leading,garbage,wait",
    "ready,ready,ready,go,ready,garbage,end", "garbage,wait",
])
def test_predecessor_survives(predecessor, words):
    """Whatever the successor says: the old generation serves on, on the connections that it has."""
    idle = predecessor.connect()
    assert idle.get("/hello").text == "hello"
    before = len(os.listdir(f"/proc/{predecessor.pid}/fd"))
    predecessor.install(words)
    result = predecessor.ctl("reload")
    assert result.returncode == 1, "a successor that does not keep to the order is none"
    assert idle.get("/hello").text == "hello"
    h1.eventually(lambda: len(os.listdir(f"/proc/{predecessor.pid}/fd")) <= before)
