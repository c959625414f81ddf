"""The client that never retries (tests/tools/loss), run inside a machine."""

import collections
import json
import select
import signal
import subprocess

from .machine import Inside, Timeout


Outcome = collections.namedtuple("Outcome", "id status took connection")


class LossClient:
    """Runs beside the test from `with` to its end, or until `finish()`; then the report is in `report`."""

    PATH = "/usr/local/bin/loss"
    FIRST_LINE_TIMEOUT = 60
    OUTCOMES = "/var/tmp/outcomes"

    def __init__(self, machine, binary, *options, target="127.0.0.1:80", idle=0):
        """`idle`: so many connections that are kept idle, until ask() sends another request on each; that ends the run."""
        self.machine = machine
        if not machine.path(self.PATH).exists():
            machine.copy_in(binary, self.PATH)
        # A run that nobody ends, ends by itself.
        mode = ["--idle", idle] if idle else ["--progress", "--duration=120"]
        self.options = (*mode, *options, target)
        self.command = machine.enter(self.PATH, "--json", *self.options)
        self.process = None
        self.report = None
        self.asking = False

    def __enter__(self):
        self.process = Inside(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, start_new_session=True)
        # The first line of progress, or that all connections are idle: it has been sending for a second, or all.
        if not select.select([self.process.stderr], [], [], self.FIRST_LINE_TIMEOUT)[0]:
            self.process.kill()
            raise Timeout(f"{self.FIRST_LINE_TIMEOUT} s are not enough for {' '.join(map(str, self.options))}")
        self.first_line = self.process.stderr.readline()
        return self

    def __exit__(self, *exception):
        self.finish()

    def ask(self, timeout=60):
        """Of one with idle connections: a request on each, and the end."""
        return self.finish(timeout, signal.SIGUSR1)

    def begin_to_ask(self):
        """The same, but the caller has something to do until all are answered, which finish() waits for."""
        self.process.send_inside(signal.SIGUSR1)
        self.asking = True

    def finish(self, timeout=60, number=signal.SIGINT):
        if self.report is None:
            if not self.asking:
                self.process.send_inside(number)
            out, err = self.process.communicate(timeout=timeout)
            assert self.process.returncode in (0, 1), f"the loss client failed: {self.first_line}{err}"
            self.report = json.loads(out)
        return self.report

    def outcomes(self):
        """What became of each request, with --outcomes: (id, status or how else it ended, seconds, connection)."""
        lines = self.machine.path(self.OUTCOMES).read_text().splitlines()
        words = [line.split(" ") for line in lines]
        return [Outcome(identity, status, int(took) / 1e6, int(connection)) for identity, status, took, connection in words]

    def summary(self):
        """What to show when a promise is broken."""
        keys = ("requests", "lost", "connects", "forced_reconnects_announced", "forced_reconnects_unannounced",
                "stall_us", "gap_us")
        report = self.report
        outcomes = {name: count for name, count in report["outcomes"].items() if count}
        return json.dumps({**{key: report[key] for key in keys}, "outcomes": outcomes, "losses": report["losses"][:5]})
