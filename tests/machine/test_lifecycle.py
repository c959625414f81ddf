"""start, stop and restart, and what systemctl shows."""

import re
import time

import service
from harness.events import match


def test_start_stop_restart(machine):
    machine.systemctl("start", "holdfast.service")
    first = machine.main_pid()
    assert first > 0
    machine.systemctl("restart", "holdfast.service")
    second = machine.main_pid()
    assert second not in (0, first)
    machine.systemctl("stop", "holdfast.socket", "holdfast-admin.socket", "holdfast.service")
    assert machine.show("holdfast.service", "ActiveState") == "inactive"
    assert machine.show("holdfast.service", "Result") == "success"
    assert machine.show("holdfast.service", "ExecMainStatus") == "0"
    assert machine.run("curl", "--silent", "http://localhost/", check=False).returncode == 7  # refused


def test_generations_are_counted_across_restarts(machine):
    machine.systemctl("start", "holdfast.service")
    machine.systemctl("restart", "holdfast.service")
    machine.systemctl("restart", "holdfast.service")
    numbers = [int(record["HOLDFAST_GENERATION"]) for record in machine.journal(match("ready"))]
    assert numbers == [1, 2, 3]


def test_status_tells_what_it_is_doing(machine):
    service.get(machine)
    text = machine.show("holdfast.service", "StatusText")
    assert re.search(r"\w", text), "STATUS= was never sent"
    assert f'Status: "{text}"' in machine.output("systemctl", "status", "--lines=0", "holdfast.service")


def test_idle_restart_is_quick(machine):
    """Nothing to finish: a restart is not slowed by a deadline."""
    machine.systemctl("start", "holdfast.service")
    began = time.monotonic()
    machine.systemctl("restart", "holdfast.service")
    assert time.monotonic() - began < 5


def test_unprivileged_and_confined(machine):
    machine.systemctl("start", "holdfast.service")
    status = machine.output("cat", f"/proc/{machine.main_pid()}/status")
    uid = machine.output("id", "-u", "holdfast")
    assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M)
    assert re.search(r"^CapBnd:\s+0+$", status, re.M)
    assert re.search(r"^CapEff:\s+0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    limits = machine.output("cat", f"/proc/{machine.main_pid()}/limits")
    soft, hard = re.search(r"^Max open files\s+(\d+)\s+(\d+)", limits, re.M).groups()
    assert 0 < int(hard) - int(soft) <= 64  # what is set aside for the admin API


def test_restart_under_load_loses_nothing(machine, loss_client):
    service.get(machine)
    with loss_client(machine, "--connections=16") as client:
        for _ in range(3):
            machine.systemctl("restart", "holdfast.service")
    assert client.report["requests"] > 100
    assert client.report["lost"] == 0, client.summary()
    assert machine.show("holdfast.socket", "NRefused") in ("", "0")
