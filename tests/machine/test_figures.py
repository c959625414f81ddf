"""What clients that never retry see of reloads, restarts, upgrades and crashes, on a real systemd: one test for each row
of the table of promises.

The counts are small here, so that a run of all tests stays short; `tests/machine/figures` runs the same rows with the full
counts and prints the table. A row is (event, lost, forced reconnects, stall)."""

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import service
from conftest import install
from harness import package
from harness.events import match
from harness.table import FULL, count, milliseconds, print_table

BASELINE = 10 if FULL else 3  # seconds
CLIENTS = Path(__file__).with_name("harness") / "tls_clients.py"
HTTP2 = Path(__file__).parents[1] / "system"


@pytest.fixture(scope="session")
def table():
    rows = []
    yield rows
    print_table(("event", "lost", "forced reconnects", "stall"), rows)


def reconnects(report):
    return report["forced_reconnects_announced"] + report["forced_reconnects_unannounced"]


def assert_nothing_noticed(client):
    assert client.report["lost"] == 0, client.summary()
    assert reconnects(client.report) == 0, client.summary()
    assert client.report["connects"] == client.report["connections"], client.summary()


def assert_systemd_is_content(machine, restarts=0):
    assert machine.show("holdfast.service", "ActiveState") == "active"
    assert machine.show("holdfast.service", "Result") == "success"
    assert machine.show("holdfast.service", "NRestarts") == str(restarts)
    text = machine.output("journalctl", "--unit=init.scope", "--unit=holdfast.service", "_PID=1")
    for complaint in ("reception only permitted", "not our child", "New main PID", "is not a child"):
        assert complaint not in text, text


def run_reloads(machine, n, pause):
    for _ in range(n):
        machine.systemctl("reload", "holdfast.service")
        time.sleep(pause)


@pytest.mark.parametrize("think", [None, "0-50"], ids=["closed-loop", "think-time"])
def test_reloads(machine, loss_client, table, think):
    n = count(200, 10)
    options = ["--connections=64", "--method=POST", "--body=100"] + ([f"--think={think}"] if think else [])
    service.get(machine)
    with loss_client(machine, *options) as before:
        time.sleep(BASELINE)
    with loss_client(machine, *options, "--duration=300") as client:
        run_reloads(machine, n, 0.1)
    assert_nothing_noticed(client)
    assert_systemd_is_content(machine)
    assert len(machine.journal(match("replaced"))) == n
    steady, disturbed = before.report["latency_us"]["p99.9"], client.report["latency_us"]["p99.9"]
    table.append((f"{n} reloads, 64 clients, {'closed loop' if not think else 'think time 0 to 50 ms'}",
                  str(client.report["lost"]), str(reconnects(client.report)),
                  f"p99.9 {milliseconds(disturbed)}, without reloads {milliseconds(steady)}; "
                  f"longest {milliseconds(client.report['stall_us'])}"))
    # Each reload runs three programs beside the load, on what may be two processors: the bound has a floor.
    assert disturbed <= max(3 * steady, 30_000), (steady, disturbed)


def test_restarts(machine, loss_client, table):
    n = count(50, 5)
    service.get(machine)
    with loss_client(machine, "--connections=64", "--method=POST", "--body=100", "--duration=300") as client:
        for _ in range(n):
            machine.systemctl("restart", "holdfast.service")
            time.sleep(0.1)
    assert_nothing_noticed(client)
    assert_systemd_is_content(machine)
    assert len(machine.journal(match("parked"))) == n and len(machine.journal(match("taken-back"))) == n
    drains = [int(record["HOLDFAST_DURATION_USEC"]) for record in machine.journal(match("drain-end"))]
    beyond = client.report["stall_us"] - max(drains)
    table.append((f"{n} restarts, 64 clients, closed loop", "0", "0",
                  f"longest {milliseconds(client.report['stall_us'])}, of it drain {milliseconds(max(drains))}"))
    assert beyond < 1_500_000, beyond  # what it should be, 150 ms, is no matter of a shared machine


def test_upgrades(machine, deb, directory, loss_client, table):
    n = count(20, 2)
    versions = [package.with_version(deb, f"9.{i}.0", directory) for i in range(n)]
    service.get(machine)
    socket_since = machine.show("holdfast.socket", "ActiveEnterTimestampMonotonic")
    started = machine.show("holdfast.service", "ActiveEnterTimestampMonotonic")
    pids = [machine.main_pid()]
    with loss_client(machine, "--connections=64", "--method=POST", "--body=100", "--duration=300") as client:
        for version in versions:
            install(machine, version)
            pids.append(machine.main_pid())
    assert_nothing_noticed(client)
    assert_systemd_is_content(machine)
    assert len(set(pids)) == n + 1
    assert machine.show("holdfast.socket", "ActiveEnterTimestampMonotonic") == socket_since
    assert machine.show("holdfast.service", "ActiveEnterTimestampMonotonic") == started, "it was stopped and started"
    assert not machine.journal(match("drain-begin")) or all(
        "replaced" in record["MESSAGE"] for record in machine.journal(match("drain-begin")))
    table.append((f"{n} .deb upgrades, 64 clients, closed loop", "0", "0",
                  f"longest {milliseconds(client.report['stall_us'])}"))


