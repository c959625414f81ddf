"""What systemd tells of units: a bus and a systemd that come, go, and are silent, and units that do."""

import contextlib
import errno
import os
import pathlib
import select
import socket
import subprocess
import time

import pytest

import bus as dbus
import manager

BUILD = pathlib.Path(os.environ.get("HOLDFAST_BUILD", pathlib.Path(__file__).parents[2] / "build"))
DRIVER = BUILD / "tests" / "system" / "units-driver"
TIMEOUT = 20


class Watch:
    """The driver, and what it says."""

    def __init__(self, bus, *units):
        self.process = subprocess.Popen(
            [*manager.UNDER, DRIVER, *units], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address})
        self.buffer = b""

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self, timeout=TIMEOUT):
        """The next one; None when none comes in time."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"the driver has ended with {self.process.wait()}"
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def told(self, n=1):
        """The next changes, as a dictionary of units and states."""
        lines = [self.line() for _ in range(n)]
        assert None not in lines, f"only {lines}"
        return dict(line.split() for line in lines)

    def assert_quiet(self, seconds=0.5):
        line = self.line(seconds)
        assert line is None, line

    def stand(self):
        """Why systemd cannot be asked, the longest call in seconds, the number of descriptors."""
        self.command("stand")
        word, error, longest, descriptors = self.line().split()
        assert word == "stand"
        return int(error), int(longest) / 1e6, int(descriptors)

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(TIMEOUT)
        self.process.stdout.close()
        assert status == 0


@pytest.fixture
def bus():
    with dbus.Bus() as running:
        yield running


@pytest.fixture
def systemd(bus):
    with dbus.Systemd(bus.start()) as systemd:
        yield systemd


@pytest.fixture
def watch(bus):
    with contextlib.ExitStack() as stack:
        def make(*units):
            watch = Watch(bus, *units)
            stack.callback(watch.close)
            return watch

        yield make


# Units


def test_states_at_first_and_each_change(systemd, watch):
    systemd.states = {"a.service": "active", "b@1.service": "failed"}
    w = watch("a.service", "b@1.service")
    assert w.told(2) == {"a.service": "active", "b@1.service": "failed"}
    for state in ("deactivating", "inactive", "activating", "active", "reloading", "failed"):
        systemd.set("a.service", state)
        assert w.told() == {"a.service": state}
    systemd.set("a.service", "failed")  # no change
    systemd.set("other.service", "active")
    w.assert_quiet()


def test_unit_that_is_not_loaded(systemd, watch):
    """Looking at it makes systemd load and forget it, and tell so: that must not be a reason to look again."""
    w = watch("a.service")
    assert w.told() == {"a.service": "inactive"}
    w.assert_quiet()
    assert len(systemd.calls) < 12, systemd.calls
    systemd.set("a.service", "activating")  # is loaded
    assert w.told() == {"a.service": "activating"}
    systemd.set("a.service", "active")
    assert w.told() == {"a.service": "active"}
    systemd.set("a.service", "failed")
    assert w.told() == {"a.service": "failed"}
    systemd.forget("a.service")
    assert w.told() == {"a.service": "inactive"}
    w.assert_quiet()


def test_alias_is_told_of_as_what_it_stands_for(systemd, watch):
    systemd.aliases = {"app.service": "app-blue.service"}
    systemd.states = {"app-blue.service": "active", "app-green.service": "activating"}
    w = watch("app.service")
    assert w.told() == {"app.service": "active"}
    systemd.set("app-blue.service", "deactivating")
    assert w.told() == {"app.service": "deactivating"}
    systemd.reload({"app.service": "app-green.service"})
    assert w.told() == {"app.service": "activating"}
    systemd.set("app-blue.service", "inactive")
    systemd.set("app-green.service", "active")
    assert w.told() == {"app.service": "active"}
    w.assert_quiet()


def test_name_that_is_no_unit(systemd, watch):
    """It is not known; the others are."""
    systemd.states = {"a.service": "active"}
    w = watch("template@.service", "a.service")
    assert w.told(2) == {"template@.service": "-", "a.service": "active"}
    assert w.stand()[0] == 0
    w.assert_quiet()


def test_unit_that_is_added_later(systemd, watch):
    systemd.states = {"a.service": "active", "b.service": "failed"}
    w = watch("a.service")
    assert w.told() == {"a.service": "active"}
    w.command("add b.service")
    w.command("add a.service")
    assert w.told() == {"b.service": "failed"}
    systemd.set("b.service", "active")
    assert w.told() == {"b.service": "active"}
    w.assert_quiet()


def test_many_units(systemd, watch):
    names = [f"app@{n}.service" for n in range(200)]
    systemd.states = dict.fromkeys(names, "active")
    w = watch(*names)
    assert w.told(len(names)) == dict.fromkeys(names, "active")
    for name in names:
        systemd.set(name, "inactive")
    assert w.told(len(names)) == dict.fromkeys(names, "inactive")
    assert w.stand()[1] < 0.1 * manager.PATIENCE


# The bus


def test_without_a_bus(bus, watch):
    w = watch("a.service", "b.service")
    assert w.told(2) == {"a.service": "-", "b.service": "-"}
    error, _, descriptors = w.stand()
    assert error == errno.ENOENT
    with dbus.Systemd(bus.start()) as systemd:
        systemd.states = {"a.service": "active"}
        assert w.told(2) == {"a.service": "active", "b.service": "inactive"}
        assert w.stand()[0] == 0
        assert w.stand()[2] == descriptors + 1


def test_bus_goes_away(bus, systemd, watch):
    systemd.states = {"a.service": "active"}
    w = watch("a.service")
    assert w.told() == {"a.service": "active"}
    _, _, descriptors = w.stand()
    bus.stop()
    assert w.told() == {"a.service": "-"}
    w.assert_quiet(2)  # it is told once
    assert w.stand()[2] == descriptors - 1
    with dbus.Systemd(bus.start()) as other:
        other.states = {"a.service": "failed"}
        assert w.told() == {"a.service": "failed"}


def test_tries_become_rare(bus, watch):
    """A second lies between the first two, two before the next."""
    tries = []
    with bus.mute() as listener:
        w = watch("a.service")
        listener.settimeout(TIMEOUT)
        for _ in range(3):
            listener.accept()[0].close()
            tries.append(time.monotonic())
        assert w.told() == {"a.service": "-"}
    pauses = [after - before for before, after in zip(tries, tries[1:])]
    for pause, expected in zip(pauses, (1, 2)):
        assert expected - 0.05 <= pause < expected + 1, pauses


def test_whoever_is_silent_blocks_nothing(bus, watch):
    """A bus that takes a connection and says no word, and a systemd that hangs."""
    with dbus.Bus() as silent, silent.mute():
        with dbus.Systemd(bus.start()) as systemd:
            systemd.states = {"a.service": "active"}
            w, of_silent = watch("a.service"), Watch(silent, "a.service")
            assert w.told() == {"a.service": "active"}
            systemd.deaf = True
            w.command("add b.service")
            assert of_silent.told() == {"a.service": "-"}
            assert of_silent.stand()[0] == errno.ETIMEDOUT
            assert w.told(2) == {"a.service": "-", "b.service": "-"}
            assert w.stand()[0] == errno.ETIMEDOUT
            assert max(w.stand()[1], of_silent.stand()[1]) < 0.1 * manager.PATIENCE
            systemd.deaf = False
            assert w.told(2) == {"a.service": "active", "b.service": "inactive"}
            of_silent.close()


def test_bus_whose_queue_is_full(bus, watch):
    with bus.mute(backlog=0), socket.socket(socket.AF_UNIX) as first:
        first.connect(str(bus.socket))
        w = watch("a.service")
        assert w.told() == {"a.service": "-"}
        assert w.stand()[1] < 0.1
    with dbus.Systemd(bus.start()):
        assert w.told() == {"a.service": "inactive"}


def test_bus_without_systemd(bus, watch):
    bus.start()
    w = watch("a.service")
    assert w.told() == {"a.service": "-"}
    with dbus.Systemd(bus) as systemd:
        systemd.states = {"a.service": "active"}
        assert w.told() == {"a.service": "active"}


def test_systemd_executes_itself_anew(bus, systemd, watch):
    """Whoever had subscribed with the old one is not told by the new one."""
    systemd.states = {"a.service": "active"}
    w = watch("a.service")
    assert w.told() == {"a.service": "active"}
    systemd.close()
    assert w.told() == {"a.service": "-"}
    with dbus.Systemd(bus) as other:
        other.states = {"a.service": "activating"}
        assert w.told() == {"a.service": "activating"}
        other.set("a.service", "active")
        assert w.told() == {"a.service": "active"}


def test_bus_that_takes_no_more_matches(bus, watch):
    """Deaf for one unit would be wrong for ever: then it is said that nothing is known."""
    with dbus.Systemd(bus.start(matches=5)):
        w = watch("a.service", "b.service")
        told = {}
        while set(told.values()) != {"-"} or len(told) < 2:
            told.update(w.told())
        w.assert_quiet()
        assert w.stand()[0] != 0


# The gateway


CONFIG = """
[Upstream app]
Target={target}
Unit=app.service
HealthPath=/healthz
HealthIntervalSec=1h

