"""The apps that tests stand behind the gateway: what tests rely on when they judge the gateway by them."""

import os
import pathlib
import signal
import subprocess
import time
from concurrent import futures

import pytest

import h1
from process import cpu_seconds

BUILD = pathlib.Path(os.environ.get("BUILD") or os.environ.get("HOLDFAST_BUILD") or
                     pathlib.Path(__file__).parents[2] / "build")
APPS = {
    "capp": BUILD / "tests/apps/capp",
    "pyapp": pathlib.Path(__file__).parents[1] / "apps/pyapp.py",
    "ginapp": BUILD / "tests/apps/ginapp",
}


def catches(pid, number):
    """Whether a process handles a signal, or has blocked it to read it from a descriptor."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    masks = [int(status.partition(f"{name}:")[2].split()[0], 16) for name in ("SigCgt", "SigBlk")]
    return any(mask >> (number - 1) & 1 for mask in masks)


class App:
    def __init__(self, program, directory, *options):
        self.path = directory / "app.sock"
        self.ledger = directory / "ledger"
        self.process = subprocess.Popen([program, f"--listen=unix:{self.path}", f"--ledger={self.ledger}", *options])
        h1.eventually(self.listens)

    def listens(self):
        try:
            return bool(self.ask("/healthz"))
        except OSError:
            return False

    def ask(self, target, **fields):
        """A request; its response."""
        with h1.Connection(str(self.path)) as connection:
            connection.request("POST" if fields or "?" in target else "GET", target,
                               [(name.replace("_", "-"), value) for name, value in fields.items()])
            return connection.read_response()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(10)


@pytest.fixture(params=APPS)
def start(request, tmp_path):
    """A function that starts the app, with options."""
    program = APPS[request.param]
    if request.param == "ginapp":
        # Not built with everything else: the first time it takes a while.
        build = subprocess.run(["ninja", "-C", BUILD, "tests/apps/ginapp"], capture_output=True, text=True)
        if build.returncode != 0:
            pytest.skip("ginapp cannot be built: " + build.stdout[-200:])
    apps = []

    def start(*options):
        apps.append(App(program, tmp_path, *options))
        return apps[-1]

    start.name = request.param
    yield start
    for app in apps:
        app.process.kill()
        app.process.wait()


def test_a_key_is_executed_once(start):
    """In one process, in the next, and with what a crash has left of a line."""
    app = start()
    assert app.ask("/ledger", X_Request_ID="one", Idempotency_Key='"a key"').text == "one\n"
    again = app.ask("/ledger", X_Request_ID="two", Idempotency_Key='"a key"')
    assert (again.status, again.text) == (200, "one\n") and again.headers.get("Idempotent-Replayed") == "true"
    assert app.ask("/ledger", X_Request_ID="three").text == "three\n"
    assert app.ask("/ledger", X_Request_ID="four", Idempotency_Key="unquoted").status == 400
    app.stop(signal.SIGKILL)
    with open(app.ledger, "a") as file:
        file.write('five "anoth')
    app = start()
    assert app.ask("/ledger", X_Request_ID="six", Idempotency_Key='"a key"').text == "one\n"
    assert app.ask("/ledger", X_Request_ID="seven", Idempotency_Key='"another"').text == "seven\n"
    assert app.stop() == 0
    assert app.ledger.read_text() == 'one "a key"\nthree\nseven "another"\n'


def test_a_key_whose_first_request_runs_is_refused(start):
    app = start()
    with futures.ThreadPoolExecutor(2) as pool:
        asked = pool.map(lambda name: app.ask("/ledger?ms=1000", X_Request_ID=name, Idempotency_Key='"key"'), ["one", "two"])
        assert sorted(response.status for response in asked) == [200, 409]
    assert len(app.ledger.read_text().splitlines()) == 1


def test_a_broken_app(start):
    app = start()
    assert app.ask("/break?on=1").status == 200
    assert app.ask("/healthz").status == app.ask("/ledger", X_Request_ID="one").status == 500
    assert app.ask("/break?on=0").status == 200
    assert app.ask("/ledger", X_Request_ID="one").status == 200
    app.stop()
    assert start("--broken").ask("/").status == 500


@pytest.mark.parametrize("start", ["capp"], indirect=True)
def test_one_that_works_on_one_request_at_a_time(start):
    app = start("--work=100")
    begun = time.monotonic()
    with futures.ThreadPoolExecutor(3) as pool:
        assert [response.status for response in pool.map(app.ask, ["/"] * 3)] == [200] * 3
    assert time.monotonic() - begun >= 0.3


def test_a_slow_start_refuses_first(start, tmp_path):
    program, unit = APPS[start.name], "s" if start.name == "ginapp" else "000"
    with subprocess.Popen([program, f"--listen=unix:{tmp_path}/app.sock", f"--start-delay=60{unit}"]) as slow:
        try:
            h1.eventually(lambda: catches(slow.pid, signal.SIGTERM))
            with pytest.raises(subprocess.TimeoutExpired):
                slow.wait(0.5)
            assert not (tmp_path / "app.sock").exists()
            slow.terminate()
            assert slow.wait(10) == 0
        finally:
            slow.kill()
    assert start(f"--start-delay=1{unit}").ask("/").status == 200


def test_one_that_waits_costs_nothing(start):
    """Whoever measures the gateway beside it relies on that."""
    app = start()
    with h1.Connection(str(app.path)) as connection:
        connection.get("/")
        before = cpu_seconds(app.process.pid)
        time.sleep(0.5)  # there is no event for what does not happen
        assert cpu_seconds(app.process.pid) - before <= 0.1


def test_one_that_hangs(start):
    app = start()
    with h1.Connection(str(app.path)) as connection:
        connection.request("GET", "/hang")
        assert connection.is_quiet(0.3)
        assert app.ask("/").status == 200
