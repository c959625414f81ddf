"""What the service manager is told, and when."""

import signal
import time

import pytest

import h1


def test_ready_then_status(gateway):
    messages = gateway.notifications.snapshot()
    ready = next(m for m in messages if "READY=1" in m)
    assert all("READY=1" not in m for m in messages if m is not ready)
    h1.eventually(lambda: any(line.startswith("STATUS=serving: ") for m in gateway.notifications.snapshot() for line in m.lines))


def test_status_at_most_once_a_second(gateway):
    """Under traffic, when it changes all the time."""
    until = time.monotonic() + 3.2
    with gateway.connect() as client:
        while time.monotonic() < until:
            assert client.get("/hello").status == 200
    times = [m.at for m in gateway.notifications.snapshot() if any(line.startswith("STATUS=") for line in m.lines)]
    assert len(times) >= 3
    assert all(b - a > 0.9 for a, b in zip(times, times[1:]))


def test_the_watchdog_is_fed_in_time(service):
    service.listen("http")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    service.start(watchdog=1)
    service.wait_ready()
    time.sleep(3)
    times = [m.at for m in service.notifications.snapshot() if "WATCHDOG=1" in m]
    assert len(times) >= 3
    assert all(b - a < 1 for a, b in zip(times, times[1:]))


@pytest.mark.hooks
def test_a_wedged_worker_starves_the_watchdog(service):
    """The ping proves the path that requests take: it stops when one worker of several does."""
    service.listen("http")
    service.listen("admin")
    service.configure('[Route /hello]\nRespond=200 "hello"\n', gateway="Threads=2\nDrainSec=1s")
    service.start(watchdog=1)
    service.wait_ready()
    service.wait_for("WATCHDOG=1", timeout=2)
    service.allow("critical", "alert", "crit", "warning", "error")
    assert service.admin("POST", "/v1/test/wedge?worker=1").status == 200
    assert service.wait_for_line("worker 1", timeout=5)
    time.sleep(0.6)  # a ping that was decided before
    service.assert_silent("WATCHDOG=1", 2)
    service.signal(signal.SIGTERM)
    service.expected_status = None
    service.wait(timeout=10)


def test_stopping_is_said_first_and_the_end_is_clean(gateway):
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_for("STOPPING=1", timeout=2)
    assert gateway.wait() == 0
    assert gateway.wait_for_line("stopped: ", timeout=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(service, upstream, number):
    service.listen("http")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /*rest]\nUpstream=app\n", gateway="Threads=1\nDrainSec=1h")
    service.allow("warning: cut", "warning: drained")
    service.start_ready()
    with service.connect() as client:
        client.request("GET", "/slow")
        app = upstream.accept()
        app.read_request()
        service.signal(number)
        service.wait_for("STOPPING=1")
        service.signal(number)
        assert service.wait(timeout=5) == 0
    assert "cut at the deadline: GET /slow" in service.text()
