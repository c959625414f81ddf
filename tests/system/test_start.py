"""What holdfastd takes, what it refuses, and what it says about it: descriptors, configuration, checks."""

import os
import signal
import socket
import time

import pytest

import h1
import manager

EX_USAGE, EX_UNAVAILABLE, EX_CONFIG = 64, 69, 78
HELLO = '[Route /hello]\nRespond=200 "hello"\n'


# Descriptors


def test_serves_every_kind_of_socket(service):
    for kind in ("tcp4", "tcp6", "unix"):
        service.listen("http", kind)
    service.configure(HELLO)
    service.start_ready()
    for index in range(3):
        response = service.get("/hello", index=index)
        assert (response.status, response.body) == (200, b"hello")
    assert service.stop() == 0


def test_serves_several_names(service):
    service.listen("http")
    service.listen("internal")
    service.listen("http", "tcp4")
    service.configure(HELLO, listeners=("http", "internal"))
    service.start_ready()
    assert [service.get("/hello", index=i).status for i in range(3)] == [200] * 3


def test_connection_from_before_the_start_is_served(service):
    """As with the first request, by which systemd activates the socket."""
    service.listen("http")
    with service.connect() as early:
        early.request("GET", "/hello")
        service.configure(HELLO)
        service.start()
        assert early.read_response().body == b"hello"
        service.wait_ready()


def test_sockets_stay_open_after_the_end(service):
    service.listen("http", "tcp4")
    service.configure(HELLO)
    service.start_ready()
    assert service.stop() == 0
    with service.connect() as waiting:  # not refused: the manager holds the socket
        waiting.request("GET", "/hello")
        service.start_ready()
        assert waiting.read_response().body == b"hello"


def test_no_descriptors_says_how_to_start(service):
    service.configure(HELLO)
    assert service.run() == EX_USAGE
    assert any("systemd-socket-activate" in line for line in service.lines())
    assert any("systemctl start" in line for line in service.lines())
    assert not service.notifications.snapshot()


def test_socket_without_listener(service):
    service.listen("http")
    service.listen("surplus")
    service.configure(HELLO)
    assert service.run() == EX_CONFIG
    [line] = [l for l in service.lines() if "surplus" in l]
    assert "[Listener surplus]" in line and "[Listener http]" in line  # what is missing, and what is there
    assert service.address(1) in line


def test_listener_without_socket(service):
    service.listen("http")
    service.configure(HELLO, listeners=("http", "https-too"))
    assert service.run() == EX_CONFIG
    [line] = [l for l in service.lines() if "https-too" in l]
    assert f"{service.config_path}:4:" in line and "FileDescriptorName=https-too" in line and '"http"' in line


def test_both_sides_are_told_at_once(service):
    service.listen("a")
    service.configure(HELLO, listeners=("b",))
    assert service.run() == EX_CONFIG
    assert any("[Listener a]" in l for l in service.lines()) and any("[Listener b]" in l for l in service.lines())


def not_listening():
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def connected():
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def seqpacket(directory):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(f"{directory}/seqpacket")
    sock.listen()
    return sock


def no_socket():
    return open("/dev/null", "rb")


