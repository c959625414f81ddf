"""Who may do what over the admin socket, where systemd has made it and the service cannot see other users."""

import json

import pytest

import service
from harness.events import match

CONFIG = """
[Upstream app]
Target=127.0.0.1:9000

[Route /app/*rest]
Upstream=app
"""


@pytest.fixture
def wide_open(machine):
    """Everybody may connect to the admin socket, as an operator might have it for monitoring. Two users: carol is a member."""
    machine.run("useradd", "--system", "--groups=holdfast", "carol")
    machine.run("useradd", "--system", "dave")
    machine.drop_in("holdfast-admin.socket", "[Socket]\nSocketMode=0666\n")
    service.configure(machine, CONFIG)
    machine.systemctl("stop", "holdfast.service")
    machine.systemctl("restart", "holdfast-admin.socket")
    machine.systemctl("start", "holdfast.service")
    return machine


def ctl(machine, user, *arguments):
    return machine.run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "holdfastctl", *arguments, check=False)


def users(machine, *names):
    return {name: machine.output("id", "-u", name) for name in names}


def test_who_may_change(wide_open):
    machine = wide_open
    before = machine.main_pid()
    for user in ("root", "carol", "dave"):
        told = ctl(machine, user, "--json", "status")
        assert told.returncode == 0 and json.loads(told.stdout)["state"] == "running", told.stderr
    assert ctl(machine, "carol", "pause", "app").returncode == 0
    assert ctl(machine, "carol", "resume", "app").returncode == 0
    for refused in (("pause", "app"), ("reload",), ("target", "app", "127.0.0.1:9000", "down")):
        done = ctl(machine, "dave", *refused)
        assert done.returncode == 1 and "only root, the gateway's own user" in done.stderr, done
    assert machine.main_pid() == before
    assert ctl(machine, "carol", "reload").returncode == 0
    # By the successor, which inherits the sandbox; and as ExecReload= does it, as the service's own user.
    assert ctl(machine, "dave", "reload").returncode == 1
    assert ctl(machine, "carol", "pause", "app").returncode == 0
    machine.systemctl("reload", "holdfast.service")
    assert ctl(machine, "root", "resume", "app").returncode == 0


def test_it_is_recorded(wide_open):
    machine = wide_open
    uid = users(machine, "carol", "dave", "holdfast")
    ctl(machine, "root", "pause", "app")
    ctl(machine, "carol", "resume", "app")
    ctl(machine, "dave", "pause", "app")
    machine.systemctl("reload", "holdfast.service")
    machine.wait_for_record(match("operator"), "HOLDFAST_VERB=reload")
    records = machine.journal(match("operator"))
    # PrivateUsers=: carol and dave have no number in there.
    assert [(record["HOLDFAST_VERB"], record["HOLDFAST_OPERATOR_UID"]) for record in records] == [
        ("pause", "0"), ("resume", "65534"), ("reload", uid["holdfast"])]
    (refused,) = machine.journal(match("operator-refused"))
    assert refused["HOLDFAST_OPERATOR_UID"] == "65534" and refused["HOLDFAST_PATH"] == "/v1/upstreams/pause"

    machine.drop_in("holdfast.service", "[Service]\nPrivateUsers=no\n")
    machine.systemctl("restart", "holdfast.service")
    ctl(machine, "carol", "pause", "app")
    assert ctl(machine, "dave", "resume", "app").returncode == 1
    assert machine.journal(match("operator"))[-1]["HOLDFAST_OPERATOR_UID"] == uid["carol"]
    assert machine.journal(match("operator-refused"))[-1]["HOLDFAST_OPERATOR_UID"] == uid["dave"]
