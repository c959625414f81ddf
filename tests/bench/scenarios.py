"""What is measured, and how."""

import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import peers
import processes


class Options:
    """How long and how often; set by the command line."""

    build = None
    rounds = 5
    seconds = 4.0
    connections = 64
    idle = 10000
    starts = 10
    threads = (2, 1)
    smoke = False


def say(text):
    print(text, file=sys.stderr, flush=True)


def loss(*arguments):
    """Runs the load; returns its report. A lost request ends the benchmark: a figure for errors is none."""
    done = subprocess.run([Options.build / "tests/tools/loss", "--json", *map(str, arguments)], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"loss {' '.join(map(str, arguments))}: {done.stderr}{done.stdout[:3000]}")
    report = json.loads(done.stdout)
    if report["outcomes"]["2xx"] != report["requests"]:
        raise RuntimeError(f"loss {' '.join(map(str, arguments))}: not all were answered well: {report['statuses']}")
    return report


class Backend:
    """The app that all proxies share, a single process. It may have several addresses, all with the same port."""

    def __init__(self, folder, kind="tcp", n_addresses=1, arguments=()):
        port = peers.free_port()
        addresses = [f"127.0.0.{number}:{port}" for number in range(1, n_addresses + 1)]
        if kind == "unix":
            addresses = [f"unix:{folder}/backend.sock"]
        self.address = " ".join(addresses)
        self.process = subprocess.Popen([Options.build / "tests/apps/capp", "--prefix=/proxy", *arguments,
                                         *(f"--listen={address}" for address in addresses)])
        for _ in range(1000):
            try:
                loss("-c1", "-n1", addresses[-1])
                return
            except RuntimeError:
                time.sleep(0.01)
        raise RuntimeError("the backend does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Running:
    """All peers started side by side, and their backend."""

    def __init__(self, chosen, workers, backend_kind="tcp", reloadable=False, n_targets=1):
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-bench-")
        self.backend = Backend(self.folder.name, backend_kind, n_targets)
        self.peers = [peer(f"{self.folder.name}/{peer.name}", workers, self.backend.address, reloadable)
                      for peer in chosen]

    def __enter__(self):
        try:
            for peer in self.peers:
                peer.start()
        except BaseException:
            self.__exit__()
            raise
        return self.peers

    def __exit__(self, *_):
        for peer in self.peers:
            peer.stop()
        self.backend.stop()
        self.folder.cleanup()


def measure_load(peer, path, *arguments):
    before = processes.cpu_seconds(peer.pid)
    report = loss("-c", Options.connections, "-d", Options.seconds, "--path", path, *arguments,
                  f"127.0.0.1:{peer.port}")
    cpu = processes.cpu_seconds(peer.pid) - before
    return {
        "cpu_us": cpu * 1e6 / report["requests"],
        "requests_per_second": report["requests_per_second"],
        "p50_us": report["latency_us"]["p50"],
        "p99_us": report["latency_us"]["p99"],
    }


def under_load(chosen, path, backend_kind="tcp", arguments=(), n_targets=1):
    """Rounds over all peers in turn, so that what else the machine does falls on all alike; medians."""
    results = []
    for workers in Options.threads:
        with Running(chosen, workers, backend_kind, n_targets=n_targets) as running:
            samples = {peer.name: [] for peer in running}
            for peer in running:  # warm: connections to the backend, pages, code
                loss("-c", Options.connections, "-d", min(0.5, Options.seconds), "--path", path, *arguments,
                     f"127.0.0.1:{peer.port}")
            for number in range(Options.rounds):
                say(f"  {workers} worker{'s' if workers > 1 else ''}, round {number + 1} of {Options.rounds}")
                # Forth and back: who comes first in a round is not always the same.
                for peer in running[::-1 if number % 2 else 1]:
                    samples[peer.name].append(measure_load(peer, path, *arguments))
        for name, values in samples.items():
            results.append({"peer": name, "workers": workers, "rounds": values,
                            **{key: statistics.median(one[key] for one in values) for key in values[0]}})
    return results


def fixed(chosen):
    return under_load(chosen, "/")


def proxy_tcp(chosen):
    return under_load(chosen, "/proxy/")


def proxy_unix(chosen):
    return under_load(chosen, "/proxy/", "unix")


def download(chosen):
    return under_load(chosen, "/proxy/big?bytes=1048576")


def upload(chosen):
    return under_load(chosen, "/proxy/sink", arguments=("--body", 1 << 20))


def targets(chosen):
    """What it costs to have more of them: they are the same app, at as many addresses."""
    able, results = [peer for peer in chosen if peer.takes_several], []
    for number in (64,) if Options.smoke else (1, 4, 64):
        say(f"  {number} target{'s' if number > 1 else ''}")
        results += [{"targets": number, **one} for one in under_load(able, "/proxy/", n_targets=number)]
    return results


def slow_target(chosen):
    """Balancing where one of four targets is slow; prints its own table, and fails when it is not worth anything."""
    import slow  # which needs what is defined here

    return slow.run(chosen)


def idle(chosen):
    """Memory of idle keep-alive connections, each of which has had one request."""
    results = []
    with Running(chosen, Options.threads[0]) as running:
        for peer in running:
            say(f"  {peer.name}")
            target = f"127.0.0.1:{peer.port}"
            loss("-c", Options.connections, "-n", 5000, target)
            before = processes.memory_bytes(peer.pid)
            with subprocess.Popen([Options.build / "tests/tools/loss", "--json", f"--idle={Options.idle}",
                                   "--timeout=60", target], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True) as client:
                line = client.stderr.readline()
                if "idle" not in line:
                    raise RuntimeError(f"{peer.name}: {line}")
                after = processes.memory_bytes(peer.pid)
                client.send_signal(signal.SIGUSR1)
                report = json.loads(client.stdout.read())
            if report["lost"] or report["idle"]["answered_reused"] != Options.idle:
                raise RuntimeError(f"{peer.name} did not keep {Options.idle} connections: {report['idle']}")
            results.append({"peer": peer.name, "workers": Options.threads[0],
                            "bytes_per_connection": (after - before) / Options.idle, "base_bytes": before})
    return results


def start(chosen):
    """From exec to ready: READY=1, or where that is not said, the first response."""
    results = []
    for peer_class in chosen:
        times = []
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
            for number in range(Options.starts):
                peer = peer_class(f"{folder}/{number}", Options.threads[0], "127.0.0.1:1")
                try:
                    peer.start()
                    times.append(peer.ready_after)
                finally:
                    peer.stop()
        results.append({"peer": peer_class.name, "workers": Options.threads[0],
                        "start_ms": statistics.median(times) * 1000})
    return results


def router(_chosen):
    """The router alone, beside gin's: a program of its own, which prints its own table."""
    sys.stdout.flush()
    subprocess.run([pathlib.Path(__file__).parent / "router", Options.build], check=True)
    return []


def balance(_chosen):
    """Balancing alone: a program of its own, which prints its own tables, and fails when something is amiss."""
    subprocess.run(["ninja", "-C", Options.build, "tests/bench/balance-bench"], check=True, stdout=sys.stderr)
    sys.stdout.flush()
    tables = ["cost", "slow"] if Options.smoke else []
    if subprocess.run([Options.build / "tests/bench/balance-bench", *tables], check=False).returncode != 0:
        raise RuntimeError("balance-bench found balancing not as it must be")
    return []


def reload(chosen):
    """Requests lost and connections ended by reloads; prints its own table."""
    import reloads  # which needs what is defined here

    return reloads.run(chosen)


ALL = {
    "fixed": (fixed, "A fixed response"),
    "proxy-tcp": (proxy_tcp, "Proxy to one backend over TCP"),
    "proxy-unix": (proxy_unix, "Proxy to one backend over a Unix socket"),
    "targets": (targets, "Proxy to several targets"),
    "slow-target": (slow_target, "Four targets, of which one is slow"),
    "download": (download, "Proxy, responses of 1 MiB"),
    "upload": (upload, "Proxy, request bodies of 1 MiB"),
    "idle": (idle, "Memory of an idle connection"),
    "start": (start, "From exec to ready"),
    "reload": (reload, "Reloads under load"),
    "router": (router, "Route lookups"),
    "balance": (balance, "Picks of a target"),
}
