"""Trailer fields of HTTP/2: taken where they may be, told nobody, and never the end of other streams."""

import contextlib
import struct

import pytest

import h2

BODY = b"hello"


@pytest.fixture
def gateway(service, upstream):
    service.listen("http", "tcp4")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n"
                      '[Route /small]\nUpstream=app\nMaxBodySize=1K\n[Route /hello]\nRespond=200 "hello"\n', gateway="Threads=1")
    service.allow("info: request from", "info: turned away", "warning: turned away")
    return service.start_ready()


def begin(client, path="/app/x", headers=(), body=BODY):
    stream = client.request("POST", path, headers, end=False)
    if body:
        client.send_data(stream, body)
    return stream


def send_trailers(client, stream, fields=(), flags=h2.END_STREAM, pieces=1, block=None):
    block = h2.encode_headers(fields) if block is None else block
    size = max(1, -(-len(block) // pieces))
    parts = [block[at : at + size] for at in range(0, len(block), size)] or [b""]
    for number, part in enumerate(parts):
        kind, more = (h2.CONTINUATION, 0) if number else (h2.HEADERS, flags)
        client.send_frame(kind, more | (h2.END_HEADERS if number == len(parts) - 1 else 0), stream, part)


TRAILERS = [
    [],
    [("x-sum", "1")],
    [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https"), ("forwarded", "for=6.6.6.6"), ("x-real-ip", "6.6.6.6")],
    [("host", "evil"), ("content-length", "666"), ("authorization", "Basic evil"), ("cookie", "evil=1")],
    [("client-cert", ":evil:"), ("x-request-id", "evil"), ("expect", "100-continue"), ("te", "trailers")],
    [("x", "y" * 2000)] * 5,
]


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("body", [BODY, b""])
@pytest.mark.parametrize("fields", TRAILERS, ids=lambda fields: ",".join(dict(fields)) or "none")
def test_the_app_is_told_of_none(gateway, upstream, fields, body, pieces):
    with h2.Connection(gateway.address()) as client:
        seen = []
        for trailers in ([], fields):
            stream = begin(client, headers=[("x-request-id", "same"), ("cookie", "a=b")], body=body)
            send_trailers(client, stream, trailers, pieces=pieces)
            with upstream.accept() as app:
                request = app.read_request()
                app.respond(200)
                assert client.read_response(stream).status == 200
            assert request.body == body
            seen.append(request.head)
        assert seen[0] == seen[1]
        assert client.get("/hello").status == 200


def test_the_table_goes_on_through_trailers(gateway, upstream):
    """RFC 7541 2.2: fields that trailers put into the dynamic table can be referred to by heads that follow."""
    with h2.Connection(gateway.address()) as client:
        for bad in (b"", b"\x40\x05:path\x02/x"):  # … and by those behind what is malformed
            stream = begin(client)
            send_trailers(client, stream, block=bad + b"\x40\x08x-marker\x04mark")
            if bad:
                assert client.read_response(stream).reset == h2.PROTOCOL_ERROR
            else:
                with upstream.accept() as app:
                    assert "x-marker" not in app.read_request().headers
                    app.respond(200)
                    client.read_response(stream)
            stream, client.next_stream = client.next_stream, client.next_stream + 2
            client.streams[stream] = h2.Stream()
            pseudo = [(":method", "GET"), (":scheme", "http"), (":path", "/app/x"), (":authority", "test")]
            client.send_frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, stream, h2.encode_headers(pseudo) + b"\xbe")
            with upstream.accept() as app:
                assert app.read_request().headers.get("x-marker") == "mark"
                app.respond(200)
                assert client.read_response(stream).status == 200


MALFORMED = {
    "a path": [(":path", "/admin")],
    "an authority behind another field": [("x", "y"), (":authority", "evil")],
    "a status": [(":status", "200")],
    "an unknown pseudo-header field": [(":x", "y")],
    "connection": [("connection", "close")],
    "transfer-encoding": [("transfer-encoding", "chunked")],
    "keep-alive": [("keep-alive", "timeout=5")],
    "CR LF": [("x", "a\r\nb: c")],
    "a name with a blank": [("x y", "z")],
    "a length that is none": [("content-length", "five")],
    "too many bytes": [("x", "y" * 8000)] * 3,
    "too many fields": [("x", "")] * 150,
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_malformed_ones_end_their_stream_alone(gateway, upstream, fields):
    with h2.Connection(gateway.address()) as client:
        other = begin(client, "/app/other")
        stream = begin(client)
        send_trailers(client, stream, fields, pieces=3)
        assert client.read_response(stream).reset == h2.PROTOCOL_ERROR
        send_trailers(client, other, [("x", "y")])
        with upstream.accept() as app:
            assert app.read_request().target == "/app/other"
            app.respond(200)
            assert client.read_response(other).status == 200
    assert upstream.is_quiet(0.1)


def test_trailers_that_do_not_end_the_stream(gateway):
    with h2.Connection(gateway.address()) as client:
        stream = begin(client)
        send_trailers(client, stream, [("x", "y")], flags=0)
        assert client.read_response(stream).reset == h2.PROTOCOL_ERROR
        assert client.get("/hello").status == 200


def test_capitals_end_the_connection_as_they_do_in_a_head(gateway):
    with h2.Connection(gateway.address()) as client:
        send_trailers(client, begin(client), [("X-Y", "z")])
        assert client.read_goaway().error == h2.PROTOCOL_ERROR


def test_behind_the_end_of_the_body(gateway, upstream):
    """RFC 9113 5.1: the stream is half-closed, and that is an error of it alone."""
    with h2.Connection(gateway.address()) as client:
        stream = begin(client)
        client.send_frame(h2.DATA, h2.END_STREAM, stream)
        with upstream.accept() as app:
            app.read_request()
            send_trailers(client, stream, [("x", "y")])
            assert client.read_response(stream).reset == h2.STREAM_CLOSED
        assert client.get("/hello").status == 200


@pytest.mark.parametrize("awaited", [False, True], ids=["at once", "after the answer"])
@pytest.mark.parametrize("fields", [[("x", "y")], [(":path", "/admin")]], ids=["well-formed", "malformed"])
def test_behind_an_early_answer(gateway, upstream, fields, awaited):
    with h2.Connection(gateway.address()) as client:
        for path, body, status in (("/small", b"x" * 2000, 413), ("/nowhere", BODY, 404), ("/app/x", BODY, None)):
            stream = begin(client, path, body=body)
            if status is None:
                client.send_frame(h2.WINDOW_UPDATE, 0, stream, struct.pack(">I", 0))  # and h2o resets it
            answer = client.streams[stream]
            if awaited:
                client.read_until(lambda: answer.reset is not None)
            send_trailers(client, stream, fields, pieces=2)
            client.read_until(lambda: answer.ended or answer.reset is not None)
            if awaited:
                assert answer.status == status
            assert client.get("/hello").status == 200
        assert not client.goaways
    assert upstream.is_quiet(0.1)


def test_within_a_budget(gateway):
    with h2.Connection(gateway.address()) as client:
        stream = begin(client, "/nowhere")
        client.read_until(lambda: client.streams[stream].reset is not None)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                send_trailers(client, stream, [("x", "y")])
        assert client.read_goaway().error == h2.ENHANCE_YOUR_CALM
