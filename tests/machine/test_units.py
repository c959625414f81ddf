"""Targets that are units of systemd: what is known of their state, and apps that are started by their first request."""

import json
import time
from pathlib import Path

import pytest

import service

PYAPP = Path(__file__).parents[1] / "apps"
GATE = "/run/app-gate"  # while it is there, the app does not get further than its start

UNIT = f"""
[Service]
Type=notify
ExecStartPre=/bin/sh -c 'while [ -e {GATE} ]; do sleep 0.05; done'
ExecStart=/usr/lib/holdfast-tests/pyapp.py --listen=unix:/run/app/http.sock
RuntimeDirectory=app
UMask=0000
"""

CONFIG = """
[Upstream app]
Target=unix:{socket}
Unit={unit}
HoldSec=20s

[Route /*rest]
Upstream=app
"""


@pytest.fixture
def app(machine):
    """app.service is installed, and is the gateway's only target; the gateway runs."""
    machine.copy_in(PYAPP / "pyapp.py", "/usr/lib/holdfast-tests/pyapp.py")
    machine.write("/etc/systemd/system/app.service", UNIT)
    machine.systemctl("daemon-reload")
    configure(machine, "/run/app/http.sock", "app.service")
    machine.systemctl("start", "holdfast.service")
    return machine


def configure(machine, socket, unit):
    machine.write(service.MAIN_CONFIG, "[Listener http]\n")
    service.configure(machine, CONFIG.format(socket=socket, unit=unit))


def unit_state(machine):
    [upstream] = json.loads(machine.output("holdfastctl", "upstreams", "--json"))["upstreams"]
    [target] = upstream["targets"]
    return target["unit"]["state"]


def wait_for_state(machine, state, timeout=10):
    deadline = time.monotonic() + timeout
    while (now := unit_state(machine)) != state:
        assert time.monotonic() < deadline, f"it is {now}, not {state}"
        time.sleep(0.05)


def test_restart_and_failure_are_seen(app):
    wait_for_state(app, "inactive")
    app.systemctl("start", "app.service")
    wait_for_state(app, "active")
    assert "hello" in service.get(app)

    app.write(GATE, "")
    app.systemctl("restart", "--no-block", "app.service")
    wait_for_state(app, "activating")
    app.run("rm", GATE)
    wait_for_state(app, "active")
    assert "hello" in service.get(app)

    app.systemctl("kill", "--signal=SIGKILL", "app.service")
    wait_for_state(app, "failed")
    app.systemctl("reset-failed", "app.service")
    wait_for_state(app, "inactive")


def test_systemd_is_asked_again(app):
    """A reload of systemd, its executing itself anew, a reload of the gateway, and an end of the bus."""
    app.systemctl("start", "app.service")
    wait_for_state(app, "active")
    for disturbance in ("daemon-reload", "daemon-reexec", "reload holdfast.service", "restart dbus.service"):
        app.systemctl(*disturbance.split())
        app.write(GATE, "")
        app.systemctl("restart", "--no-block", "app.service")
        wait_for_state(app, "activating")
        app.run("rm", GATE)
        wait_for_state(app, "active")


def test_app_is_started_by_its_first_request(machine):
    """By systemd, which holds the app's socket; a slow start is a wait and nothing more, at a restart too."""
    machine.copy_in(PYAPP / "pyapp.py", "/usr/lib/holdfast-tests/pyapp.py")
    for unit in ("pyapp.service", "pyapp.socket"):
        machine.copy_in(PYAPP / unit, f"/etc/systemd/system/{unit}", mode=0o644)
    machine.drop_in("pyapp.service", "[Service]\nExecStartPre=/bin/sleep 2\n")
    machine.systemctl("start", "pyapp.socket")
    configure(machine, "/run/pyapp.sock", "pyapp.service")
    machine.systemctl("start", "holdfast.service")
    wait_for_state(machine, "inactive")

    began = time.monotonic()
    assert "hello" in service.get(machine)
    assert time.monotonic() - began > 1.5
    wait_for_state(machine, "active")

    restart = machine.start("systemctl", "restart", "pyapp.service")
    answers = 0
    while restart.poll() is None or answers < 2:
        assert "hello" in service.get(machine)
        answers += 1
    assert restart.wait() == 0
