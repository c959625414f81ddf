"""Four targets of which one is slow: what clients see of it, by how requests are balanced.

The slow one works on one request at a time, as an app does that has run out of threads; the other three are the same
app without that. In turn, requests pile up before it until nearly all clients wait there; balancing that looks at what
targets have in flight sends it no more than it can do. A target that is only late, and takes any number of requests
at once, is another matter: no balancing here goes by how long answers take.
"""

import statistics
import tempfile

import peers
from scenarios import Backend, Options, measure_load, say

WORK_MS = 20


class RoundRobin(peers.Holdfast):
    name = balance = "round-robin"


class LeastConnections(peers.Holdfast):
    name = balance = "least-connections"


class RandomTwo(peers.Holdfast):
    name = balance = "random-two"


ALL = [RoundRobin, LeastConnections, RandomTwo]


def measure(folder, balanced, workers):
    """With a backend of its own: nothing waits there from a run before."""
    fast = slow = peer = None
    try:
        fast = Backend(folder, n_addresses=3)
        slow = Backend(folder, arguments=[f"--work={WORK_MS}"])
        peer = balanced(f"{folder}/{balanced.name}", workers, f"{fast.address} {slow.address}")
        peer.start()
        return measure_load(peer, "/proxy/")
    finally:
        for one in (peer, fast, slow):
            if one:
                one.stop()


def table(rows):
    lines = [f"### Four targets, of which one takes {WORK_MS} ms for each request", "",
             "| Balance= | workers | requests/s | p50 ms | p99 ms |", "|---|---:|---:|---:|---:|"]
    for name, workers, one in rows:
        lines.append(f"| {name} | {workers} | {one['requests_per_second']:.0f} | {one['p50_us'] / 1000:.1f} "
                     f"| {one['p99_us'] / 1000:.1f} |")
    return "\n".join(lines) + "\n"


def run(chosen):
    if peers.Holdfast not in chosen:
        return []
    rows, failures = [], []
    for workers in Options.threads:
        samples = {balanced.name: [] for balanced in ALL}
        for number in range(Options.rounds):
            say(f"  {workers} worker{'s' if workers > 1 else ''}, round {number + 1} of {Options.rounds}")
            for balanced in ALL[::-1 if number % 2 else 1]:
                with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
                    samples[balanced.name].append(measure(folder, balanced, workers))
        medians = {name: {key: statistics.median(one[key] for one in values) for key in values[0]}
                   for name, values in samples.items()}
        rows += [(name, workers, one) for name, one in medians.items()]
        turn, two = (medians[name]["p99_us"] for name in ("round-robin", "random-two"))
        if two >= turn:
            failures.append(f"{workers} workers: p99 of random-two is {two:.0f} µs, of round-robin {turn:.0f} µs")
    print(table(rows), flush=True)
    if failures:
        raise RuntimeError("\n".join(failures))
    return []
