"""What tests of abuse need: attackers that send bytes of any kind and tell what became of them, what the attack cost the
gateway, and bystanders who want no more than to be served meanwhile.
"""

import contextlib
import dataclasses
import multiprocessing
import socket
import statistics
import threading
import time

import h1
import h2
import manager
from process import cpu_seconds, resident_bytes

# An attack may cost no more than as many ordinary requests as it has frames. Below this much it is not worth telling.
CPU_FLOOR = 0.05
# The machine's own noise: what a bystander may wait at most, whatever he waited before.
LATENCY_FLOOR = 0.020


@dataclasses.dataclass
class Outcome:
    """How a connection ended, as its client sees it."""

    error: int = None  # of the last GOAWAY
    reason: str = None
    closed: bool = False
    reset: bool = False  # … with a RST
    replies: int = 0  # bytes that came


def send_and_see(connection, *blocks, timeout=15):
    """Sends without reading, as long as it is taken, then reads to the end."""
    outcome = Outcome()
    sender = threading.Thread(target=_send, args=(connection.sock, blocks), daemon=True)
    sender.start()
    connection.sock.settimeout(timeout)
    data = bytearray(connection.buffer)
    try:
        while chunk := connection.sock.recv(65536):
            data += chunk
        outcome.closed = True
    except (ConnectionResetError, BrokenPipeError):
        outcome.closed = outcome.reset = True
    except TimeoutError:
        pass
    sender.join(timeout)
    outcome.replies = len(data)
    at = 0
    while at + 9 <= len(data):
        size, kind = int.from_bytes(data[at : at + 3], "big"), data[at + 3]
        if kind == h2.GOAWAY:
            payload = bytes(data[at + 9 : at + 9 + size])
            outcome.error, outcome.reason = int.from_bytes(payload[4:8], "big"), payload[8:].decode()
        at += 9 + size
    return outcome


def _send(sock, blocks):
    with contextlib.suppress(OSError):
        for block in blocks:
            sock.sendall(block)


class Bystanders:
    """Clients that ask for /hello, one request each few milliseconds, by HTTP/1 and HTTP/2, and note how long it took."""

    def __init__(self, address):
        self.connections = [h1.Connection(address), h2.Connection(address)]
        for connection in self.connections:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # several writes make a request
        self.requests = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()

    def p99(self, rounds=150):
        times = []
        for _ in range(rounds):
            for connection in self.connections:
                began = time.monotonic()
                assert connection.get("/hello").status == 200
                times.append(time.monotonic() - began)
            time.sleep(0.002)
        self.requests += len(times)
        return statistics.quantiles(times, n=100)[98]


def cost_of_requests(service, n=500, path="/hello"):
    """CPU seconds of an ordinary HTTP/2 request, by measuring."""
    with h2.Connection(service.address()) as client:
        client.get(path)
        before = cpu_seconds(service.pid)
        for _ in range(n // 50):
            for stream in [client.request("GET", path) for _ in range(50)]:
                assert client.read_response(stream).status == 200
        return (cpu_seconds(service.pid) - before) / n


@dataclasses.dataclass
class Cost:
    attacks: int
    cpu: float  # of one
    memory: int  # of all
    per_request: float
    p99_before: float
    p99: float

    def is_unnoticed(self):
        """By the bystanders."""
        return manager.is_instrumented() or self.p99 <= max(3 * self.p99_before, LATENCY_FLOOR)


def _repeat(act, most, enough, results):
    while len(results) < most and not (enough.is_set() and results):
        results.append(act())


def _in_a_process(act, most, enough, pipe):
    results = []
    try:
        _repeat(act, most, enough, results)
    finally:
        pipe.send(results)


def attack(service, act, most=10):
    """Attacks again and again, from another process, while bystanders are served. Returns all outcomes, and the cost."""
    fork = multiprocessing.get_context("fork")
    per_request = cost_of_requests(service)
    with Bystanders(service.address()) as others:
        before = others.p99()
        enough, (receiver, sender) = fork.Event(), fork.Pipe(duplex=False)
        attacker = fork.Process(target=_in_a_process, args=(act, most, enough, sender), daemon=True)
        memory, cpu, asked = resident_bytes(service.pid), cpu_seconds(service.pid), others.requests
        attacker.start()
        meanwhile = others.p99()
        enough.set()
        assert receiver.poll(60), "the attacker does not come to an end"
        results = receiver.recv()
        attacker.join()
        assert results, "the attacker failed"
        cpu = cpu_seconds(service.pid) - cpu - (others.requests - asked) * per_request
        memory = resident_bytes(service.pid) - memory
    return results, Cost(len(results), cpu / len(results), memory, per_request, before, meanwhile)


def check_cost(cost, frames, memory=16 << 20):
    if manager.is_instrumented():
        return
    assert cost.cpu <= max(CPU_FLOOR, frames * cost.per_request), cost
    assert cost.memory <= memory, cost
    assert cost.is_unnoticed(), cost
