"""What clients can do to an HTTP/2 server by its own rules, and against them: each is stopped, with its reason, at the cost of
a few ordinary requests, and causes no work of the apps. And what honest clients do that looks like it, which is not."""

import dataclasses
import struct
import subprocess
import threading
import time

import pytest

import abuse
import h1
import h2
import targets

ROUTES = '[Route /hello]\nRespond=200 "hello"\n[Route /app/*rest]\nUpstream=app\n'
BUDGET = 200  # of streams that may end early at once


@pytest.fixture
def app(service):
    app = targets.App(service.directory / "app.sock", closed=True)
    yield app
    app.close()


@pytest.fixture
def start(service, app):
    """Starts a gateway, with further lines of [Gateway]."""

    def start_gateway(*lines, routes=""):
        service.listen("http", "tcp4")
        service.configure(f"[Upstream app]\nTarget={app.target}\n" + ROUTES + routes, gateway="\n".join(["Threads=1", *lines]))
        service.allow("info: request from", "info: turned away")
        return service.start_ready()

    return start_gateway


@pytest.fixture
def gateway(start):
    return start()


def connect(gateway, **options):
    return h2.Connection(gateway.address(), **options)


def head(path="/app/x", method="GET", more=()):
    return h2.encode_headers([(":method", method), (":scheme", "http"), (":path", path), (":authority", "test"), *more])


def frame(kind, flags=0, stream=0, payload=b""):
    return h2.encode_frame(kind, flags, stream, payload)


def get(stream, path="/app/x", flags=h2.END_STREAM | h2.END_HEADERS):
    return frame(h2.HEADERS, flags, stream, head(path))


