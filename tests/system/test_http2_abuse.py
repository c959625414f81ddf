"""What clients can do to an HTTP/2 server by its own rules, and against them: each is stopped, with its reason, at the cost of
a few ordinary requests, and causes no work of the apps. And what honest clients do that looks like it, which is not."""

import dataclasses
import struct
import subprocess
import time

import pytest

import abuse
import h1
import h2
import targets
import tls_peer
from process import resident_bytes

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

    def start_gateway(*lines, routes="", kind="tcp4"):
        service.listen("http", kind)
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
    Attack("HEADERS behind the end", [get(s) + get(s) for s in odd(N)], CALM, EARLY, BUDGET),
    Attack("HEADERS on a stream that is gone", [get(1) + reset(1) + get(1)], h2.STREAM_CLOSED, RULES, 1),
    Attack("trailers that come late", [frame(h2.HEADERS, h2.END_HEADERS, 1, head(method="POST")) + window_update(1, 0)]
           + [get(1)] * N, CALM, FLOOD),
    Attack("trailers that do not end the stream",
           [frame(h2.HEADERS, h2.END_HEADERS, s, head(method="POST")) + frame(h2.HEADERS, h2.END_HEADERS, s) for s in odd(N)],
           CALM, EARLY),
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
    while not cost.is_unnoticed() and len(outcomes) < 30:  # what makes others wait does so again; other load does not
        more, cost = abuse.attack(gateway, act)
        outcomes += more
    print(f"{one}: {outcomes[0]} {cost} upstream={app.count}")
    for outcome in outcomes:
        assert outcome.closed and not outcome.reset and outcome.error == one.error, outcome
    assert app.count <= one.upstream * len(outcomes)
    gateway.wait_for_line(f"turned away .* on listener http: .*{one.fault}")
    abuse.check_cost(cost, len(one.frames), one.memory)


# Header lists


def test_a_header_list_over_the_limit_is_refused_alone(gateway, app):
    with connect(gateway) as client:
        for fields in ([("x", "y" * 16250)], [(f"x-{i}", "y") for i in range(101)]):
            response = client.read_response(client.request("GET", "/app/x", fields))
            assert response.status == 431
        assert client.settings[6] == 16384
        assert client.get("/hello", [("x", "y" * 16000)]).status == 200
    assert app.count == 0


@pytest.mark.costs
def test_a_bomb_in_a_header_block_takes_little_memory(gateway, app):
    """4 KB in the table, then one byte for each field that is a copy of it: 16 KB would become 64 MB, on each stream."""
    with connect(gateway) as client:
        client.get("/hello")
        before = resident_bytes(gateway.pid)
        indexed = b"\x40\x01a" + h2.encode_integer(3900, 7) + b"b" * 3900
        client.streams.update((stream, h2.Stream()) for stream in range(101, 300, 2))
        client.send_frame(h2.HEADERS, 5, 101, head() + indexed)
        for stream in range(103, 300, 2):
            client.send_frame(h2.HEADERS, 5, stream, head() + b"\xbe" * 390)
        for stream in range(103, 300, 2):
            assert client.read_response(stream).status == 431
    assert resident_bytes(gateway.pid) - before < 24 << 20
    assert app.count <= 1


# Clients that do not take what they asked for


@pytest.fixture
def big(service):
    """A file of 4 MB at /big."""
    (service.directory / "www").mkdir()
    (service.directory / "www" / "big").write_bytes(b"b" * (4 << 20))
    return f"[Route /files/]\nStatic={service.directory}/www\n"


@pytest.mark.costs
def test_a_window_that_stays_closed_ends_its_stream(start, big):
    gateway = start("SendTimeoutSec=2s", routes=big)
    with connect(gateway, settings=[(h2.INITIAL_WINDOW_SIZE, 0)]) as client:
        before = resident_bytes(gateway.pid)
        streams = [client.request("GET", "/files/big") for _ in range(50)]
        client.send_ping()
        client.read_until(lambda: client.pings)
        memory = resident_bytes(gateway.pid) - before
        for stream in streams:
            assert client.read_response(stream).reset == h2.CANCEL
        print(f"{memory / 50:.0f} bytes for each stream that waits")
        assert memory < 50 * 128 * 1024
        gateway.wait_for_line("turned away .*: it did not take a response")
        client.send_frame(h2.SETTINGS, 0, 0, struct.pack(">HI", h2.INITIAL_WINDOW_SIZE, 65535))
        assert client.get("/hello").status == 200  # the connection lives


