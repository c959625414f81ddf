"""What clients that never retry see of reloads: the same client, the same load, the same number of reloads for each peer."""

import json
import statistics
import subprocess
import time

from scenarios import Options, Running, say

RELOADS = 10
PAUSE = 0.4  # between two, in seconds
LOADS = {"closed loop": (), "think time 0 to 50 ms": ("--think=0-50",)}
COLUMNS = ("lost", "announced", "unannounced", "p999_us", "stall_us")


def measure(peer, options, reloads):
    """One run of the load with all reloads in it; what the client counted."""
    command = [Options.build / "tests/tools/loss", "--json", "-c", Options.connections, "-d", 60, "--method=POST",
               "--body=100", "--path", "/proxy/", *options, f"127.0.0.1:{peer.port}"]
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as client:
        time.sleep(PAUSE)
        for _ in range(reloads):
            peer.reload()
            time.sleep(PAUSE)
        client.send_signal(2)
        report = json.loads(client.stdout.read())
    return {"requests": report["requests"], "lost": report["lost"], "announced": report["forced_reconnects_announced"],
            "unannounced": report["forced_reconnects_unannounced"], "p999_us": report["latency_us"]["p99.9"],
            "stall_us": report["stall_us"]}


def start_one(peer_class):
    return Running([peer_class], Options.threads[0])


def run(chosen):
    """Each peer alone on the machine, in rounds over all; medians."""
    reloads = 2 if Options.smoke else RELOADS
    results = []
    for load, options in LOADS.items():
        samples = {peer.name: [] for peer in chosen}
        for number in range(min(Options.rounds, 3)):
            say(f"  {load}, round {number + 1}")
            for peer_class in chosen:
                peer_class.reloadable = True
                with start_one(peer_class) as running:
                    try:
                        samples[peer_class.name].append(measure(running[0], options, reloads))
                    finally:
                        running[0].kill_tree()
                        peer_class.reloadable = False
        for name, values in samples.items():
            results.append({"peer": name, "load": load,
                            **{key: statistics.median(one[key] for one in values) for key in ("requests", *COLUMNS)}})
    print(table(results, reloads), flush=True)
    for one in results:
        if one["peer"] == "holdfast" and (one["lost"] or one["announced"] or one["unannounced"]):
            raise RuntimeError(f"holdfast lost requests or connections over reloads: {one}")
    return []


def table(results, reloads):
    lines = [f"### {reloads} reloads under load, {Options.connections} clients that never retry", "",
             "| | load | requests | lost | forced reconnects, announced | not announced | p99.9 ms | longest stall ms |",
             "|---|---|---:|---:|---:|---:|---:|---:|"]
    for one in results:
        lines.append(f"| {one['peer']} | {one['load']} | {one['requests']:.0f} | {one['lost']:.0f} | {one['announced']:.0f} "
                     f"| {one['unannounced']:.0f} | {one['p999_us'] / 1000:.1f} | {one['stall_us'] / 1000:.1f} |")
    return "\n".join(lines) + "\n"
