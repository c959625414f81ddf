"""Ends without a word: whoever comes next says whose end it was and exactly how much was in flight."""

import json
import os
import re
import resource
import shutil
import signal
import threading

import pytest

import exposition
import h1
import h2
import manager

HELLO = '[Route /hello]\nRespond=200 "hello"\n'
TOLD = re.compile(r"warning: generation (\d+) \(PID (\d+)\) ended without a word \((.*?)\): "
                  r"(\d+) requests? in flight on (\d+) connections?")


@pytest.fixture
def proxy(service, upstream):
    """A gateway that is to die, with an app behind it that the test plays."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.app = f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n"
    service.configure(HELLO + service.app, gateway="Threads=2\nDrainSec=20s")
    service.allow(r"warning: generation \d+ \(PID \d+\) ended without a word")
    return service.start_ready()


def records(service):
    """The generations that have a record of what they have in flight."""
    return sorted(os.listdir(service.directory / "state/generations"))


def deaths(service):
    """What was told since the last start, as {generation: (pid, how, requests, connections)}; each once."""
    service.stderr.wait(re.compile("ready after").search, 5)  # which is written after what was found
    found = {}
    for line in service.lines():
        if match := TOLD.match(line):
            assert int(match[1]) not in found, f"it was told twice: {line}"
            found[int(match[1])] = (int(match[2]), match[3], int(match[4]), int(match[5]))
            fields = dict(re.findall(r"(\w+)=(\w+)", line))
            assert (fields["predecessor"], fields["in_flight"], fields["connections"]) == match.group(1, 4, 5)
    return found


def end(service, number=signal.SIGKILL):
    """Its pid."""
    pid = service.pid
    resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
    service.signal(number)
    assert service.wait() == -number
    return pid


def hold(service, upstream, n=1, target="/app/held"):
    """Requests that the app has and does not answer, each on a connection of its own."""
    clients = [service.connect() for _ in range(n)]
    for client in clients:
        client.request("GET", target)
    for _ in clients:
        upstream.expect()
    upstream.clients = getattr(upstream, "clients", []) + clients  # they stay open as long as the app lives
    return clients


def wait_for_load(service, requests, connections):
    """Until the metrics, which are counted elsewhere, know of so much. The admin API's own connection is none."""

    def load():
        metrics = exposition.Exposition(service.admin("GET", "/metrics").text)
        return (metrics.value("holdfast_requests_in_flight"),
                sum(metrics.value("holdfast_connections", listener="http", protocol=protocol)
                    for protocol in ("http1", "http2", "tunnel")))

    try:
        h1.eventually(lambda: load() == (requests, connections))
    except AssertionError:
        assert load() == (requests, connections)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_requests_in_flight_are_counted(proxy, upstream, n):
    clients = hold(proxy, upstream, n)
    pid = end(proxy)
    assert records(proxy) == ["1"]
    proxy.start_ready()
    assert deaths(proxy) == {1: (pid, "a crash or a kill", n, n)}
    assert records(proxy) == ["2"]
    for client in clients:
        with pytest.raises((h1.Closed, ConnectionResetError)):
            client.read_response()
    status = json.loads(proxy.ctl("status", "--json").stdout)
    assert status["generations"][0]["origin"] == "crash" and status["succession"]["crashes"] == 1
    # It is told once: a second start has nothing to say.
    proxy.stop()
    proxy.start_ready()
    assert deaths(proxy) == {}


def test_what_counts_as_in_flight(proxy, upstream):
    """lifecycle/flight.h says what does and what does not."""
    kept = hold(proxy, upstream, 2)

    uploading = proxy.connect()
    uploading.send(b"POST /app/upload HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf")
    chunked = proxy.connect()
    chunked.send(b"POST /app/upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")

    downloading = proxy.connect()
    downloading.request("GET", "/app/download")
    app, _ = upstream.expect()
    app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    assert downloading.read_head().status == 200
    assert downloading.read_exactly(4) == b"half"

    streams = h2.Connection(proxy.address())
    for _ in range(3):
        streams.request("GET", "/app/stream")
        upstream.expect()
    streams.request("POST", "/app/upload", body=b"half", end=False)
    wait_for_load(proxy, requests=9, connections=6)

    # Not in flight: an idle connection, a request that is over, half a head, one that waits behind another; and what is
    # closed.
    idle, over, head = proxy.connect(), proxy.connect(), proxy.connect()
    assert over.get("/hello").text == "hello"
    head.send(b"GET /app/half HTTP/1.1\r\nHo")
    kept[0].request("GET", "/app/pipelined")
    for _ in range(3):
        assert proxy.get("/hello").text == "hello"
    wait_for_load(proxy, requests=9, connections=9)

    tunnel = proxy.connect()
    tunnel.request("GET", "/app/ws", [("Connection", "Upgrade"), ("Upgrade", "echo")])
    app, _ = upstream.expect()
    app.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    assert tunnel.read_head().status == 101
    tunnel.send(b"ping")
    assert app.read_exactly(4) == b"ping"
    end(proxy)
    proxy.start_ready()
    assert deaths(proxy)[1][2:] == (10, 10)
    assert idle.read_to_end() == b""


