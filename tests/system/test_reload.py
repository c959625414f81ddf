"""A reload is a replacement: what systemd is told and when, what the successor takes up, and that a reload that fails
changes nothing."""

import collections
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

import h1
import manager

HELLO = '[Route /hello]\nRespond=200 "hello"\n'
PEER = pathlib.Path(__file__).with_name("peer.py")
SHARES_MEMORY = pytest.mark.skipif(bool(manager.UNDER), reason="valgrind makes a fork of what shares its parent's memory")
FITS_INTO_LIMITS = pytest.mark.skipif(bool(manager.UNDER), reason="valgrind needs memory and descriptors of its own")
TIMEOUT = f"{int(2 * manager.PATIENCE)}s"
HOLD_THREADS = pathlib.Path(__file__).with_name("hold_threads.py")


def environment(pid):
    pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def descriptors(pid):
    """What its descriptors lead to, without numbers."""
    found = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(re.sub(r":\[\d+\]$", "", os.readlink(entry)))
    if manager.UNDER:  # valgrind keeps the program open, whose file tests replace
        found = [what for what in found if "/holdfastd" not in what]
    return collections.Counter(found)


def said(service, after=0):
    """The notifications as (pid, first line)."""
    return [(m.pid, m.lines[0]) for m in service.notifications.snapshot()[after:]]


def index_of(messages, pid, start):
    return next(i for i, (who, line) in enumerate(messages) if who == pid and line.startswith(start))


@pytest.fixture
def copied(service):
    """A running gateway whose executable is a copy in the test's directory, as a package's is in /usr/sbin."""
    service.original = service.binary
    service.binary = service.directory / "holdfastd"
    shutil.copy(service.original, service.binary)
    service.listen("http")
    service.listen("admin")
    service.configure(HELLO, gateway=f"Threads=2\nReloadTimeoutSec={TIMEOUT}")
    return service.start_ready()


def install(service, script):
    """Puts a script in the executable's place, as an upgrade does: the file is another one."""
    path = service.directory / "new"
    path.write_text(script)
    path.chmod(0o755)
    path.rename(service.binary)


def install_peer(service, words, prepare=""):
    """A successor that the test plays, by peer.py; a line of the shell comes before it."""
    install(service, f"#!/bin/sh\n{prepare}\nexec {sys.executable} {PEER} '{words}'\n")


def reinstall(service):
    shutil.copy(service.original, service.directory / "new")
    (service.directory / "new").rename(service.binary)


# --- a reload that succeeds ---------------------------------------------------------------------------------------


def test_what_systemd_is_told(gateway):
    old = gateway.pid
    after = len(gateway.notifications.snapshot())
    new = gateway.reload()
    messages = said(gateway, after)
    reloading = index_of(messages, old, "RELOADING=1")
    assert gateway.notifications.snapshot()[after + reloading].value("MONOTONIC_USEC").isdigit()
    main = index_of(messages, old, f"MAINPID={new}")
    barrier = index_of(messages, old, "BARRIER=1")
    ready = index_of(messages, new, "READY=1")
    assert reloading < main < barrier < ready
    gateway.wait_former()
    assert gateway.former == {old: 0}
    assert not any(line.startswith("STOPPING") for _, line in said(gateway))
    # Whatever else anybody said who was not the main process fails the test at its end.
    assert said(gateway)[-1][0] == new


def test_environment_of_the_successor(service):
    service.listen("http")
    service.listen("admin")
    service.configure(HELLO)
    service.start_ready(watchdog=0.5)
    for _ in range(2):
        old = service.pid
        pid = service.reload()
        variables = environment(pid)
        assert variables["LISTEN_PID"] == variables["WATCHDOG_PID"] == str(pid)
        assert variables["LISTEN_FDS"] == "2" and variables["LISTEN_FDNAMES"] == "http:admin"
        after = len(service.notifications.snapshot())
        service.wait_for("WATCHDOG=1", after=after)  # from the new main process, or it is a fault
        assert service.notifications.snapshot()[-1].pid != old