def window_update(stream, increment):
    return frame(h2.WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset(stream):
    return frame(h2.RST_STREAM, 0, stream, struct.pack(">I", h2.CANCEL))


def odd(n):
    return range(1, 2 * n, 2)


@dataclasses.dataclass
class Attack:
    name: str
    frames: list
    error: int
    fault: str  # a pattern of what is said
    upstream: int = 0  # requests at most
    memory: int = 16 << 20

    def __str__(self):
        return self.name


CALM = h2.ENHANCE_YOUR_CALM
EARLY, FLOOD, HEADERS_, RULES = "ended early", "frames to no purpose", "header block that is too large", "rules of HTTP/2"
N = 2000

ATTACKS = [
    Attack("rapid reset", [get(s) + reset(s) for s in odd(N)], CALM, EARLY, BUDGET),
    Attack("a window that overflows", [get(s) + window_update(s, 2**31 - 1) for s in odd(N)], CALM, EARLY, BUDGET),
    Attack("a window update of zero", [get(s) + window_update(s, 0) for s in odd(N)], CALM, EARLY, BUDGET),
    Attack("DATA behind the end", [get(s) + frame(h2.DATA, 0, s, b"x") for s in odd(N)], CALM, EARLY, BUDGET),
    Attack("PRIORITY on itself", [get(s) + frame(h2.PRIORITY, 0, s, struct.pack(">IB", s, 1)) for s in odd(N)],
           h2.PROTOCOL_ERROR, RULES, 1),
    Attack("HEADERS behind the end", [get(s) + get(s) for s in odd(N)], h2.STREAM_CLOSED, RULES, 1),
    Attack("a length that is not kept",
           [frame(h2.HEADERS, h2.END_HEADERS, s, head(method="POST", more=[("content-length", "5")]))
            + frame(h2.DATA, h2.END_STREAM, s, b"x") for s in odd(N)], CALM, EARLY, BUDGET),
    Attack("requests without a path",
           [frame(h2.HEADERS, 5, s, h2.encode_headers([(":method", "GET"), (":scheme", "http")])) for s in odd(N)],
           CALM, EARLY, BUDGET),
    Attack("streams beyond what is announced", [get(s) for s in odd(N)], CALM, EARLY, 100),
    Attack("CONTINUATION of many bytes", [frame(h2.HEADERS, h2.END_STREAM, 1, head())]
           + [frame(h2.CONTINUATION, 0, 1, h2.encode_headers([("x", "y" * 1000)])) for _ in range(N)], CALM, HEADERS_),
    Attack("CONTINUATION of nothing", [frame(h2.HEADERS, h2.END_STREAM, 1, head())]
           + [frame(h2.CONTINUATION, 0, 1) for _ in range(N)], CALM, HEADERS_),
    Attack("CONTINUATION of another stream", [frame(h2.HEADERS, 0, 1, head()), frame(h2.CONTINUATION, 4, 3, b"")] * N,
           h2.PROTOCOL_ERROR, RULES),
    Attack("a field per byte", [frame(h2.HEADERS, 5, s, head() + b"\x82" * 12000) for s in odd(100)], CALM, HEADERS_),
    Attack("SETTINGS", [frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 4, 65535 - i % 2)) for i in range(N)], CALM, FLOOD),
    Attack("long SETTINGS", [frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 4, 65535) * 2730) for _ in range(100)], CALM, FLOOD),
    Attack("PING", [frame(h2.PING, 0, 0, b"12345678")] * N, CALM, FLOOD),
    Attack("PRIORITY", [frame(h2.PRIORITY, 0, 2 * (i % 8) + 1, struct.pack(">IB", 0, i % 256)) for i in range(N)], CALM, FLOOD),
    Attack("empty DATA", [frame(h2.HEADERS, h2.END_HEADERS, 1, head(method="POST"))] + [frame(h2.DATA, 0, 1)] * N, CALM, FLOOD),
    Attack("padding only", [frame(h2.HEADERS, h2.END_HEADERS, 1, head(method="POST"))]
           + [frame(h2.DATA, h2.PADDED, 1, b"\5" + b"\0" * 5)] * N, CALM, FLOOD),
    Attack("DATA on a stream that is gone", [get(1) + reset(1)] + [frame(h2.DATA, 0, 1, b"x")] * N, CALM, FLOOD, 1),
    Attack("small window updates", [window_update(0, 1)] * N, CALM, FLOOD),
    Attack("types that nobody knows", [frame(0x42, 0xFF, 7, b"xyz")] * N, CALM, FLOOD),
    Attack("resets of streams that are gone", [get(1) + reset(1)] + [reset(1)] * N, CALM, FLOOD, 1),
    Attack("a frame larger than announced", [frame(h2.DATA, 0, 1, b"x" * 16385)] * 10, h2.FRAME_SIZE_ERROR, RULES),
    Attack("a table larger than announced", [frame(h2.HEADERS, 5, s, b"\x3f\xff\xff\x7f" + head()) for s in odd(N)],
           h2.COMPRESSION_ERROR, RULES),
    Attack("Cache-Digest",
           # 4 KB in the table, then a byte for each time that it is decoded anew
           [frame(h2.HEADERS, 5, 1, head() + b"\x40" + b"\x0ccache-digest" + h2.encode_integer(3900, 7) + b"A" * 3900)]
           + [frame(h2.HEADERS, 5, s, head() + b"\xbe" * 300) for s in odd(300)[1:]], h2.PROTOCOL_ERROR, RULES),
]


@pytest.mark.parametrize("one", ATTACKS, ids=str)
def test_an_attack_is_stopped(gateway, app, one):
    def act():
        with connect(gateway) as client:
            client.read_until(lambda: client.settings)
            return abuse.send_and_see(client, *one.frames)

    outcomes, cost = abuse.attack(gateway, act)
    print(f"{one}: {outcomes[0]} {cost} upstream={app.count}")
    for outcome in outcomes:
        assert outcome.closed and not outcome.reset and outcome.error == one.error, outcome
    assert app.count <= one.upstream * len(outcomes)
    gateway.wait_for_line(f"turned away .* on listener http: .*{one.fault}")
    abuse.check_cost(cost, len(one.frames), one.memory)
