"""What happens to running requests at a stop, on a real systemd with its real timeouts."""

import time

import service
from harness.events import match


def test_running_requests_are_finished(machine):
    service.configure(machine, service.APP_CONFIG)
    app = service.start_app(machine)
    machine.systemctl("start", "holdfast.service")
    with service.held_request(machine, app) as curl:
        machine.systemctl("--no-block", "restart", "holdfast.service")
        machine.wait_for_record(match("drain-begin"))
        # A draining service is seen as such from outside.
        assert machine.show("holdfast.service", "ActiveState") == "deactivating"
        service.release(app)
        out, _ = curl.communicate(timeout=20)
    assert "200" in out.splitlines()[0] and out.endswith("released\n")
    service.wait_ready(machine, generation=1)
    end = machine.journal(match("drain-end"))[0]
    assert end["HOLDFAST_CUT"] == "0"
    assert not machine.journal(match("request-cut"))
    app.kill()


def test_new_requests_wait_for_the_next_generation(machine):
    service.configure(machine, service.APP_CONFIG)
    app = service.start_app(machine)
    machine.systemctl("start", "holdfast.service")
    with service.held_request(machine, app) as held:
        machine.systemctl("--no-block", "restart", "holdfast.service")
        machine.wait_for_record(match("drain-begin"))
        late = machine.start("curl", "--silent", "--show-error", "--fail", "--max-time", "30", "http://localhost/")
        service.release(app)
        assert "released" in held.communicate(timeout=20)[0]
        out, err = late.communicate(timeout=30)
    assert late.returncode == 0 and "Holdfast is running" in out, err
    app.kill()


def test_cut_at_the_deadline(machine):
    """TimeoutStopSec= is read from systemd; what still runs shortly before it is cut, with a record, and the service
    ends by itself: systemd never has to kill it."""
    service.configure(machine, service.APP_CONFIG)
    machine.drop_in("holdfast.service", "[Service]\nTimeoutStopSec=3s\n")
    app = service.start_app(machine)
    machine.systemctl("start", "holdfast.service")
    with service.held_request(machine, app, path="/app/held?token=secret") as curl:
        began = time.monotonic()
        machine.systemctl("stop", "holdfast.socket", "holdfast.service")
        took = time.monotonic() - began
        curl.communicate(timeout=10)
    assert 2 <= took < 3.5, took
    assert machine.show("holdfast.service", "Result") == "success"
    (cut,) = machine.journal(match("request-cut"))
    assert cut["HOLDFAST_METHOD"] == "GET"
    assert cut["HOLDFAST_PATH"].startswith("/app/held")
    assert cut["HOLDFAST_ROUTE"] == "/app/*rest"
    assert cut["HOLDFAST_REQUEST_ID"]
    assert int(cut["HOLDFAST_AGE_USEC"]) >= 2_000_000
    assert machine.journal(match("drain-end"))[0]["HOLDFAST_CUT"] == "1"
    app.kill()


def test_drain_longer_than_the_timeout_extends_it(machine):
    service.configure(machine, "[Gateway]\nDrainSec=20s\n" + service.APP_CONFIG)
    machine.drop_in("holdfast.service", "[Service]\nTimeoutStopSec=2s\n")
    app = service.start_app(machine)
    machine.systemctl("start", "holdfast.service")
    with service.held_request(machine, app) as curl:
        machine.systemctl("--no-block", "stop", "holdfast.socket", "holdfast.service")
        machine.wait_for_record(match("drain-begin"))
        began = time.monotonic()
        # Progress is told while requests run; the second such record is well after systemd's own limit.
        machine.wait_for_record(match("drain-progress"), where=lambda record: time.monotonic() - began > 2.5)
        assert machine.show("holdfast.service", "ActiveState") == "deactivating"
        service.release(app)
        assert "released" in curl.communicate(timeout=20)[0]
    app.kill()


def test_second_signal_ends_it_at_once(machine):
    service.configure(machine, service.APP_CONFIG)
    app = service.start_app(machine)
    machine.systemctl("start", "holdfast.service")
    with service.held_request(machine, app):
        machine.systemctl("--no-block", "stop", "holdfast.socket", "holdfast-admin.socket", "holdfast.service")
        machine.wait_for_record(match("drain-begin"))
        began = time.monotonic()
        machine.systemctl("kill", "--kill-who=main", "--signal=SIGTERM", "holdfast.service")
        machine.systemctl("stop", "holdfast.service")  # waits for the end
        assert time.monotonic() - began < 5
    app.kill()


def test_stop_under_load_keeps_within_the_timeout(machine, loss_client):
    service.get(machine)
    machine.drop_in("holdfast.service", "[Service]\nTimeoutStopSec=5s\n")
    with loss_client(machine, "--connections=16"):
        began = time.monotonic()
        machine.systemctl("stop", "holdfast.socket", "holdfast-admin.socket", "holdfast.service")
        took = time.monotonic() - began
    assert took < 5
    assert machine.show("holdfast.service", "Result") == "success"
    assert not machine.journal(match("request-cut"))
