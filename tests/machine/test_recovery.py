"""Ends that nobody asked for: a crash, a process that hangs, a configuration that is wrong."""

import signal

import service
from harness.events import match


def test_crash_refuses_no_connection(machine, loss_client):
    service.get(machine)
    with loss_client(machine, "--connections=16") as client:
        for number in range(1, 4):
            machine.systemctl("kill", "--kill-who=main", "--signal=SIGKILL", "holdfast.service")
            service.wait_ready(machine, generation=number)
    outcomes = client.report["outcomes"]
    assert client.report["requests"] > 100
    assert outcomes["refused"] == 0, client.summary()
    # What was in flight in the process is lost with it: at most one request of each connection, each time.
    assert client.report["lost"] <= 3 * 16, client.summary()
    assert machine.show("holdfast.socket", "ActiveState") == "active"
    # Each of the next generations says how its predecessor ended.
    assert len(machine.journal(match("predecessor-died"))) == 3


def test_watchdog_ends_a_process_that_hangs(machine):
    machine.drop_in("holdfast.service", "[Service]\nWatchdogSec=2s\n")
    service.get(machine)
    stuck = machine.main_pid()
    machine.run("kill", f"-{signal.SIGSTOP.value}", stuck)
    # A request that arrives meanwhile is answered by the next process.
    assert "Holdfast is running" in service.get(machine)
    service.wait_ready(machine, generation=1)
    assert machine.main_pid() != stuck
    text = "\n".join(record["MESSAGE"] for record in machine.journal("UNIT=holdfast.service"))
    assert "Watchdog timeout" in text


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