def test_kills(machine, loss_client, table):
    """Only what was in flight in the process is lost; nobody is refused; the next generation says how much it was."""
    n = count(50, 3)
    service.get(machine)
    killed = 0
    with loss_client(machine, "--connections=64", "--think=0-50", "--method=POST", "--body=100", "--duration=300") as client:
        for _ in range(n):
            before = machine.main_pid()
            machine.run("kill", "-KILL", str(before))
            killed += 1
            machine.wait_for_record(match("ready"), count=killed + 1)
            time.sleep(0.2)
    report = client.report
    died = machine.journal(match("predecessor-died"))
    assert len(died) == n
    told = sum(int(record["HOLDFAST_IN_FLIGHT"]) for record in died)
    assert all(int(record["HOLDFAST_CONNECTIONS"]) <= 64 for record in died)
    # A request that was sent and not read yet is lost as well: at most one for each connection and kill.
    assert report["lost"] <= 64 * n, client.summary()
    assert report["requests"] > 20 * report["lost"] or report["lost"] < 64 * n
    for outcome in ("connect_refused", "connect_failed", "refused"):
        assert not report["outcomes"].get(outcome), client.summary()
    assert machine.show("holdfast.socket", "ActiveState") == "active"
    assert_systemd_is_content(machine, restarts=n)
    table.append((f"{n} SIGKILLs, 64 clients, think time 0 to 50 ms",
                  f"{report['lost']} (the journal tells of {told})", str(reconnects(report)),
                  f"longest {milliseconds(report['stall_us'])}"))


def test_ten_thousand_idle_connections(machine, loss_client, table):
    """One request on each before, then a reload and a restart, then one request on each."""
    n = 10_000
    service.configure(machine, "[Gateway]\nMaxConnections=15000\n")  # however few descriptors a machine here may have
    for what, command in (("a reload", "reload"), ("a restart", "restart")):
        service.get(machine)
        with loss_client(machine, "--method=POST", "--body=10", idle=n) as client:
            machine.systemctl(command, "holdfast.service")
            client.ask()
        idle = client.report["idle"]
        assert client.report["lost"] == 0, client.summary()
        assert (idle["still_open"], idle["answered_reused"]) == (n, n), client.report
        if command == "reload":
            took = int(machine.journal(match("drain-end"))[-1]["HOLDFAST_DURATION_USEC"])
            assert took < 1_000_000
        else:
            parked = machine.journal(match("parked"))[-1]
            assert parked["HOLDFAST_MOVED"] == str(n) and parked["HOLDFAST_NOT_MOVED"] == "0"
            took = int(machine.journal(match("drain-end"))[-1]["HOLDFAST_DURATION_USEC"])
        table.append((f"10,000 idle connections through {what}", "0", "0", f"hand-over of all {milliseconds(took)}"))


def test_tls_and_http2(machine, table, tmp_path):
    """TLS over HTTP/1.1 and HTTP/2 by clients of our own that never retry, with uploads and downloads that take longer
    than a reload, and h2load."""
    n = count(50, 4)
    certificate = tmp_path / "tls"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    f"{certificate}.key", "-out", f"{certificate}.crt"], check=True, capture_output=True)
    for name in ("crt", "key"):
        machine.copy_in(f"{certificate}.{name}", f"/etc/holdfast/tls.{name}", mode=0o644)
    machine.path("/srv/www").mkdir(parents=True, exist_ok=True)
    machine.path("/srv/www/large").write_bytes(os.urandom(1 << 20) * 16)
    service.configure(machine, "[Gateway]\nMaxGenerations=64\nDrainSec=20s\nMaxBodySize=64M\n"
                               "[Listener https]\nProtocol=https\nTLSCertificate=/etc/holdfast/tls.crt\n"
                               "TLSKey=/etc/holdfast/tls.key\n[Route /files/*path]\nStatic=/srv/www\n"
                               '[Route /hello]\nRespond=200 "hello"\n')
    machine.systemctl("start", "holdfast-https.socket")
    machine.systemctl("start", "holdfast.service")
    inside = ["nsenter", f"--net=/proc/{machine.leader}/ns/net"]
    environment = dict(os.environ, PYTHONPATH=str(HTTP2))
    with contextlib.ExitStack() as stack:
        clients = subprocess.Popen([*inside, "/usr/bin/python3", str(CLIENTS), f"{certificate}.crt"], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        stack.callback(clients.kill)
        assert clients.stdout.readline() == "running\n"
        load = subprocess.Popen([*inside, "h2load", "--clients=8", "--max-concurrent-streams=4",
                                 f"--duration={count(40, 4)}", "https://localhost/hello"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        stack.callback(load.kill)
        for _ in range(n):
            machine.systemctl("reload", "holdfast.service")
            time.sleep(0.3)
        out, _ = clients.communicate("end\n", timeout=120)
        h2load, _ = load.communicate(timeout=120)
    counts = dict((key, int(value)) for key, value in re.findall(r"(\w+)=(\d+)", out.splitlines()[-1]))
    assert counts["lost"] == 0, out
    assert counts["unannounced"] == 0, out
    assert counts["requests"] > 50 and counts["uploads"] > 0 and counts["downloads"] > 0 and counts["streams"] > 10, out
    # It, too, counts what was sent and not answered.
    failed = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", h2load)
    assert failed, h2load
    assert_systemd_is_content(machine)
    cut = sum(int(record["HOLDFAST_CUT"]) for record in machine.journal(match("drain-end")))
    assert cut == 0
    table.append((f"{n} reloads, TLS HTTP/1.1 and HTTP/2, uploads and downloads that span them", str(counts["lost"]),
                  f"{counts['announced']} announced, {counts['unannounced']} not",
                  f"{counts['requests']} requests, {counts['streams']} streams, {counts['uploads']} uploads, "
                  f"{counts['downloads']} downloads; h2load {failed[1]} done, {failed[2]} failed"))