[Route /]
Upstream=app
"""


def expect_check(app):
    connection, request = app.expect()
    assert request.target == "/healthz"
    connection.respond()


def start_with_unit(service, bus, app):
    service.listen("http")
    service.listen("admin")
    service.environment["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address
    service.configure(CONFIG.format(target=app.target))
    service.start()
    expect_check(app)  # the first, for which there need be no reason
    service.wait_ready()


def test_target_is_looked_at_when_its_unit_is_active(service, bus, systemd, upstream):
    start_with_unit(service, bus, upstream)
    systemd.set("app.service", "activating")
    assert upstream.is_quiet(0.5)
    systemd.set("app.service", "active")
    expect_check(upstream)
    systemd.set("other.service", "active")
    assert upstream.is_quiet(0.5)


def test_successor_is_told_too(service, bus, systemd, upstream):
    start_with_unit(service, bus, upstream)
    service.reload()
    service.wait_former()
    calls = len(systemd.calls)
    systemd.set("app.service", "active")
    expect_check(upstream)
    assert len(systemd.calls) <= calls + 2  # one generation asks


def test_gateway_without_a_bus_says_so_once(service, bus, upstream):
    start_with_unit(service, bus, upstream)
    service.wait_for_line("cannot ask systemd for the state of units .No such file")
    with dbus.Systemd(bus.start()) as systemd:
        systemd.states = {"app.service": "active"}
        expect_check(upstream)
        service.wait_for_line("systemd tells the state of units again")
        assert len([line for line in service.lines() if "state of units (" in line]) == 1


def test_nobody_is_asked_without_units(service, bus, systemd, upstream):
    service.listen("http")
    service.environment["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address
    service.configure(CONFIG.format(target=upstream.target).replace("Unit=", "#"))
    service.start()
    expect_check(upstream)
    service.wait_ready()
    time.sleep(1.5)  # more than a round
    assert not systemd.calls
