"""Ends that nobody asked for: a crash, a process that hangs, a configuration that is wrong."""

import contextlib

import pytest

import service
from harness.events import match


@contextlib.contextmanager
def nobody_is_refused(machine, client, connections, deaths):
    """The sockets stay; what is lost is at most one request of each connection, each time; each of the next generations
    says how its predecessor ended."""
    since = machine.show("holdfast.socket", "ActiveEnterTimestampMonotonic")
    with client:
        yield
    outcomes = client.report["outcomes"]
    assert client.report["requests"] > 100
    assert not any(outcomes.get(name) for name in ("refused", "connect_refused", "connect_failed")), client.summary()
    assert client.report["lost"] <= deaths * connections, client.summary()
    assert machine.show("holdfast.socket", "ActiveState") == "active"
    assert machine.show("holdfast.socket", "ActiveEnterTimestampMonotonic") == since
    died = machine.journal(match("predecessor-died"))
    assert [int(record["HOLDFAST_PREDECESSOR"]) for record in died] == list(range(1, deaths + 1))
    for record in died:
        assert int(record["HOLDFAST_IN_FLIGHT"]) <= int(record["HOLDFAST_CONNECTIONS"]) <= connections
    assert sum(int(record["HOLDFAST_IN_FLIGHT"]) for record in died) <= client.report["lost"], client.summary()


def test_crash_refuses_no_connection(machine, loss_client):
    service.get(machine)
    with nobody_is_refused(machine, loss_client(machine, "--connections=16"), 16, deaths=3):
        for number in range(1, 4):
            machine.systemctl("kill", "--kill-who=main", "--signal=SIGKILL", "holdfast.service")
            service.wait_ready(machine, generation=number)
    assert machine.show("holdfast.service", "NRestarts") == "3"


def test_watchdog_refuses_no_connection(machine, loss_client):
    machine.drop_in("holdfast.service", "[Service]\nWatchdogSec=1s\n")
    service.get(machine)
    with nobody_is_refused(machine, loss_client(machine, "--connections=16"), 16, deaths=1):
        machine.run("kill", "-STOP", str(machine.main_pid()))
        service.wait_ready(machine, generation=1)


@contextlib.contextmanager
def requests_in_flight(machine, n):
    """So many requests that an app holds."""
    service.configure(machine, service.APP_CONFIG)
    app = service.start_app(machine)
    with contextlib.ExitStack() as stack:
        stack.callback(app.kill)
        for _ in range(n):
            stack.enter_context(service.held_request(machine, app))
        yield


@pytest.mark.parametrize("way", ["KILL", "SEGV", "watchdog"])
def test_death_names_what_was_in_flight(machine, way):
    machine.drop_in("holdfast.service", "[Service]\nWatchdogSec=2s\nLimitCORE=0\n")
    with requests_in_flight(machine, 3):
        dead = machine.main_pid()
        machine.run("kill", "-STOP" if way == "watchdog" else f"-{way}", str(dead))
        # Its threads hear of that one by one, and each could still take a connection.
        running = f"cat /proc/{dead}/task/*/status 2>/dev/null | grep -q '^State:[[:space:]][RSD]'"
        machine.run("timeout", "10", "sh", "-c", f"while {running}; do :; done")
        # A request that arrives meanwhile is answered by the next process.
        assert "Holdfast is running" in service.get(machine)
    service.wait_ready(machine, generation=1)
    (died,) = machine.journal(match("predecessor-died"))
    assert died["MESSAGE"] == (f"generation 1 (PID {dead}) ended without a word (a crash or a kill): "
                               "3 requests in flight on 3 connections")
    assert (died["HOLDFAST_GENERATION"], died["HOLDFAST_PREDECESSOR"]) == ("2", "1")
    assert (died["HOLDFAST_IN_FLIGHT"], died["HOLDFAST_CONNECTIONS"]) == ("3", "3")
    assert machine.output("ls", "/var/lib/holdfast/generations") == "2"
    text = "\n".join(record["MESSAGE"] for record in machine.journal("UNIT=holdfast.service"))
    assert ("Watchdog timeout" in text) == (way == "watchdog")


def test_orderly_ends_leave_no_record(machine):
    service.get(machine)
    for command, left in (("reload", "2"), ("restart", "3"), ("stop", "")):
        machine.systemctl(command, "holdfast.service")
        if command == "reload":
            machine.wait_for_record(match("predecessor-ended"))
        assert machine.output("ls", "/var/lib/holdfast/generations") == left
    assert not machine.journal(match("predecessor-died"))