def test_answered_requests_are_not_counted(proxy, upstream):
    clients = hold(proxy, upstream, 5)
    for app in upstream.connections[:3]:
        app.respond(200, b"done")
    for _ in range(2):  # and two more, on the same connections to the app or on new ones
        assert proxy.get("/hello").text == "hello"
    wait_for_load(proxy, requests=2, connections=5)
    end(proxy)
    proxy.start_ready()
    assert deaths(proxy)[1][2:] == (2, 5)
    assert sum(client.read_to_end() != b"" for client in clients) == 3


@pytest.mark.hooks
def test_watchdog(service, upstream):
    """A worker stands still, with requests; systemd aborts the process when the pings stay away."""
    service.listen("http", "tcp4")
    service.listen("admin")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n")
    service.start_ready(watchdog=0.5)
    hold(service, upstream, 4)
    wait_for_load(service, requests=4, connections=4)
    service.admin("POST", "/v1/test/wedge?worker=1")
    service.wait_for_line("worker 1 does not turn")
    pid = end(service, signal.SIGABRT)
    service.allow("warning: generation 1 ")
    service.start_ready()
    assert deaths(service) == {1: (pid, "a crash or a kill", 4, 4)}


# --- orderly ends -------------------------------------------------------------------------------------------------


def test_clean_stop_leaves_nothing(proxy, upstream):
    (client,) = hold(proxy, upstream)
    assert records(proxy) == ["1"]
    stopped = threading.Thread(target=proxy.stop)
    stopped.start()
    proxy.wait_for("STOPPING=1")
    assert records(proxy) == ["1"]  # it may still die
    upstream.connections[0].respond(200, b"done")
    assert client.read_response().text == "done"
    stopped.join(20)
    assert proxy.status == 0 and records(proxy) == []
    proxy.start_ready()
    assert deaths(proxy) == {}


def test_cut_requests_are_told_by_who_cuts_them(service, upstream):
    service.listen("http", "tcp4")
    service.allow(".*")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n",
                      gateway="Threads=2\nDrainSec=100ms")
    service.start_ready()
    hold(service, upstream, 3)
    service.stop()
    assert records(service) == []


@pytest.mark.hooks
def test_worker_that_does_not_end(service):
    """The process has said what it leaves behind, and ends."""
    service.listen("http")
    service.listen("admin")
    service.allow(".*")
    service.configure(HELLO, gateway="Threads=2\nDrainSec=100ms")
    service.start_ready()
    service.admin("POST", "/v1/test/wedge?worker=0")
    service.stop()
    assert records(service) == []


def test_start_that_fails_leaves_nothing(service):
    service.listen("http")
    service.configure(HELLO + "[Check never]\nConnect=127.0.0.1:1\nTimeoutSec=100ms\n")
    service.run()
    assert not os.path.exists(service.directory / "state/generations") or records(service) == []


# --- several generations ------------------------------------------------------------------------------------------


def test_several_die(proxy, upstream):
    """Two that drain and the one that leads: each is told apart."""
    pids = []
    for n in (1, 2, 3):
        hold(proxy, upstream, n)
        pids.append(proxy.pid)
        if n < 3:
            proxy.reload()
    idle = proxy.connect()
    wait_for_load(proxy, requests=3, connections=4)
    assert records(proxy) == ["1", "2", "3"]
    proxy._signal_former(signal.SIGKILL)  # at once with the main process: nobody is left who could tell
    end(proxy)
    proxy.wait_former()
    proxy.former.clear()
    told = {1: (pids[0], "a crash or a kill", 1, 1), 2: (pids[1], "a crash or a kill", 2, 2),
            3: (pids[2], "a crash or a kill", 3, 4)}
    before = deaths(proxy)  # the leading one may have been quick enough for the others
    proxy.start_ready()
    assert before | deaths(proxy) == told and not before.keys() & deaths(proxy).keys()
    assert records(proxy) == ["4"]
    assert idle.read_to_end() == b""