def test_generations_are_counted(gateway):
    for number in (2, 3, 4):
        gateway.reload()
        status = json.loads(gateway.ctl("status", "--json").stdout)
        assert status["generation"] == number and status["succession"]["reloads"] == number - 1
        assert [g["generation"] for g in status["generations"]] == list(range(number, 0, -1))
    assert [g["origin"] for g in status["generations"]] == ["reload", "reload", "reload", "start"]


def test_outcome_is_told(gateway):
    result = gateway.ctl("reload", "--json")
    told = json.loads(result.stdout)
    assert result.returncode == 0 and told["generation"] == 2
    assert 0 < told["start_usec"] < 20_000_000 and 0 < told["hand_over_usec"] < 20_000_000
    line = gateway.wait_for_line(r"replaced by generation 2 \(PID \d+\)")
    assert f"(PID {gateway.pid})" in line and "start_usec=" in line and "hand_over_usec=" in line
    gateway.wait_for_line("took over from generation 1")
    gateway.wait_for_line("generation 1 has ended")


def test_configuration_is_taken_up(gateway):
    gateway.configure('[Route /new]\nRespond=200 "new"\n')
    assert gateway.get("/new").status == 404
    gateway.reload()
    assert gateway.get("/new").text == "new" and gateway.get("/hello").status == 404