@pytest.mark.parametrize(
    "make, reason",
    [
        (not_listening, "does not listen"),
        (udp, "is not a stream socket"),
        (connected, "does not listen"),
        (seqpacket, "is not a stream socket"),
        (no_socket, "is not a socket"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_descriptor_that_cannot_be_accepted_from(service, make, reason):
    service.listen("http")
    service.pass_socket("http", make(service.directory) if make is seqpacket else make())
    service.configure(HELLO)
    assert service.run() == EX_CONFIG
    [line] = [l for l in service.lines() if reason in l]
    assert "descriptor 4" in line and '"http"' in line


def test_descriptors_for_somebody_else_are_not_taken(service):
    """LISTEN_PID of another process: the variables were inherited, not meant."""
    service.listen("http")
    service.configure(HELLO)
    service.binary, real = "/usr/bin/env", service.binary
    assert service.run("LISTEN_PID=1", str(real), "--config", service.config_path) == EX_USAGE


# Command line


def test_unknown_option(service):
    assert service.run("--frobnicate") == EX_USAGE


def test_surplus_argument(service):
    assert service.run("restart") == EX_USAGE


@pytest.mark.parametrize("option, text", [("--help", "--check"), ("--version", "holdfastd ")])
def test_says_what_it_is(service, option, text):
    assert service.run(option) == 0
    assert any(text in line for line in service.lines())


# Configuration

WRONG = """\
[Gateway]
Threads=none
[Listener http]
Protocol=gopher
[Upstream orders]
[Route /a]
Upstream=oders
[Route /files]
Static=/nowhere/at/all
[Rout /b]
Respond=200
"""
WRONG_PLACES = {
    2: "Threads=none",
    4: "Protocol=gopher",
    5: "[Upstream orders]",
    7: "Upstream=oders",
    9: "Static=/nowhere/at/all",
    10: "[Rout /b]",
}


def assert_all_wrong_places(service):
    for number, text in WRONG_PLACES.items():
        [line] = [l for l in service.lines() if f"{service.config_path}:{number}: " in l]
        assert text in line
    assert any("accepted: auto, or 1 to 256" in l for l in service.lines())
    assert any("is orders meant?" in l for l in service.lines())


def test_every_mistake_is_told_at_start(service):
    service.listen("http")
    service.write_config(WRONG)
    assert service.run() == EX_CONFIG
    assert_all_wrong_places(service)
    assert not any("READY=1" in m for m in service.notifications.snapshot())


def test_check_needs_no_descriptors(service):
    service.write_config(WRONG)
    assert service.run("--config", service.config_path, "--check") == EX_CONFIG
    assert_all_wrong_places(service)


def test_check_of_a_good_configuration(service):
    service.configure(HELLO)
    assert service.run("--check", "--config", service.config_path) == 0
    assert not any("error" in line for line in service.lines() if "0 errors" not in line)
    assert not service.notifications.snapshot()


def test_check_finds_conflicting_routes(service):
    service.configure('[Route /a/:id]\nRespond=200\n[Route /a/:name]\nRespond=200\n')
    assert service.run("--check", "--config", service.config_path) == EX_CONFIG
    text = service.text()
    assert f"{service.config_path}:4" in text and f"{service.config_path}:6" in text  # both places


def test_check_finds_a_key_of_another_certificate(service):
    certificate, _ = manager.make_certificate(service.directory, "one")
    _, key = manager.make_certificate(service.directory, "two")
    service.configure(
        f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n" + HELLO, listeners=("http",)
    )
    assert service.run("--check", "--config", service.config_path) == EX_CONFIG
    assert any(f"{service.config_path}:" in l and key in l for l in service.lines())


def test_check_does_not_disturb(service):
    """It neither takes a generation's number nor runs the checks of the configuration."""
    service.configure(HELLO + "[Check never]\nPath=/nowhere\nTimeoutSec=1h\n")
    assert service.run("--check", "--config", service.config_path) == 0
    assert not (service.directory / "state" / "generation").exists()


def test_missing_configuration(service):
    service.listen("http")
    assert service.run("--config", service.directory / "absent.conf") == EX_CONFIG
    assert any("absent.conf: cannot be read: No such file or directory" in l for l in service.lines())


@pytest.mark.parametrize(
    "content, place",
    [
        (b"[Gateway]\nThreads=\xff\n", ":2:"),
        (b"[Gateway]\nThreads=2\0\n", ":2:"),
        (b"[Listener http]\n[Route /]\nRespond=200 \"" + b"x" * 10_000_000 + b'"\n', ":3:"),
        (bytes(range(256)) * 100, ":2:"),
    ],
    ids=["utf8", "nul", "10-megabyte-line", "any-bytes"],
)
def test_hostile_configuration(service, content, place):
    service.listen("http")
    service.write_config(content)
    assert service.run() == EX_CONFIG
    assert any(f"{service.config_path}{place}" in l for l in service.lines())
    assert sum(len(l) for l in service.lines()) < 200_000


def test_drop_in_registers_an_app(service, upstream):
    service.listen("http")
    service.configure("")
    service.drop_in("50-shop.conf", f"[Upstream shop]\nTarget={upstream.target}\n[Route /shop]\nUpstream=shop\n")
    service.start_ready()
    with service.connect() as client:
        client.request("GET", "/shop")
        app, _ = upstream.expect()
        app.respond(200, b"from the shop")
        assert client.read_response().body == b"from the shop"


def test_generations_are_numbered(service):
    service.listen("http")
    service.listen("admin")
    service.configure(HELLO)
    numbers = []
    for _ in range(3):
        service.start_ready()
        numbers.append(h1.json(service.admin("GET", "/v1/status"))["generation"])
        assert service.stop() == 0
    assert numbers == [1, 2, 3]


# Checks


def add_checks(service, text):
    service.listen("http")
    service.configure(HELLO + text)


def test_checks_of_every_kind_pass(service, upstream):
    app = h1.Upstream()
    add_checks(
        service,
        f"[Check tcp]\nConnect={app.target}\n"
        f"[Check unix]\nConnect={upstream.target}\n"
        f"[Check path]\nPath={service.directory} access=rwx\n"
        f"[Check http]\nHttp=http://{app.target}/live?a=b\n",
    )
    service.start()
    # Which connection on the port is whose shows in what it sends: the one that only connects sends nothing.
    request = None
    while request is None:
        connection = app.accept()
        try:
            request = connection.read_request()
        except h1.Closed:
            connection.close()
    assert (request.method, request.target, request.headers.get("Host")) == ("GET", "/live?a=b", app.target)
    connection.respond(204)
    service.wait_ready()
    for name in ("tcp", "unix", "path", "http"):
        assert service.wait_for_line(f"check {name} passed", timeout=1)
    app.close()


def test_ready_only_after_the_checks(service):
    """A dependency that is starting is waited for, and nothing is served meanwhile."""
    path = service.directory / "late.sock"
    add_checks(service, f"[Check late]\nConnect=unix:{path}\nTimeoutSec=20s\n")
    with service.connect() as early:
        early.request("GET", "/hello")
        service.start()
        service.wait_for("STATUS=")
        assert early.is_quiet(0.5)
        assert not any("READY=1" in m for m in service.notifications.snapshot())
        late = h1.Upstream(path)
        service.wait_ready()
        assert early.read_response().status == 200
        late.close()


def test_admin_answers_while_checks_run(service):
    service.listen("http")
    service.listen("admin")
    service.configure(HELLO + "[Check never]\nPath=/nowhere/at/all\nTimeoutSec=20s\n")
    service.start()
    assert service.admin("GET", "/livez").status == 200
    assert service.admin("GET", "/readyz").status == 503
    assert h1.json(service.admin("GET", "/v1/status"))["state"] == "starting"
    assert service.stop() == 0
    assert not any("READY=1" in m for m in service.notifications.snapshot())


@pytest.mark.parametrize(
    "check, reason",
    [
        ("Connect=127.0.0.1:1", "refused"),
        ("Connect=unix:/nowhere/at/all", "No such file"),
        ("Path=/nowhere/at/all", "No such file"),
        ("Path=/etc/passwd access=x", "[Pp]ermission denied"),
        ("Http=http://127.0.0.1:1/", "refused"),
        ("Unit=no-such-unit.service", "."),
    ],
)
def test_required_check_fails(service, check, reason):
    add_checks(service, f"[Check dependency]\n{check}\nTimeoutSec=300ms\n")
    assert service.run() == EX_UNAVAILABLE
    assert service.wait_for_line(f"check dependency failed.*{reason}", timeout=1)
    assert not any("READY=1" in m for m in service.notifications.snapshot())


def test_http_check_wants_a_good_status(service, upstream):
    add_checks(service, f"[Check app]\nHttp={upstream.target}:/healthz\nTimeoutSec=20s\n")
    service.start()
    for status in (503, 500, 404):
        app, request = upstream.expect()
        assert request.target == "/healthz"
        app.respond(status)
        app.close()
    app, _ = upstream.expect()
    app.respond(200, b"ok")
    service.wait_ready()


def test_check_gives_up_on_a_mute_server(service, upstream):
    add_checks(service, f"[Check app]\nHttp={upstream.target}:/\nTimeoutSec=500ms\n")
    began = time.monotonic()
    assert service.run() == EX_UNAVAILABLE
    assert 0.4 < time.monotonic() - began < 5
    assert service.wait_for_line("check app failed", timeout=1)


def test_all_checks_run_at_the_same_time(service):
    add_checks(service, "".join(f"[Check c{i}]\nPath=/nowhere/at/all\nTimeoutSec=1s\n" for i in range(5)))
    began = time.monotonic()
    assert service.run() == EX_UNAVAILABLE
    assert time.monotonic() - began < 4
    for i in range(5):
        assert service.wait_for_line(f"check c{i} failed", timeout=1)


def test_check_that_is_not_required(service):
    add_checks(service, "[Check nice]\nPath=/nowhere/at/all\nTimeoutSec=200ms\nRequired=no\n")
    service.allow("warning: check nice failed, which is not required")
    service.start_ready()
    assert service.get("/hello").status == 200
    assert service.wait_for_line("check nice failed, which is not required", timeout=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stop_while_checks_run(service, number):
    add_checks(service, "[Check never]\nPath=/nowhere/at/all\nTimeoutSec=1h\n")
    service.start()
    service.wait_for("STATUS=")
    began = time.monotonic()
    service.signal(number)
    assert service.wait() == 0
    assert time.monotonic() - began < 3


# What a process leaves


def test_runs_without_a_manager(service):
    service.listen("http")
    service.configure(HELLO)
    service.start(notify=False)
    service.wait_for_line("ready after")
    assert service.get("/hello").status == 200
    assert service.stop() == 0


def test_state_directory_that_cannot_be_written(service):
    service.listen("http")
    service.configure(HELLO)
    service.environment["STATE_DIRECTORY"] = "/proc/nowhere"
    service.allow("warning: the number of the last generation")
    service.start_ready()
    service.wait_for_line("warning: cannot keep a record of what is in flight in /proc/nowhere")
    assert service.get("/hello").status == 200


def test_descriptors_are_not_passed_on(service):
    """Whatever the gateway may execute one day: the listening sockets are its own."""
    service.listen("http")
    service.configure(HELLO)
    service.start_ready()
    info = open(f"/proc/{service.pid}/fdinfo/3").read()
    flags = int(next(l for l in info.splitlines() if l.startswith("flags:")).split()[1], 8)
    assert flags & os.O_CLOEXEC and flags & os.O_NONBLOCK