@pytest.mark.parametrize("n", [3, 150])
def test_draining_generation_dies(proxy, upstream, n):
    """The one that leads tells it, and goes on. With many connections the kernel takes its time to end the process."""
    hold(proxy, upstream, n)
    old = proxy.pid
    proxy.reload()
    (client,) = hold(proxy, upstream, 1)
    assert records(proxy) == ["1", "2"]
    proxy._signal_former(signal.SIGKILL)
    proxy.wait_former()
    assert proxy.former == {old: -signal.SIGKILL}
    proxy.former.clear()
    proxy.wait_for_line("generation 1 .*ended without a word")
    assert deaths(proxy) == {1: (old, "a crash or a kill", n, n)}
    assert records(proxy) == ["2"]
    upstream.connections[-1].respond(200, b"done")
    assert client.read_response().text == "done"
    assert json.loads(proxy.ctl("status", "--json").stdout)["succession"]["crashes"] == 1


def test_draining_generation_lives(proxy, upstream):
    """Its successor dies; the next one tells that, and nothing of the one that still drains."""
    (client,) = hold(proxy, upstream)
    proxy.reload()
    hold(proxy, upstream, 2)
    pid = end(proxy)
    proxy.start("--config", proxy.config_path)
    proxy.wait_ready()
    assert deaths(proxy) == {2: (pid, "a crash or a kill", 2, 2)}
    assert records(proxy) == ["1", "3"]
    upstream.connections[0].respond(200, b"done")
    assert client.read_response().text == "done"
    h1.eventually(lambda: records(proxy) == ["3"])


def test_what_a_successor_finds_counts(proxy):
    """A death that its predecessor has not seen; it is told of all others by that one."""
    for number in (71, 72):
        (proxy.directory / f"state/generations/{number}").write_bytes(b"")
        proxy.allow(f"warning: generation {number} ended without a word")
        proxy.reload()
    assert len([line for line in proxy.lines() if "is damaged" in line]) == 2
    assert json.loads(proxy.ctl("status", "--json").stdout)["succession"]["crashes"] == 2


def test_successor_dies_before_it_serves(proxy):
    """It has lost nothing: the reload has failed, and there is no more to tell."""
    proxy.configure(HELLO + proxy.app + "[Check never]\nConnect=127.0.0.1:1\nTimeoutSec=20s\n")
    before = set(manager.children())
    results = []
    reload = threading.Thread(target=lambda: results.append(proxy.reload_fails()))
    reload.start()
    proxy.wait_for_line("generation 2 *$|starting, generation 2")
    (successor,) = set(manager.children()) - before - {pid for pid, c in manager.children().items() if "ctl" in c}
    os.kill(successor, signal.SIGKILL)
    reload.join(20)
    assert "ended without a word while it started" in results[0]
    assert deaths(proxy) == {} and records(proxy) == ["1"]


# --- what is found ------------------------------------------------------------------------------------------------


def test_reboot(proxy, upstream):
    proxy.stop()
    proxy.environment["HOLDFAST_BOOT_ID"] = "0" * 31 + "1"
    proxy.start_ready()
    hold(proxy, upstream, 2)
    pid = end(proxy)
    proxy.environment["HOLDFAST_BOOT_ID"] = "0" * 31 + "2"
    proxy.start_ready()
    assert deaths(proxy) == {2: (pid, "a power failure or a reset: the system has been started since", 2, 2)}


def test_damaged_records(proxy):
    end(proxy)
    directory = proxy.directory / "state/generations"
    good = (directory / "1").read_bytes()
    damaged = {2: b"", 3: b"\0" * len(good), 4: good[:-1], 5: os.urandom(4096), 6: good}
    for number, contents in damaged.items():
        (directory / str(number)).write_bytes(contents)
    (directory / "7").symlink_to("1")
    (directory / "8").mkdir()
    os.mkfifo(directory / "9")
    (directory / "notes").write_text("not ours")
    proxy.allow(r"warning: generation \d+ ended without a word; the record of what it had in flight is damaged")
    proxy.start_ready()
    assert deaths(proxy).keys() == {1}
    lines = [line for line in proxy.lines() if "is damaged" in line]
    assert {int(re.search(r"generation (\d+)", line)[1]) for line in lines} == set(damaged) and len(lines) == 5
    assert not any("in_flight=" in line for line in lines)
    assert records(proxy) == ["2", "8", "notes"]
    assert proxy.get("/hello").text == "hello"


@pytest.mark.parametrize("what", ["file", "link", "nothing"])
def test_no_record_can_be_kept(proxy, what):
    """That is said, and is no reason not to serve."""
    proxy.stop()
    directory = proxy.directory / "state/generations"
    shutil.rmtree(directory)
    if what == "file":
        directory.write_text("")
    elif what == "link":
        directory.symlink_to("/tmp")
    else:
        proxy.environment["STATE_DIRECTORY"] = "/nonexistent"
        proxy.allow("warning: the number of the last generation")
    proxy.start("--config", proxy.config_path)
    proxy.wait_ready()
    proxy.wait_for_line("cannot keep a record of what is in flight in .*/generations .*: a crash will not be told")
    assert proxy.get("/hello").text == "hello"
