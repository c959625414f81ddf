#!/usr/bin/python3
"""Clients of the soak, in a process of their own: honest ones, over TLS and HTTP/2, that count what is lost and never try
again, and others that leave in the middle, or take their time. Ends when standard input does; prints JSON then.

    soak_clients.py HTTP_PORT HTTPS_PORT CERTIFICATE
"""

import collections
import json
import pathlib
import random
import ssl
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import h1
import h2

APPS = ("capp.test", "pyapp.test")
THINK = 0.03  # seconds at most, before each request of an honest client
PATIENCE = 60
BROKEN = (OSError, EOFError, h1.Closed, h1.ProtocolError)

done = threading.Event()


class Tally:
    """What became of the requests of one kind of client."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.stall = 0
        self.losses = []

    def add(self, key):
        with self.lock:
            self.counts[key] += 1

    def answered(self, statuses, took):
        with self.lock:
            self.counts["requests"] += len(statuses)
            self.stall = max(self.stall, took)
            for status in statuses:
                if status != 200:
                    self._lose(f"status {status}")

    def lost(self, why):
        with self.lock:
            self.counts["requests"] += 1
            self._lose(why)

    def _lose(self, why):
        self.counts["lost"] += 1
        self.losses = [*self.losses, f"{time.strftime('%H:%M:%S')} {why}"][:5]


def context_of(certificate, version, protocol):
    context = ssl.create_default_context(cafile=certificate)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols([protocol])
    return context


def has_ended(connection):
    """Whether the server has closed it by now; what else it may have said (a session ticket) is no end."""
    connection.sock.setblocking(False)
    try:
        return connection.sock.recv(1) == b""
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True
    finally:
        connection.sock.settimeout(PATIENCE)


class OverHttp1:
    """One honest connection at a time, one request at a time."""

    def __init__(self, address, context, host):
        self.connection = h1.Connection(address, PATIENCE, tls=context)
        self.host = host
        self.ends = False

    def is_over(self):
        return self.ends or has_ended(self.connection)

    def ask(self, number):
        self.connection.request("GET", "/echo", [("X-Request-ID", f"soak-{number}")], host=self.host)
        response = self.connection.read_response()
        self.ends = (response.headers.get("connection") or "").lower() == "close"
        return [response.status], response.body

    def close(self):
        self.connection.close()


class OverHttp2:
    """The same over HTTP/2, five streams at a time. After a GOAWAY there is nothing to ask for any more."""

    STREAMS = 5

    def __init__(self, address, context, host):
        self.connection = h2.Connection(address, PATIENCE, tls=context)
        self.host = host

    def is_over(self):
        """What the server has said meanwhile is read first."""
        connection = self.connection
        connection.sock.settimeout(0.001)
        try:
            while not connection.goaways:
                connection.read_frame()
        except (TimeoutError, ssl.SSLWantReadError):
            pass
        except BROKEN:
            return True
        finally:
            connection.sock.settimeout(PATIENCE)
        return bool(connection.goaways)

    def ask(self, number):
        connection = self.connection
        streams = [connection.request("GET", "/echo", [("x-request-id", f"soak-{number}")], authority=self.host, scheme="https")
                   for _ in range(self.STREAMS)]
        answers = [connection.read_response(stream) for stream in streams]
        statuses = [answer.status if answer.reset is None else None for answer in answers]
        connection.frames.clear()
        connection.streams.clear()
        return statuses, answers[0].body

    def close(self):
        self.connection.close()


def honest(tally, kind, address, context, host, seed):
    draw = random.Random(seed)
    client, number = None, 0
    while not done.is_set():
        time.sleep(draw.uniform(0, THINK))
        number += 1
        began = time.monotonic()
        try:
            if client is not None and client.is_over():
                client.close()
                client = None
                tally.add("reconnects")
            if client is None:
                client = kind(address, context, host)
                tally.add("connections")
            name = f"{seed}-{number}"
            statuses, body = client.ask(name)
            tally.answered(statuses, time.monotonic() - began)
            if statuses[0] == 200 and name.encode() not in body:
                tally.lost(f"another's answer: {body[:80]!r}")
        except BROKEN as error:
            tally.lost(f"{host}: {type(error).__name__}: {error}"[:200])
            if client is not None:
                client.close()
            client = None


# --- others --------------------------------------------------------------------------------------------------------


def leave_in_head(connection, host, draw):
    connection.send(b"GET /echo HTTP/1.1\r\nHost: " + host.encode() + b"\r\nX-Half: ")


def leave_in_body(connection, host, draw):
    connection.send(h1.format_request("POST", "/echo", [("Content-Length", "3000000")], host=host))
    connection.send(b"x" * draw.randrange(1, 2_000_000))


def leave_in_answer(connection, host, draw):
    connection.send(h1.format_request("GET", "/big?bytes=3000000", host=host))
    connection.read_exactly(draw.randrange(1, 500_000))


def leave_waiting(connection, host, draw):
    connection.send(h1.format_request("GET", "/slow?ms=2000", host=host))
    time.sleep(draw.uniform(0, 0.5))


def slow_head(connection, host, draw):
    for byte in h1.format_request("GET", "/echo", host=host):
        connection.send(bytes([byte]))
        if done.wait(0.1):
            return
    connection.read_response()


def slow_body(connection, host, draw):
    connection.send(h1.format_request("PUT", "/echo", [("Content-Length", "200")], host=host))
    for _ in range(20):
        connection.send(b"x" * 10)
        if done.wait(0.2):
            return
    connection.read_response()


def slow_reader(connection, host, draw):
    connection.send(h1.format_request("GET", "/big?bytes=1000000", host=host))
    for _ in range(40):
        connection.sock.recv(20_000)
        if done.wait(0.1):
            return


def nonsense(connection, host, draw):
    connection.send(bytes(draw.randrange(256) for _ in range(200)) + b"\r\n\r\n")
    connection.read_to_end()


BEHAVIOURS = (leave_in_head, leave_in_body, leave_in_answer, leave_waiting, slow_head, slow_body, slow_reader, nonsense)


def dishonest(tally, addresses, context, seed):
    draw = random.Random(seed)
    while not done.is_set():
        behave, host, over_tls = draw.choice(BEHAVIOURS), draw.choice(APPS), draw.random() < 0.3
        try:
            with h1.Connection(addresses[over_tls], 10, tls=context if over_tls else None) as connection:
                behave(connection, host, draw)
                if draw.random() < 0.5:
                    connection.reset()
        except BROKEN:
            pass  # whatever they get, they have asked for
        tally.add(behave.__name__)
        done.wait(0.05)


def reset_streams(tally, address, context, seed):
    """HTTP/2 streams that are given up, at a pace that is no attack."""
    draw = random.Random(seed)
    while not done.is_set():
        try:
            with h2.Connection(address, 10, tls=context) as connection:
                for _ in range(10):
                    stream = connection.request("GET", "/slow?ms=1000", authority=draw.choice(APPS), scheme="https")
                    if done.wait(0.1):
                        break
                    connection.send_reset(stream)
                    tally.add("reset_stream")
        except BROKEN:
            pass
        done.wait(0.2)


def frame(payload):
    mask = b"\1\2\3\4"
    return bytes([0x81, 0x80 | len(payload)]) + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(payload))


def tunnel(tally, address):
    """A WebSocket with an echo; opened anew when it ends, as it may, at a deadline or with its app."""
    while not done.is_set():
        try:
            with h1.Connection(address, 10) as connection:
                connection.send(h1.format_request("GET", "/ws", [
                    ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
                    ("Sec-WebSocket-Key", "c29hayBzb2FrIHNvYWsgIQ==")], host=APPS[0]))
                if connection.read_head().status != 101:
                    raise h1.ProtocolError("no tunnel")
                tally.add("tunnels")
                while not done.wait(0.2):
                    connection.send(frame(b"hello"))
                    if connection.read_exactly(7)[2:] != b"hello":
                        tally.add("wrong_echoes")
                    tally.add("echoes")
        except BROKEN:
            done.wait(0.2)


def main():
    http, https = (("127.0.0.1", int(port)) for port in sys.argv[1:3])
    tallies = collections.defaultdict(Tally)
    threads = []

    def start(target, *arguments):
        threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        threads[-1].start()

    versions = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
    for seed, (label, version) in enumerate(versions.items()):
        for name, kind, protocol in (("HTTP/1", OverHttp1, "http/1.1"), ("HTTP/2", OverHttp2, "h2")):
            for host in APPS:
                context = context_of(sys.argv[3], version, protocol)
                start(honest, tallies[f"{name}, {label}"], kind, https, context, host, f"{seed}{name[-1]}{host[0]}")
    plain = context_of(sys.argv[3], ssl.TLSVersion.TLSv1_3, "http/1.1")
    for seed in range(6):
        start(dishonest, tallies["others"], (http, https), plain, seed)
    start(reset_streams, tallies["others"], https, context_of(sys.argv[3], ssl.TLSVersion.TLSv1_3, "h2"), 7)
    for _ in range(2):
        start(tunnel, tallies["others"], http)

    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join(PATIENCE)
    report = {name: {**tally.counts, "stall_us": int(tally.stall * 1e6), "losses": tally.losses}
              for name, tally in tallies.items()}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
