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
    times = [m.at for m in service.wait_for_several("WATCHDOG=1", 5)]
    assert all(b - a < 1 for a, b in zip(times, times[1:]))


def test_no_watchdog_unless_it_is_wanted(gateway):
    gateway.assert_silent("WATCHDOG=1", 1)


@pytest.mark.hooks
def test_a_wedged_worker_starves_the_watchdog(service):
    """The ping proves the path that requests take: it stops when one worker of several does."""
    service.listen("http")
    service.listen("admin")
    service.configure('[Route /hello]\nRespond=200 "hello"\n', gateway="Threads=2\nDrainSec=1s")
    service.start(watchdog=1)
    service.wait_ready()
    service.wait_for("WATCHDOG=1", timeout=2)
    assert service.admin("POST", "/v1/test/wedge?worker=1").status == 200
    assert service.wait_for_line("critical: worker 1 does not turn", timeout=5)
    service.assert_silent("WATCHDOG=1", 2)
    # Told to end, it does so in time, and leaves the thread behind.
    service.allow("warning: ")
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 4


def test_stopping_is_said_first_and_the_end_is_clean(gateway):
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_for("STOPPING=1", timeout=2)
    assert gateway.wait() == 0
    assert gateway.wait_for_line("notice: stopped", timeout=1)
    messages = gateway.notifications.snapshot()
    after = messages[next(i for i, m in enumerate(messages) if "STOPPING=1" in m) :]
    said = [m.value("STATUS") for m in after if m.value("STATUS")]
    assert said and all(status.startswith("draining") for status in said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_either_signal_stops_it(gateway, number):
    gateway.signal(number)
    gateway.wait_for("STOPPING=1")
    assert gateway.wait() == 0
    assert any(number.name in line for line in gateway.lines())


def test_every_message_is_its_own(gateway):
    gateway.stop()
    assert {m.pid for m in gateway.notifications.snapshot()} == {gateway.pid}


def test_a_drain_longer_than_systemd_allows_asks_for_more(service, upstream):
    """TimeoutStopSec is not known here, so systemd's default counts: DrainSec= is longer."""
    service.listen("http")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /]\nUpstream=app\n", gateway="Threads=1\nDrainSec=10min")
    service.start_ready()
    with service.connect() as client:
        client.request()
        app, _ = upstream.expect()
        service.signal(signal.SIGTERM)
        first, second = service.wait_for_several("EXTEND_TIMEOUT_USEC=", 2, timeout=15)
        # Each comes within the time that the one before asked for.
        assert 0 < second.at - first.at < int(first.value("EXTEND_TIMEOUT_USEC")) / 1e6
        app.respond(200, b"late, but whole")
        assert client.read_response().body == b"late, but whole"
    assert service.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
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