@contextlib.contextmanager
def held_workers(pid):
    """The workers of a process do nothing meanwhile; the rest of it goes on."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    workers = [task.name for task in tasks if (task / "comm").read_text().startswith("worker-")]
    with subprocess.Popen([HOLD_THREADS, *workers], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert len(workers) == 2 and holder.stdout.readline() == b"held\n"
        yield
        holder.stdin.close()


def test_answer_means_that_the_old_one_accepts_no_more(gateway):
    """Whoever connects after it meets the new configuration, however long workers took to hear of it."""
    gateway.configure('[Route /hello]\nRespond=200 "new"\n')
    with gateway.connect(1) as operator:
        with held_workers(gateway.pid):
            operator.request("POST", "/v1/reload", host="holdfast")
            gateway.wait_for_line("replaced by generation 2")
            assert operator.is_quiet(0.2)
        assert operator.read_response().status == 200
    assert gateway.get("/hello").text == "new"


def test_answer_does_not_wait_for_a_worker_that_hangs(gateway):
    with held_workers(gateway.pid):
        assert gateway.admin("POST", "/v1/reload").status == 200
        assert gateway.get("/hello").text == "hello"


def test_threads_may_change(gateway):
    connections = [gateway.connect() for _ in range(8)]
    for threads in (1, 4, 2):
        gateway.configure(HELLO, gateway=f"Threads={threads}")
        gateway.reload()
        assert all(c.get("/hello").text == "hello" for c in connections)


@FITS_INTO_LIMITS
def test_few_descriptors_are_allowed(gateway):
    """As LimitNOFILE=1024 would have it."""
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    gateway.reload()
    gateway.reload()
    assert gateway.get("/hello").text == "hello"


def test_executable_is_taken_up(copied):
    """The file at the path it was started from, not the file it was started from."""
    install(copied, f'#!/bin/sh\nUPGRADED=1 exec {copied.original} "$@"\n')
    pid = copied.reload()
    assert environment(pid)["UPGRADED"] == "1"
    assert copied.get("/hello").text == "hello"


def test_somebody_always_accepts(gateway):
    """A storm of connections over ten reloads: none is refused, none waits for long, all are answered."""
    failures, slowest, count, done = [], [0.0], [0], threading.Event()

    def storm():
        while not done.is_set():
            began = time.monotonic()
            try:
                assert gateway.get("/hello").text == "hello"
            except Exception as failure:
                failures.append(repr(failure))
            slowest[0] = max(slowest[0], time.monotonic() - began)
            count[0] += 1

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        gateway.reload()
    done.set()
    for thread in threads:
        thread.join()
    assert not failures and count[0] > 100
    assert slowest[0] < 3, "somebody waited as if nobody accepted"


def test_predecessor_accepts_until_the_successor_does(copied):
    """The successor is stopped while it starts: the old generation takes connections all the while."""
    pidfile = copied.directory / "pid"
    copied.configure(HELLO, gateway="Threads=2\nReloadTimeoutSec=1min")
    copied.reload()  # that of the running generation counts
    install(copied, f'#!/bin/sh\necho $$ > {pidfile}.new; mv {pidfile}.new {pidfile}; kill -STOP $$\n'
                    f'exec {copied.original} "$@"\n')
    reload = threading.Thread(target=lambda: results.append(copied.ctl("reload")))
    results = []
    reload.start()
    h1.eventually(pidfile.exists)
    for _ in range(20):
        assert copied.get("/hello").text == "hello"
    os.kill(int(pidfile.read_text()), signal.SIGCONT)
    reload.join(20)
    assert results[0].returncode == 0, results[0].stderr
    assert copied.get("/hello").text == "hello"


def test_by_the_api(gateway):
    response = gateway.admin("POST", "/v1/reload")
    assert response.status == 200 and h1.json(response)["generation"] == 2
    assert gateway.admin("GET", "/v1/reload").status == 405


def test_client_of_the_admin_socket_goes_away(gateway):
    before = gateway.pid
    connection = h1.Connection(gateway.admin_address())
    connection.request("POST", "/v1/reload", host="holdfast")
    connection.reset()
    h1.eventually(lambda: gateway.pid != before)
    gateway.wait_for("READY=1", after=len(gateway.notifications.snapshot()) - 1)
    assert gateway.get("/hello").text == "hello"


# --- a reload that fails ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nothing_changes(service):
    """One kept connection is served before, during and after; processes, descriptors and files are as before; and a
    good reload is still possible."""
    connection = service.connect()
    assert connection.get("/hello").text == "hello"
    pid = service.pid
    files = sorted(os.listdir(service.directory / "state/generations"))
    before = descriptors(pid)
    yield connection
    assert connection.get("/hello").text == "hello"
    assert service.pid == pid and service.is_running()
    h1.eventually(lambda: not descriptors(pid) - before)  # a socket to the service manager may come and go
    assert sorted(os.listdir(service.directory / "state/generations")) == files
    h1.eventually(lambda: living_children(service) == {pid})
    assert said(service)[-1][1] == "READY=1" or any(line == "READY=1" for _, line in said(service)[-3:])
    assert json.loads(service.ctl("status", "--json").stdout)["succession"]["reloads_failed"] == 1
    assert connection.get("/hello").text == "hello"


def living_children(service):
    return {pid for pid in manager.children()
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"}


def mended(service, text=HELLO):
    service.configure(text, gateway=f"Threads=2\nReloadTimeoutSec={TIMEOUT}")
    service.reload()
    assert service.get("/hello").text == "hello"


def test_syntax_error(copied):
    with nothing_changes(copied):
        copied.write_config("[Gateway]\nThread=2\n[Listener http]\n[Route /hello]\nRespond=999\n")
        reason = copied.reload_fails()
        assert "holdfast.conf:2" in reason and "Thread=2" in reason and "Threads=" in reason
        assert "holdfast.conf:5" in reason and "the old process serves on" in reason
    copied.wait_for_line("reload failed, this generation serves on: .*Thread=2.*more")
    mended(copied)


def test_missing_certificate(copied):
    copied.pass_socket("https", manager.listen("unix", copied.directory))
    with nothing_changes(copied):
        copied.configure(HELLO + "[Listener https]\nProtocol=https\nTLSCertificate=/nonexistent.crt\n"
                                 "TLSKey=/nonexistent.key\n", gateway="Threads=2")
        assert "/nonexistent.crt" in copied.reload_fails()
    mended(copied)


def test_failing_check(copied):
    with nothing_changes(copied):
        copied.configure(HELLO + "[Check db]\nConnect=unix:/nonexistent/db.sock\nTimeoutSec=200ms\n")
        reason = copied.reload_fails()
        assert "check db failed" in reason and "/nonexistent/db.sock" in reason
    mended(copied)


def test_unreadable_drop_in(copied):
    with nothing_changes(copied):
        (copied.directory / "conf.d").mkdir()
        (copied.directory / "conf.d" / "a.conf").mkdir()  # root may read any file, but not a directory
        assert "a.conf" in copied.reload_fails()
    shutil.rmtree(copied.directory / "conf.d")
    mended(copied)


def test_section_without_socket(copied):
    with nothing_changes(copied):
        copied.configure(HELLO, listeners=("http", "other"))
        assert "[Listener other]" in copied.reload_fails() or "named \"other\"" in copied.reload_fails()
    mended(copied)


@pytest.mark.parametrize("script, reason", [
    ("#!/bin/sh\nkill -SEGV $$\n", "ended without a word while it started"),
    ("#!/bin/sh\nexit 0\n", "ended without a word while it started"),
    ("#!/bin/sh\nexec sleep 1000\n", f"was not ready within {TIMEOUT} (ReloadTimeoutSec=)"),
    ("#!/bin/sh\nkill -STOP $$\n", f"was not ready within {TIMEOUT} (ReloadTimeoutSec=)"),
    pytest.param("no program\n", "Exec format error", marks=SHARES_MEMORY),
])
def test_executable_is_broken(copied, script, reason):
    with nothing_changes(copied):
        install(copied, script)
        assert reason in copied.reload_fails()
    reinstall(copied)
    mended(copied)


@SHARES_MEMORY
def test_executable_is_missing(copied):
    with nothing_changes(copied):
        copied.binary.unlink()
        reason = copied.reload_fails()
        assert str(copied.binary) in reason and "No such file" in reason
    reinstall(copied)
    mended(copied)


@FITS_INTO_LIMITS
def test_no_memory(copied):
    with nothing_changes(copied):
        install(copied, f'#!/bin/sh\nulimit -v 3000\nexec {copied.original} "$@"\n')
        copied.reload_fails()
    reinstall(copied)
    mended(copied)


@FITS_INTO_LIMITS
def test_no_process_can_be_made(copied):
    """As TasksMax= would have it."""
    with nothing_changes(copied):
        install(copied, f'#!/bin/sh\nulimit -u 1\nulimit -n 20\nexec {copied.original} "$@"\n')
        if os.getuid() == 0:  # to whom the number of processes is no limit: descriptors are
            install(copied, f'#!/bin/sh\nulimit -n 8\nexec {copied.original} "$@"\n')
        copied.reload_fails()
    reinstall(copied)
    mended(copied)


@pytest.mark.parametrize("script", ["ready,end", "ready,go,end", "end", "failed:it is broken,end"])
def test_successor_dies_on_its_way(copied, script):
    with nothing_changes(copied):
        install_peer(copied, script)
        reason = copied.reload_fails()
        assert ("it is broken" if "failed" in script else "ended without a word") in reason
    reinstall(copied)
    mended(copied)


@pytest.mark.parametrize("script", ["ready,go,wait", "wait"])
def test_successor_hangs_on_its_way(copied, script):
    with nothing_changes(copied):
        install_peer(copied, script)
        assert f"within {TIMEOUT}" in copied.reload_fails()
    reinstall(copied)
    mended(copied)


@contextlib.contextmanager
def main_process_at_a_reload(service, upstream, prepare=""):
    """The successor is the main process by now and does not lead yet; its predecessor has a request."""
    service.binary = service.directory / "holdfastd"
    shutil.copy(manager.find_holdfastd(), service.binary)
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /]\nUpstream=app\n", gateway="DrainSec=20s")
    service.allow(".*")
    service.start_ready()
    service.expected_status = None
    old = service.pid
    install_peer(service, "ready,go,serving,lead,wait", prepare)
    with service.connect() as client, service.connect(1) as operator:
        client.request("GET", "/")
        app, _ = upstream.expect()
        operator.request("POST", "/v1/reload", host="holdfast")
        h1.eventually(lambda: service.pid != old)
        yield client, app


def test_told_to_stop_while_the_successor_is_to_lead(service, upstream):
    """As systemctl stop does: all are told, and what is left is told again when the main process has ended."""
    with main_process_at_a_reload(service, upstream) as (client, app):
        service.signal_all(signal.SIGTERM)
        service.wait()
        service.wait_for_line("reload failed")
        service.signal_all(signal.SIGTERM)
        assert client.is_quiet(0.3)
        app.respond(200, b"late")
        assert client.read_response().text == "late"
        service.wait_former()


def test_successor_that_accepts_drains_at_stop(service, upstream):
    """It has the time that any generation has, and not what a reload that fails leaves to it."""
    with main_process_at_a_reload(service, upstream, prepare="trap '' TERM") as (client, app):
        service.signal_all(signal.SIGTERM)
        assert client.is_quiet(6) and service.is_running()
        app.respond(200, b"late")
        assert client.read_response().text == "late"
        service.wait_former()
        assert service.is_running()
        service.signal(signal.SIGKILL)
        service.wait()


def test_successor_dies_when_it_is_to_lead(service, upstream):
    """systemd ends what is left of the unit, and starts nothing before: that does not take as long as a stop may."""
    with main_process_at_a_reload(service, upstream) as (client, app):
        service.signal(signal.SIGKILL)
        service.wait()
        service.wait_for_line("reload failed")
        service.signal_all(signal.SIGTERM)
        assert client.is_quiet(1)
        service.wait_former(5)
        app.close()


# --- at the wrong time --------------------------------------------------------------------------------------------


def test_two_at_once(copied):
    install(copied, f'#!/bin/sh\nsleep 0.5\nexec {copied.original} "$@"\n')
    results = []
    threads = [threading.Thread(target=lambda: results.append(copied.ctl("reload"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    refused, done = sorted(results, key=lambda r: r.returncode, reverse=True)
    assert (refused.returncode, done.returncode) == (1, 0)
    assert "refused" in refused.stderr and "under way" in refused.stderr


def test_told_to_stop_meanwhile(copied):
    install(copied, "#!/bin/sh\nexec sleep 1000\n")
    copied.allow(".*")
    results = []
    thread = threading.Thread(target=lambda: results.append(copied.ctl("reload")))
    thread.start()
    copied.wait_for("RELOADING=1")
    assert copied.stop() == 0
    thread.join(20)
    assert results[0].returncode == 1 and "told to stop" in results[0].stderr


def test_stopping_is_the_last_word(copied):
    """The reload that a stop has ended is not told as one after which all is as before."""
    install(copied, "#!/bin/sh\nexec sleep 1000\n")
    copied.allow(".*")
    with copied.connect() as client, copied.connect(1) as operator:
        client.send(b"GET /hello HTTP/1.1\r\n")
        operator.request("POST", "/v1/reload", host="holdfast")
        copied.wait_for("RELOADING=1")
        copied.signal(signal.SIGTERM)
        assert operator.read_response().status == 500
        client.send(b"Host: a\r\n\r\n")
        assert client.read_response().text == "hello"
    assert copied.wait() == 0
    messages = said(copied)
    assert (copied.pid, "READY=1") not in messages[index_of(messages, copied.pid, "STOPPING=1"):]


def test_while_starting(service):
    service.listen("http")
    service.listen("admin")
    service.configure(HELLO + "[Check db]\nConnect=unix:/nonexistent/db.sock\nTimeoutSec=1s\nRequired=no\n")
    service.allow(".*")
    service.start()
    h1.eventually(lambda: service.ctl("status").returncode == 0)
    result = service.ctl("reload")
    assert result.returncode == 1 and "still starting" in result.stderr
    service.wait_ready()


def test_while_draining(service, upstream):
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /]\nUpstream=app\n")
    service.start_ready()
    with service.connect() as connection:
        connection.request("GET", "/")
        app, _ = upstream.expect()
        service.signal(signal.SIGTERM)
        service.wait_for("STOPPING=1")
        result = service.ctl("reload")
        assert result.returncode == 1 and "draining" in result.stderr
        app.respond(200, b"late")
        assert connection.read_response().text == "late"
    assert service.wait() == 0


def test_not_over_tcp(service):
    service.listen("http")
    service.listen("admin", "tcp4")
    service.allow(".*")
    service.configure(HELLO)
    service.start_ready()
    assert service.admin("POST", "/v1/reload").status == 403