def test_a_slow_reader_is_served_to_the_end(start, big):
    """Slower than the timeout, but never still."""
    gateway = start("SendTimeoutSec=2s", routes=big)
    with connect(gateway, window_updates=False) as client:
        stream = client.streams[client.request("GET", "/files/big")]
        got = 0
        for _ in range(5):
            client.read_until(lambda: len(stream.body) - got >= 60000)
            got = len(stream.body)
            time.sleep(1)
            client.send(window_update(0, 60000) + window_update(1, 60000))
        assert stream.reset is None


@pytest.mark.costs
def test_a_client_that_never_reads_is_ended(start, big):
    gateway = start("SendTimeoutSec=2s", routes=big)
    with connect(gateway, settings=[(h2.INITIAL_WINDOW_SIZE, 2**31 - 1)]) as client:
        client.send(window_update(0, 2**31 - 65536 - 1))
        before = resident_bytes(gateway.pid)
        for _ in range(90):
            client.request("GET", "/files/big")
        gateway.wait_for_line("turned away .*: it did not take a response")
        assert resident_bytes(gateway.pid) - before < 24 << 20
        h1.eventually(lambda: gateway.get("/hello").status == 200)


def test_a_flood_whose_answers_are_not_read_fills_no_memory(gateway):
    """Behind the window of the socket nothing is read, so nothing more is answered."""
    with connect(gateway) as client:
        client.sock.settimeout(3)
        before = resident_bytes(gateway.pid)
        with pytest.raises(OSError):
            for _ in range(2000):  # 34 MB at most
                client.send(frame(h2.PING, 0, 0, b"12345678") * 1000)
        gateway.wait_for_line("turned away .*to no purpose")
        assert resident_bytes(gateway.pid) - before < 16 << 20


@pytest.mark.parametrize("revive", ["WINDOW_UPDATE", "SETTINGS"])
def test_window_for_a_stream_that_has_just_ended(start, revive):
    """Its last bytes wait to be written, between others, and used up its window: what comes then must not revive it."""
    size, streams = 16000, odd(90)
    text = f'[Route /text]\nRespond=200 "{"x" * size}"\n'
    gateway = start(routes=text, kind="unix")  # where less fits into the socket
    with connect(gateway, settings=[(h2.INITIAL_WINDOW_SIZE, size)], window_updates=False) as client:
        client.read_until(lambda: client.settings)
        client.send(window_update(0, 2**30) + b"".join(get(stream, "/text") for stream in streams))
        client.streams.update((stream, h2.Stream()) for stream in streams)
        time.sleep(0.5)  # until the socket is full
        if revive == "SETTINGS":
            client.send_frame(h2.SETTINGS, 0, 0, struct.pack(">HI", h2.INITIAL_WINDOW_SIZE, size + 100))
        else:
            client.send(b"".join(window_update(stream, 10) for stream in streams))
        client.read_until(lambda: all(client.streams[stream].ended for stream in streams))
    assert gateway.get("/hello").status == 200


# Clients that begin, and do not go on


