"""Request bodies: in memory, on disk, and where there is room for neither. What an app gets is compared by hash."""

import array
import contextlib
import hashlib
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

import h1
import h2
from process import forget_peak, resident_bytes
from targets import App, configure, metric, send, serve

KIB, MIB = 1 << 10, 1 << 20
SO_RCVBUFFORCE = 33  # which Python does not name
MEMORY = 64 * KIB  # BodyMemorySize= in most tests
# At each edge there is: nothing, what comes with the head, what is received at once, what is kept in memory.
SIZES = [0, 1, 100, 4 * KIB, 8 * KIB, MEMORY - 1, MEMORY, MEMORY + 1, 3 * MEMORY + 7, 5 * MIB]


def body_of(size):
    """Bytes that a shifted, repeated or missing piece would be seen in."""
    return array.array("I", range((size + 3) // 4)).tobytes()[:size]


def digest(data):
    return hashlib.sha256(data).hexdigest().encode()


def answer_digest(connection, request):
    connection.respond(200, digest(request.body), [("X-Length", str(len(request.body)))])


@pytest.fixture
def app(service):
    """An app that answers with the hash of what it got."""
    app = App(service.directory / "app.sock", answer=answer_digest)
    yield app
    app.close()


@pytest.fixture
def spool(service):
    """The folder that bodies go to."""
    folder = service.directory / "spool"
    folder.mkdir()
    service.environment["TMPDIR"] = str(folder)
    return folder


def gateway_options(more=""):
    return f"Threads=2\nBodyMemorySize={MEMORY}\nMaxBodySize=infinity\n{more}"


@pytest.fixture
def gateway(service, app, spool):
    service.allow("warning: no room for a request's body")
    return serve(service, [app.target], gateway=gateway_options())


def chunked(data, size=5000):
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def post_chunked(client, data, path="/x"):
    client.request("POST", path, [("Transfer-Encoding", "chunked")])
    client.send(chunked(data))
    return client.read_response()


def post(client, data, path="/x"):
    client.request("POST", path, body=data)
    return client.read_response()


def post_http2(service, data, headers=(), path="/x"):
    with h2.Connection(service.address()) as client:
        return client.read_response(client.request("POST", path, headers, body=data))


def read_early_response(client, stream):
    """The whole response to a request that was not, and the error code by which the client is told to stop."""
    response = client.read_response(stream)
    assert response.ended
    client.read_until(lambda: response.reset is not None)
    # What the client was sending meanwhile may be answered by more of them.
    first = next(f for f in client.frames if (f.kind, f.stream) == (h2.RST_STREAM, stream))
    return response, int.from_bytes(first.payload, "big")


def unnamed_files(service):
    """The files without a name that it has open where bodies go to, or would by h2o's default."""
    folders = (str(service.directory / "spool"), "/tmp/h2o")
    found = []
    for fd in pathlib.Path(f"/proc/{service.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(fd).startswith(folders) and "/valgrind_proc_" not in os.readlink(fd):
                found.append(os.readlink(fd))
    return found


def mapped_files(service):
    """… and those that are mapped."""
    maps = pathlib.Path(f"/proc/{service.pid}/maps").read_text()
    return [line for line in maps.splitlines()
            if (str(service.directory / "spool") in line or "/h2o." in line) and "/tsan.rodata" not in line]


def assert_clean(service, spool):
    """Nothing is left of any body."""
    h1.eventually(lambda: not unnamed_files(service))
    assert not list(spool.iterdir())
    h1.eventually(lambda: metric(service, "request_body_disk_bytes") == 0)
    h1.eventually(lambda: metric(service, "request_body_memory_bytes") == 0)


# Whole and unchanged


@pytest.mark.parametrize("size", SIZES)
def test_a_body_arrives_unchanged(gateway, spool, size):
    data = body_of(size)
    with gateway.connect() as client, h2.Connection(gateway.address()) as client2:
        for response in (
            post(client, data),
            post_chunked(client, data),
            post(client, data),
            client2.read_response(client2.request("POST", "/x", body=data)),
            client2.read_response(client2.request("POST", "/x", [("content-length", str(size))], body=data)),
        ):
            assert (response.status, response.body) == (200, digest(data))
            assert response.headers.get("X-Length") == str(size)
    assert metric(gateway, "request_bodies_spilled_total") == (5 if size > MEMORY else 0)
    assert_clean(gateway, spool)


@pytest.mark.parametrize("size", [100, MEMORY - 1, MEMORY + 1, MIB])
def test_what_is_pipelined_behind_a_body_survives(gateway, size):
    """In one piece with the body's end, and with the second body's beginning."""
    data, other = body_of(size), body_of(size)[::-1]
    with gateway.connect() as client:
        requests = [
            h1.format_request("POST", "/1", body=data),
            h1.format_request("POST", "/2", [("Transfer-Encoding", "chunked")]) + chunked(other),
            h1.format_request("PUT", "/3", body=other),
            h1.format_request("GET", "/4"),
        ]
        sender = threading.Thread(target=client.send, args=[b"".join(requests)], daemon=True)
        sender.start()
        for expected in (data, other, other, b""):
            response = client.read_response()
            assert (response.status, response.body) == (200, digest(expected))
        sender.join(10)


def test_a_body_may_come_byte_by_byte(gateway):
    """Around the place where it goes to disk, and at its end."""
    data = body_of(MEMORY + 50)
    for encoded, headers in ((data, [("Content-Length", str(len(data)))]),
                             (chunked(data, 1000), [("Transfer-Encoding", "chunked")])):
        with gateway.connect() as client:
            client.request("POST", "/x", headers)
            client.send(encoded[: MEMORY - 50])
            for i in range(MEMORY - 50, len(encoded)):
                client.send(encoded[i : i + 1])
            assert client.read_response().body == digest(data)


def test_http2_bodies_may_be_padded_interleaved_and_followed_by_trailers(gateway, spool):
    bodies = [body_of(MEMORY + 5), body_of(MEMORY // 2), body_of(2 * MEMORY)[::-1]]
    with h2.Connection(gateway.address()) as client:
        streams = [client.request("POST", "/x", end=False) for _ in bodies]
        for at in range(0, 2 * MEMORY, 5000):
            for stream, data in zip(streams, bodies):
                if piece := data[at : at + 5000]:
                    client.send_frame(h2.DATA, h2.PADDED, stream, b"\x64" + piece + bytes(100))
        for number, (stream, data) in enumerate(zip(streams, bodies)):
            if number == 0:
                client.send_frame(h2.DATA, h2.END_STREAM, stream)
            elif number == 1:
                client.send_frame(h2.DATA, h2.END_STREAM | h2.PADDED, stream, b"\x02\0\0")
            else:
                client.send_frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, stream, h2.encode_headers([("x-sum", "1")]))
            assert client.read_response(stream).body == digest(data)
    assert_clean(gateway, spool)


@pytest.mark.parametrize("said, sent, trailers", [(10, 9, False), (10, 11, False), (0, 1, False), (10, 9, True), (10, 0, True),
                                                  (MEMORY * 2, MEMORY * 2 - 1, False)])
def test_http2_resets_a_body_that_is_not_as_long_as_was_said(gateway, app, spool, said, sent, trailers):
    with h2.Connection(gateway.address()) as client:
        stream = client.request("POST", "/x", [("content-length", str(said))], end=False)
        if sent:
            client.send_data(stream, body_of(sent), end=not trailers)
        if trailers:
            client.send_frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, stream, h2.encode_headers([("x-sum", "1")]))
        assert client.read_response(stream).reset == h2.PROTOCOL_ERROR
        assert client.get("/y").status == 200
    assert app.seen == ["/y"]
    assert_clean(gateway, spool)


def test_http2_refuses_before_the_body_has_come(service, app, spool):
    """By what the head says; and as soon as there is too much. What still comes is thrown away."""
    serve(service, [app.target], gateway=gateway_options(), route="Methods=GET POST\nMaxBodySize=100K")
    with h2.Connection(service.address()) as client:
        for method, headers, status in (("POST", [("content-length", "102401")], 413), ("PUT", [], 405), ("POST", [], 413)):
            stream = client.request(method, "/x", headers, end=False)
            if (method, headers) == ("POST", []):
                client.send_data(stream, body_of(100 * KIB + 1))
            response, reset = read_early_response(client, stream)
            assert (response.status, reset) == (status, h2.NO_ERROR)
            client.send_data(stream, body_of(1000), end=True)  # that was still on its way
            assert client.read_response(client.request("POST", "/ok", body=b"abc")).body == digest(b"abc")
    assert app.seen == ["/ok"] * 3
    assert_clean(service, spool)


@pytest.mark.costs
def test_a_large_http2_upload_passes_through_its_windows(gateway, app, spool):
    """More than twice what the windows are; and nothing of it is mapped, or in memory."""
    app.shut()
    size = 40 * MIB
    data = body_of(size)
    with h2.Connection(gateway.address(), timeout=60) as client:
        before = resident_bytes(gateway.pid)
        stream = client.request("POST", "/x", body=data)
        app.wait(1, 60)
        assert resident_bytes(gateway.pid, "VmHWM") - before < 8 * MIB
        assert metric(gateway, "request_body_disk_bytes") == size
        assert not mapped_files(gateway)
        app.open()
        assert client.read_response(stream).body == digest(data)
    assert_clean(gateway, spool)


@pytest.mark.costs
def test_a_part_of_a_frame_holds_no_more_than_itself(service, app, spool):
    """What was read at once with it is not kept: h2o's buffer is as large as all that the kernel had."""
    app.shut()
    service.listen("http", "tcp4")
    service.listen("admin")
    service.sockets[0][1].setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 * MIB)
    configure(service, [app.target], gateway="Threads=1\nMaxBodySize=64M\nBodyMemorySize=0")
    service.start_ready()
    n = 16
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(h2.Connection(service.address())) for _ in range(n)]
        streams = [client.request("POST", "/x", end=False) for client in clients]
        for client, stream in zip(clients, streams):
            client.send_data(stream, b"begin")
        h1.eventually(lambda: metric(service, "request_body_disk_bytes") == n * 5)
        before = resident_bytes(service.pid)
        service.signal(signal.SIGSTOP)
        for client, stream in zip(clients, streams):
            frames = h2.encode_frame(h2.DATA, 0, stream, bytes(16 * KIB)) * 128
            client.send(frames + frames[:1000])
        service.signal(signal.SIGCONT)
        h1.eventually(lambda: metric(service, "request_body_disk_bytes") == n * (5 + 2 * MIB))
        assert resident_bytes(service.pid) - before < n * MIB


def test_without_memory_every_body_that_does_not_come_with_its_head_goes_to_disk(service, app, spool):
    serve(service, [app.target], gateway="BodyMemorySize=0")
    data = body_of(100)
    with service.connect() as client:
        assert post(client, data).body == digest(data)
        assert metric(service, "request_bodies_spilled_total") == 0
        client.request("POST", "/x", [("Content-Length", "100"), ("Expect", "100-continue")])
        assert client.read_head().status == 100
        client.send(data)
        assert client.read_response().body == digest(data)
    assert metric(service, "request_bodies_spilled_total") == 1
    assert_clean(service, spool)


def test_a_body_on_disk_has_no_name_and_is_not_mapped(gateway, app, spool):
    app.shut()
    data = body_of(2 * MIB)
    with send(gateway, "/x", "POST", body=data) as client:
        app.wait(1)
        assert len(unnamed_files(gateway)) == 1 and not list(spool.iterdir())
        assert unnamed_files(gateway)[0].endswith(" (deleted)")
        assert not mapped_files(gateway)
        assert metric(gateway, "request_body_disk_bytes") == len(data)
        assert metric(gateway, "request_body_memory_bytes") == 0
        app.open()
        assert client.read_response().body == digest(data)
    assert_clean(gateway, spool)


@pytest.mark.parametrize("how", ["reset", "end"])
def test_nothing_is_left_of_an_http2_stream_that_ends(gateway, app, spool, how):
    with h2.Connection(gateway.address()) as client:
        stream = client.request("POST", "/x", body=body_of(MIB), end=False)
        h1.eventually(lambda: metric(gateway, "request_body_disk_bytes") == MIB)
        if how == "reset":
            client.send_reset(stream)
            assert client.get("/y").status == 200
    assert_clean(gateway, spool)


@pytest.mark.parametrize("how", ["head", "half", "whole"])
def test_nothing_is_left_of_a_client_that_goes_away(gateway, app, spool, how):
    app.shut()
    data = body_of(MIB)
    with gateway.connect() as client:
        client.send(h1.format_request("POST", "/x", body=data)[: {"head": 100, "half": MIB // 2, "whole": None}[how]])
        if how == "whole":
            app.wait(1)
        elif how == "half":
            h1.eventually(lambda: metric(gateway, "request_body_disk_bytes") > 0)
    assert_clean(gateway, spool)


def test_nothing_is_left_after_a_crash(gateway, app, spool):
    app.shut()
    with send(gateway, "/x", "POST", body=body_of(MIB)):
        app.wait(1)
        gateway.expected_status = None
        gateway.signal(9)
        gateway.wait()
        assert not list(spool.iterdir())


# Sent again


@pytest.fixture
def pair(service):
    """Two apps, played by the test."""
    apps = [h1.Upstream(service.directory / f"{name}.sock") for name in ("one", "two")]
    yield apps
    for app in apps:
        app.close()


@pytest.mark.parametrize("method, headers", [("PUT", []), ("POST", [("Idempotency-Key", '"k"')])])
@pytest.mark.parametrize("part", [0, MIB, 3 * MIB])
def test_a_body_on_disk_is_sent_again_where_that_is_allowed(service, spool, pair, method, headers, part):
    """The first target reads so much of it, and hangs up."""
    route = "ReplayIdempotencyKey=yes"
    serve(service, [app.target for app in pair], gateway=gateway_options(), route=route)
    data = body_of(3 * MIB)
    with service.connect() as client:
        client.request(method, "/x", headers, data)
        ready, _, _ = select.select([app.sock for app in pair], [], [], 10)
        bad, good = sorted(pair, key=lambda app: app.sock not in ready)
        connection = bad.accept()
        connection.read_request_head()
        connection.read_exactly(part)
        connection.close()
        connection, request = good.expect()
        assert (request.method, digest(request.body)) == (method, digest(data))
        connection.respond(200, b"good")
        assert client.read_response().body == b"good"
    assert metric(service, "upstream_retries_total", upstream="app") == 1
    assert_clean(service, spool)


def test_a_held_upload_goes_out_from_disk(service, spool):
    path = service.directory / "late.sock"
    serve(service, [f"unix:{path}"], gateway=gateway_options())
    data = body_of(2 * MIB)
    with send(service, "/x", "POST", body=data) as client:
        h1.eventually(lambda: metric(service, "upstream_held", upstream="app") == 1)
        assert metric(service, "upstream_held_bytes") > len(data)
        late = App(path, answer=answer_digest)
        assert client.read_response().body == digest(data)
        late.close()
    assert_clean(service, spool)


# Limits


@pytest.mark.parametrize("limit, size, status", [("0", 0, 200), ("0", 1, 413), ("1000", 1000, 200), ("1000", 1001, 413),
                                                 ("100K", 102400, 200), ("100K", 102401, 413), ("infinity", MIB, 200)])
def test_the_limit_holds_however_a_body_comes(service, app, spool, limit, size, status):
    serve(service, [app.target], gateway=f"BodyMemorySize={MEMORY}\nMaxBodySize=10K", route=f"MaxBodySize={limit}")
    data = body_of(size)
    for headers, encoded in (([("Content-Length", str(size))], data),
                             ([("Transfer-Encoding", "chunked")], chunked(data) if size else b"0\r\n\r\n")):
        with service.connect() as client:
            client.request("POST", "/x", headers)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.send(encoded)
            assert client.read_response().status == status
    for headers in ([], [("content-length", str(size))]):
        assert post_http2(service, data, headers).status == status
    assert_clean(service, spool)


# No room


def fill_disk(service, spool, how):
    """From now on a body of more than a megabyte cannot be stored."""
    if how == "EFBIG":
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (MIB, resource.RLIM_INFINITY))
    elif how == "ENOENT":
        spool.rmdir()


@pytest.fixture
def small_disk(spool):
    """The folder is a file system of one megabyte."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(spool)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield spool
    subprocess.run(["umount", "-l", str(spool)], check=True)


def upload_is_refused(service, size, reason):
    """503 for the one that there is no room for; others are served meanwhile."""
    data, small = body_of(size), body_of(1000)
    with service.connect() as slow, service.connect() as client:
        slow.request("POST", "/slow", [("Content-Length", str(MEMORY))])
        slow.send(body_of(MEMORY)[:-1])
        client.request("POST", "/x", [("Transfer-Encoding", "chunked")])
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(chunked(data))
        response = client.read_response()
        assert (response.status, response.headers.get("Retry-After")) == (503, "1")
        client.assert_closed()
        with service.connect() as other:
            assert post(other, small).body == digest(small)
            assert other.get("/y").status == 200
        with h2.Connection(service.address()) as client2:
            stream = client2.request("POST", "/x", body=data, end=False)
            other = client2.request("POST", "/y", body=small)
            assert client2.read_response(other).body == digest(small)
            response, reset = read_early_response(client2, stream)
            assert (response.status, response.headers.get("retry-after"), reset) == (503, "1", h2.NO_ERROR)
        slow.send(body_of(MEMORY)[-1:])
        assert slow.read_response().body == digest(body_of(MEMORY))
    line = service.wait_for_line("no room for a request's body")
    assert f"folder={service.environment['TMPDIR']} reason={reason}" in line, line
    assert metric(service, "request_bodies_refused_total") == 2


@pytest.mark.parametrize("name", ["EFBIG", "ENOENT"])
def test_a_disk_that_does_not_take_it_refuses_that_one_alone(gateway, spool, name):
    fill_disk(gateway, spool, name)
    upload_is_refused(gateway, MIB // 2 if name == "ENOENT" else MIB + MIB // 2, name)
    spool.mkdir(exist_ok=True)
    assert_clean(gateway, spool)


def test_a_full_disk_refuses_that_one_alone(service, app, small_disk):
    serve(service, [app.target], gateway=gateway_options())
    service.allow("warning: no room for a request's body")
    upload_is_refused(service, MIB + MIB // 2, "ENOSPC")
    assert_clean(service, small_disk)
    data = body_of(MIB // 2)  # there is room again
    with service.connect() as client:
        assert post(client, data).body == digest(data)


def test_the_bound_over_all_is_met_with_503_and_passes(service, app, spool):
    """Slow uploads fill it; what is small enough to come with its head needs none of it."""
    serve(service, [app.target], gateway=gateway_options("MaxBufferedSize=1M"))
    service.allow("warning: no room for a request's body")
    piece = body_of(200 * KIB)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(service.connect()) for _ in range(5)]
        for client in slow:
            client.request("POST", "/slow", [("Content-Length", str(len(piece)))])
            client.send(piece[:-1])
        h1.eventually(lambda: metric(service, "request_body_disk_bytes") == 5 * (len(piece) - 1))
        for headers in ([("Content-Length", str(len(piece)))],
                        [("Content-Length", str(len(piece))), ("Expect", "100-continue")],
                        [("Transfer-Encoding", "chunked")]):
            client = stack.enter_context(service.connect())
            client.request("POST", "/x", headers)
            if len(headers) == 1:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.send(chunked(piece) if headers[0][1] == "chunked" else piece)
            response = client.read_response()
            assert not response.informational
            assert (response.status, response.headers.get("Retry-After")) == (503, "1")
            client.assert_closed()
        assert post_http2(service, piece).status == 503
        assert post_http2(service, piece, [("content-length", str(len(piece)))]).status == 503
        client = stack.enter_context(service.connect())
        assert post(client, piece[:100]).body == digest(piece[:100])
        for client in slow:
            client.send(piece[-1:])
            assert client.read_response().body == digest(piece)
    line = service.wait_for_line("MaxBufferedSize= is reached")
    assert "peer=" in line, line
    assert metric(service, "request_bodies_refused_total") == 5
    with service.connect() as client:
        assert post(client, piece).body == digest(piece)
    assert_clean(service, spool)


# Memory


@pytest.mark.costs
def test_memory_stays_bounded_with_many_large_uploads(service, spool):
    """Held all at once, and then sent on from disk."""
    path = service.directory / "late.sock"
    n, size = 32, 8 * MIB
    serve(service, [f"unix:{path}"], "HoldMaxSize=infinity\nHoldSec=1min", gateway=gateway_options())
    data = body_of(size)
    before = resident_bytes(service.pid)
    forget_peak(service.pid)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(service.connect(timeout=60)) for _ in range(n)]
        for client in clients:
            client.request("POST", "/x", body=data)
        h1.eventually(lambda: metric(service, "request_body_disk_bytes") == n * size, 60)
        late = App(path, answer=answer_digest)
        for client in clients:
            assert client.read_response().body == digest(data)
        late.close()
    assert resident_bytes(service.pid, "VmHWM") - before < n * MEMORY + 16 * MIB
    assert_clean(service, spool)


@pytest.mark.costs
@pytest.mark.parametrize("protocol", ["http/1", "http/2"])
def test_a_response_that_is_not_read_is_not_piled_up(service, protocol):
    """The app sends as fast as it can; the client takes nothing of it for a while."""
    size, sent = 256 * MIB, [0]
    piece = bytes(MIB)

    def pour(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            connection.send(piece)
            sent[0] += MIB

    app = App(service.directory / "app.sock", answer=pour)
    serve(service, [app.target])
    client = h2.Connection(service.address(), window_updates=False) if protocol == "http/2" else service.connect()
    before = resident_bytes(service.pid)
    client.request("GET", "/x")
    app.wait(1)
    h1.eventually(lambda: settled(lambda: sent[0]))
    assert sent[0] < 16 * MIB
    assert resident_bytes(service.pid, "VmHWM") - before < 8 * MIB
    client.close()
    app.close()


def settled(value):
    """Whether it has been the same for a tenth of a second."""
    before = value()
    time.sleep(0.1)
    return value() == before