def test_power_failure(machine):
    """The generation that ended with the system is told from one that crashed."""
    service.get(machine)
    machine.run("sync")
    machine.fail()
    machine.boot()
    service.get(machine)
    died = machine.wait_for_record(match("predecessor-died"))
    assert died["HOLDFAST_PREDECESSOR"] == "1"
    assert "a power failure or a reset: the system has been started since" in died["MESSAGE"]


def test_watchdog_is_fed_while_idle(machine):
    machine.drop_in("holdfast.service", "[Service]\nWatchdogSec=1s\n")
    machine.systemctl("start", "holdfast.service")
    first = machine.show("holdfast.service", "WatchdogTimestampMonotonic")
    pid = machine.main_pid()
    # Four pings: more time than the watchdog allows.
    for _ in range(4):
        first = wait_for_change(machine, "holdfast.service", "WatchdogTimestampMonotonic", first)
    assert machine.main_pid() == pid


def wait_for_change(machine, unit, property, value):
    """systemd announces no change of this property, so it is asked again and again; by one process."""
    script = ('for i in $(seq 100); do v=$(systemctl show --value -p "$1" "$0"); [ "$v" = "$2" ] || break;'
              ' sleep 0.1; done; echo "$v"')
    changed = machine.output("sh", "-c", script, unit, property, value)
    assert changed != value, f"{property} of {unit} does not change"
    return changed


def test_wrong_configuration_is_tried_again_slowly(machine):
    """The start fails, with the reasons; then there is a try in three seconds, until the configuration is mended."""
    service.configure(machine, "[Gateway]\nThreads=many\nColour=blue\n")
    assert machine.systemctl("start", "holdfast.service", check=False).returncode != 0
    assert machine.show("holdfast.service", "ExecMainStatus") == "78"
    assert machine.show("holdfast.service", "SubState") == "auto-restart"
    records = machine.journal(match("config-error"))
    assert {record.get("HOLDFAST_KEY") for record in records} == {"Threads", "Colour"}
    for record in records:
        assert record["HOLDFAST_FILE"] == "/etc/holdfast/conf.d/test.conf"
        assert record["HOLDFAST_LINE"] in ("2", "3")
    machine.wait_for_record(match("config-error"), count=4)
    tries = [int(record["__REALTIME_TIMESTAMP"]) for record in machine.journal(match("config-error"))][::2]
    assert tries[1] - tries[0] >= 2_000_000
    machine.path("/etc/holdfast/conf.d/test.conf").unlink()
    service.wait_ready(machine)


def test_waiting_client_survives_a_wrong_configuration(machine):
    """A connection that waits makes systemd start the service: not in a tight loop, and the mended configuration is
    taken up without another command."""
    service.configure(machine, "[Gateway]\nThreads=many\n")
    curl = machine.start("curl", "--silent", "--show-error", "--fail", "--max-time", "60", "http://localhost/")
    machine.wait_for_record(match("config-error"), count=2)
    tries = [int(record["__REALTIME_TIMESTAMP"]) for record in machine.journal(match("config-error"))]
    assert tries[1] - tries[0] >= 2_000_000
    machine.path("/etc/holdfast/conf.d/test.conf").unlink()
    out, err = curl.communicate(timeout=30)
    assert curl.returncode == 0 and "Holdfast is running" in out, err


def test_listener_without_descriptor_names_both_sides(machine):
    service.configure(machine, "[Listener other]\nProtocol=http\n")
    assert machine.systemctl("start", "holdfast.service", check=False).returncode != 0
    assert machine.show("holdfast.service", "ExecMainStatus") == "78"
    (record,) = machine.journal(match("descriptor-error"))
    assert '"other"' in record["MESSAGE"] and "socket unit" in record["MESSAGE"]


def test_required_check_is_waited_for(machine):
    """A dependency that comes late: the service is starting until it answers, and then ready."""
    service.configure(machine, "[Check app]\nConnect=127.0.0.1:9000\nTimeoutSec=30s\n")
    machine.systemctl("--no-block", "start", "holdfast.service")
    machine.wait_for_record(match("start"))
    assert machine.show("holdfast.service", "ActiveState") == "activating"
    app = service.start_app(machine)
    service.wait_ready(machine)
    assert machine.journal(match("check-passed"))
    app.kill()


def test_required_check_that_fails(machine):
    service.configure(machine, "[Check app]\nConnect=127.0.0.1:9000\nTimeoutSec=1s\n")
    machine.drop_in("holdfast.service", "[Service]\nRestart=no\n")
    assert machine.systemctl("start", "holdfast.service", check=False).returncode != 0
    (record,) = machine.journal(match("check-failed"))
    assert record["HOLDFAST_CHECK"] == "app"
    assert not machine.journal(match("ready"))