BEGINNINGS = {
    "half a preface": h2.PREFACE[:-4],
    "no settings": h2.PREFACE,
    "half a frame": h2.PREFACE + frame(h2.SETTINGS) + frame(h2.PING, 0, 0, b"12345678")[:11],
    "half a frame head": h2.PREFACE + frame(h2.SETTINGS) + b"\0\0",
    "half a header block": h2.PREFACE + frame(h2.SETTINGS) + frame(h2.HEADERS, h2.END_STREAM, 1, head()),
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_what_is_begun_must_be_ended(start, app, name):
    gateway = start("HeadTimeoutSec=1s")
    with connect(gateway, preface=False) as client:
        assert abuse.send_and_see(client, BEGINNINGS[name]).closed  # without a word more, not even to acknowledge settings
    gateway.wait_for_line("turned away .*the head of a request took too long")
    assert app.count == 0


def test_pings_keep_no_connection_alive(start):
    gateway = start("IdleTimeoutSec=2s")
    with connect(gateway) as client:
        assert client.get("/hello").status == 200
        began = time.monotonic()
        with pytest.raises((h1.Closed, OSError)):
            while time.monotonic() < began + 15:
                client.send_ping()
                client.read_frame()
                time.sleep(0.02)
        assert [g.error for g in client.goaways] == [h2.NO_ERROR, h2.NO_ERROR]
        assert client.goaways[0].last_stream == 2**31 - 1  # a request on its way would have been answered
    assert not [line for line in gateway.lines() if "turned away" in line]


def test_a_request_in_progress_is_not_idle(start, app):
    gateway = start("IdleTimeoutSec=1s")
    with connect(gateway) as client:
        stream = client.request("GET", "/app/slow")
        app.wait(1)
        time.sleep(3)
        app.open()
        assert client.read_response(stream).status == 200


def test_a_body_that_does_not_come_is_given_up(start, app):
    gateway = start("BodyTimeoutSec=1s")
    with connect(gateway) as client:
        stalled = client.request("POST", "/app/x", end=False)
        client.send_data(stalled, b"abc")
        steady = client.request("POST", "/hello", end=False)
        while client.streams[stalled].reset is None:
            client.send_data(steady, bytes(100))
            client.send_ping()
            client.read_frame()
            time.sleep(0.1)
        assert client.streams[stalled].status == 408
        assert client.streams[stalled].reset == h2.NO_ERROR
        client.send_data(steady, b"x", end=True)
        assert client.read_response(steady).status == 200
    gateway.wait_for_line("turned away .*the body of a request took too long")
    assert app.count == 0


@pytest.mark.parametrize("whole", [True, False], ids=["frames", "a frame"])
@pytest.mark.parametrize("size", [5, 300])
def test_a_body_that_is_slow(start, app, whole, size):
    """In frames of its own or within one, at less or more than BodyMinRate=, for several times BodyTimeoutSec=."""
    app.open()
    gateway = start("BodyTimeoutSec=1s", "BodyMinRate=1000")
    with connect(gateway) as client:
        client.send(b"" if whole else frame(h2.HEADERS, h2.END_HEADERS, 1, head(method="POST")))
        stream = client.request("POST", "/app/x", end=False) if whole else 1
        response = client.streams.setdefault(stream, h2.Stream())
        if not whole:
            client.send(frame(h2.DATA, h2.END_STREAM, 1, bytes(40 * size))[:9])
        for i in range(40):
            if any("turned away" in line for line in gateway.lines()):
                break
            client.send(frame(h2.DATA, h2.END_STREAM if i == 39 else 0, stream, bytes(size)) if whole else bytes(size))
            time.sleep(0.1)
        else:
            assert size == 300, "it was let be too slow"
            assert client.read_response(stream).status == 200
            return
        assert size == 5
        client.read_until(lambda: response.headers)
        assert response.status == 408
        gateway.wait_for_line("turned away .*the body of a request took too long.*too slowly")
        assert app.count == 0


def test_window_in_drops(start, big):
    """A stream that gets a byte of window now and then is never stalled, and would never end."""
    gateway = start("SendTimeoutSec=1s", routes=big)
    with connect(gateway, settings=[(h2.INITIAL_WINDOW_SIZE, 1)], window_updates=False) as client:
        streams = [client.request("GET", "/files/big") for _ in range(5)]
        while not client.goaways:
            client.send(b"".join(window_update(stream, 1) for stream in streams))
            client.send_ping()
            client.read_until(lambda n=len(client.pings): client.goaways or len(client.pings) > n)
            time.sleep(0.1)
        assert all(client.streams[stream].reset is None for stream in streams)
    gateway.wait_for_line("turned away .*: it did not take a response.*too slowly")


def test_a_response_that_others_come_before(start, big):
    """The client wants it after another, and shares its own small window out like that."""
    gateway = start("SendTimeoutSec=1s", "SendMinRate=5000", routes=big)
    with connect(gateway, settings=[(h2.INITIAL_WINDOW_SIZE, 2**24)], window_updates=False) as client:
        client.read_until(lambda: client.settings)
        first = client.request("GET", "/files/big")
        client.read_until(lambda: len(client.streams[first].body) == 65535)
        later = client.request("GET", "/files/big")
        client.send_frame(h2.PRIORITY, 0, later, struct.pack(">IB", first, 15))
        for _ in range(40):
            client.send(window_update(0, 1000))
            time.sleep(0.1)
        client.send(window_update(0, 2**24))
        for stream in (first, later):
            assert len(client.read_response(stream).body) == 4 << 20
    assert not [line for line in gateway.lines() if "turned away" in line]


# Honest clients


def test_streams_up_to_what_is_announced(gateway, app):
    with connect(gateway) as client:
        client.read_until(lambda: client.settings)
        assert client.settings[3] == 100
        app.open()
        streams = [client.request("GET", f"/app/{i}") for i in range(100)]
        assert all(client.read_response(stream).status == 200 for stream in streams)
        assert app.count == 100


def test_one_stream_too_many_is_refused_alone(gateway, app):
    with connect(gateway) as client:
        streams = [client.request("GET", f"/app/{i}") for i in range(101)]
        assert client.read_response(streams[-1]).reset == h2.REFUSED_STREAM
        app.open()
        assert all(client.read_response(stream).status == 200 for stream in streams[:-1])
        assert client.get("/hello").status == 200


def test_a_browser_that_cancels_some_requests(gateway, app):
    """A hundred of them: all that it had asked for, at once."""
    with connect(gateway) as client:
        streams = [client.request("GET", "/app/x") for _ in range(100)]
        app.wait(100)
        for stream in streams:
            client.send_reset(stream)
        assert client.get("/hello").status == 200
        app.open()
        for _ in range(300):  # then some, among answered ones
            client.send_reset(client.request("GET", "/app/x"))
            assert client.get("/hello").status == 200


def test_a_request_and_its_reset_cost_no_upstream_connection(gateway, app):
    with connect(gateway) as client:
        for stream in odd(50):
            client.send(get(stream) + reset(stream))
        client.next_stream = 101
        assert client.get("/hello").status == 200
    assert app.count == 0


def test_uploads_in_many_small_frames(gateway, app):
    app.open()
    with connect(gateway) as client:
        client.read_until(lambda: client.settings)
        stream = client.request("POST", "/app/x", end=False)
        for _ in range(100):
            client.send(frame(h2.DATA, 0, stream, b"x") * 100)
        client.send_data(stream, b"", end=True)
        assert client.read_response(stream).status == 200
    assert len(app.requests.snapshot()[0].body) == 10000


@pytest.mark.parametrize("window", [512, 1024, 16384])
def test_downloads_with_small_windows(start, big, window):
    gateway = start(routes=big)
    with connect(gateway, settings=[(h2.INITIAL_WINDOW_SIZE, window)]) as client:
        response = client.read_response(client.request("GET", "/files/big", [("range", "bytes=0-999999")]))
        assert (response.status, len(response.body)) == (206, 1_000_000)


def test_pings_now_and_then(gateway):
    with connect(gateway) as client:
        for i in range(900):
            client.send_ping(struct.pack(">Q", i))
            if i % 100 == 0:
                assert client.get("/hello").status == 200
        client.read_until(lambda: len(client.pings) == 900)


def test_h2load(gateway):
    port = gateway.address()[1]
    command = ["h2load", "-n", "20000", "-c", "4", "-m", "100", f"http://127.0.0.1:{port}/hello"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "20000 succeeded, 0 failed, 0 errored" in result.stdout, result.stdout + result.stderr


def test_curl(service, tmp_path):
    """Twenty requests on one connection, one after the other; then as many at once. Over TLS: with --http2-prior-knowledge
    curl 7.88 cannot use a connection again, whatever the server."""
    certificate = tls_peer.start(service, tmp_path)
    port = service.address()[1]
    urls = ["-o", "/dev/null", f"https://localhost:{port}/hello"] * 20
    command = ["curl", "-sS", "--no-progress-meter", "--http2", "--cacert", certificate, "--resolve", f"localhost:{port}:127.0.0.1"]
    for more in ([], ["--parallel"]):
        form = "%{http_code} %{http_version} %{size_download} %{num_connects}\n"
        result = subprocess.run([*command, *more, "-w", form, *urls], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        assert sorted(result.stdout.splitlines()) == ["200 2 5 0"] * 19 + ["200 2 5 1"], result.stdout
