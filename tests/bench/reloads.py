"""What clients that never retry see of reloads: the same client, the same load, as many reloads of each peer.

Every count is the client's. A peer's figure is the median of the rounds; those of Holdfast must all be zero.
"""

import json
import signal
import statistics
import subprocess
import time

from scenarios import Options, Running, say

RELOADS = 10
PAUSE = 0.2  # before the first, and after each is over, in seconds
# The load, and in how many rounds: all of it is to take less than two minutes.
LOADS = {"closed loop": ((), 3), "think time 0 to 50 ms": (("--think=0-50",), 1)}
SECONDS = 60  # of a run that nobody ends
COUNTS = {"lost": "lost", "announced": "forced_reconnects_announced", "unannounced": "forced_reconnects_unannounced"}


def summary(report):
    """What is compared, of one report of the client. An answer that was not asked for is a mistake of the benchmark."""
    outcomes = report["outcomes"]
    if outcomes["3xx"] or outcomes["4xx"]:
        raise RuntimeError(f"not all were answered well: {report['statuses']}")
    return {"requests": report["requests"], **{name: report[key] for name, key in COUNTS.items()},
            "p999_us": report["latency_us"]["p99.9"], "stall_us": report["stall_us"]}


def median(rounds):
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def broken_promises(peer, rounds):
    """What holdfast lost or ended in any round, in words."""
    return [f"{peer}: {one}" for one in rounds if peer == "holdfast" and any(one[name] for name in COUNTS)]


def table(rows):
    """Rows are (peer, event, figures)."""
    lines = ["| | | requests | lost | forced reconnects, announced | not announced | p99.9 ms | longest stall ms |",
             "|---|---|---:|---:|---:|---:|---:|---:|"]
    for peer, event, one in rows:
        lines.append(f"| {peer} | {event} | {one['requests']:.0f} | {one['lost']:.0f} | {one['announced']:.0f} "
                     f"| {one['unannounced']:.0f} | {one['p999_us'] / 1000:.1f} | {one['stall_us'] / 1000:.0f} |")
    return "\n".join(lines) + "\n"


class Client:
    """The client with its load, in a `with`; its report afterwards in `report`."""

    def __init__(self, peer, *options):
        self.command = [str(word) for word in (Options.build / "tests/tools/loss", "--json", *options,
                                               f"127.0.0.1:{peer.port}")]
        self.process = self.report = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind, *_):
        with self.process:
            if kind:
                self.process.kill()
            elif self.report is None:
                self.finish(signal.SIGINT)

    def finish(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=SECONDS)
        if self.process.returncode not in (0, 1):  # 1: requests were lost
            raise RuntimeError(f"{' '.join(self.command)}: {err}")
        self.report = json.loads(out)


def under_load(peer, options, reloads):
    """One run of the load with all the reloads in it."""
    with Client(peer, "-c", Options.connections, "-d", SECONDS, "--method=POST", "--body=100", "--path=/proxy/",
                *options) as client:
        time.sleep(PAUSE)
        for _ in range(reloads):
            peer.reload()
            time.sleep(peer.reload_seconds + PAUSE)
    return summary(client.report)


def while_idle(peer):
    """Connections that are idle during one reload, and a request on each afterwards."""
    with Client(peer, f"--idle={Options.idle}", f"--timeout={SECONDS}") as client:
        line = client.process.stderr.readline()
        if "idle" not in line:
            raise RuntimeError(f"{peer.name}: {line}")
        peer.reload()
        time.sleep(peer.reload_seconds + PAUSE)
        client.finish(signal.SIGUSR1)
    return summary(client.report)


def run(chosen):
    """Each peer alone on the machine, in rounds over all."""
    reloads = RELOADS
    if Options.smoke:
        reloads = 2
        chosen = [peer for peer in chosen if peer.name in ("holdfast", "nginx")]
    events = {f"{reloads} reloads, {load}": (lambda peer, options=options: under_load(peer, options, reloads),
                                             min(rounds, Options.rounds))
              for load, (options, rounds) in LOADS.items()}
    events[f"1 reload, {Options.idle} idle connections"] = (while_idle, 1)

    rows, failures = [], []
    for event, (measure, times) in events.items():
        samples = {peer.name: [] for peer in chosen}
        for number in range(times):
            say(f"  {event}, round {number + 1} of {times}")
            for peer_class in chosen[::-1 if number % 2 else 1]:
                with Running([peer_class], Options.threads[0], reloadable=True) as (peer,):
                    samples[peer.name].append(measure(peer))
        for peer, values in samples.items():
            rows.append((peer, event, median(values)))
            failures += broken_promises(peer, values)
            if peer == "nginx" and not any(values[0][name] for name in COUNTS):
                failures.append(f"{event}: the client did not notice nginx's reloads, so it would notice nobody's")
    print("### Reloads, and clients that never retry\n\n" + table(rows), flush=True)
    if failures:
        raise RuntimeError("\n".join(failures))
    return []
