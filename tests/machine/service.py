"""What tests do with the service: configurations, the held app, requests."""

import contextlib
import json
import select
import subprocess
import sys
import time
from pathlib import Path

from harness.events import match
from harness.machine import Inside

sys.path.append(str(Path(__file__).parents[1] / "system"))
from exposition import Exposition  # noqa: E402: it is the system tests'

APP_PORT = 9000
APP_CONFIG = f"""
[Upstream app]
Target=127.0.0.1:{APP_PORT}

[Route /app/*rest]
Upstream=app
"""
MAIN_CONFIG = "/etc/holdfast/holdfast.conf"


def get(machine, path="/", *options, check=True, timeout=30):
    """A request by curl; its body. A new connection each time."""
    return machine.output("curl", "--silent", "--show-error", "--fail", "--max-time", timeout,
                          *options, f"http://localhost{path}", check=check, timeout=timeout + 5)


def configure(machine, text, name="test.conf"):
    machine.write(f"/etc/holdfast/conf.d/{name}", text)


def start_app(machine):
    """The app that holds requests until it is told to answer. Its output and input are pipes."""
    machine.copy_in(__file__.replace("service.py", "harness/app.py"), "/usr/local/lib/app.py")
    app = Inside(machine.enter("python3", "/usr/local/lib/app.py", APP_PORT), stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert said(app) == "listening\n"
    return app


def said(app, timeout=20):
    """The next line of the app's, which says one at a time."""
    assert select.select([app.stdout], [], [], timeout)[0], "the app says nothing"
    return app.stdout.readline()


@contextlib.contextmanager
def held_request(machine, app, path="/app/held"):
    """A request that the app has and does not answer; yields curl's Popen."""
    curl = machine.start("curl", "--silent", "--show-error", "--include", "--max-time", "60",
                         f"http://localhost{path}")
    try:
        assert said(app) == "held\n", "the request did not reach the app"
        yield curl
    finally:
        curl.kill()
        curl.communicate()


def release(app):
    app.stdin.write("release\n")
    app.stdin.flush()


def wait_ready(machine, generation=None, timeout=20):
    """Waits for the record of a generation that is ready (any, or one later than the given number)."""
    return machine.wait_for_record(
        match("ready"), timeout=timeout,
        where=lambda record: generation is None or int(record["HOLDFAST_GENERATION"]) > generation)


def generation(machine):
    """Of the process that runs now."""
    return json.loads(machine.output("holdfastctl", "status", "--json"))["generation"]


def metrics(machine):
    return Exposition(machine.output("curl", "--silent", "--show-error", "--fail", "--unix-socket",
                                     "/run/holdfast/admin.sock", "http://holdfast/metrics") + "\n")


def wait_until(condition, timeout=20, every=0.05):
    """For what no event tells."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {timeout} s"
        time.sleep(every)
