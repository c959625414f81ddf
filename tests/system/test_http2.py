"""HTTP/2 towards clients, with prior knowledge and by ALPN, and its drain."""

import os
import signal
import time

import pytest

import h2
from process import cpu_seconds

ROUTES = '[Route /hello]\nRespond=200 "hello"\n[Route /small]\nMaxBodySize=10\nRespond=200 "small"\n[Route /app/*rest]\nUpstream=app\n'


@pytest.fixture
def gateway(service, upstream):
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES, gateway="Threads=1\nQuietSec=100ms\nDrainSec=20s")
    service.allow("info: request from", "warning: cut")
    return service.start_ready()


def connect(gateway, **options):
    return h2.Connection(gateway.address(), **options)


def test_many_streams_at_once(gateway):
    with connect(gateway) as client:
        streams = [client.request("GET", "/hello") for _ in range(90)]
        for stream in streams:
            response = client.read_response(stream)
            assert (response.status, response.body) == (200, b"hello")
            assert len(response.headers.get("x-request-id")) == 32


def test_http1_and_http2_on_one_socket(gateway):
    assert gateway.get("/hello").status == 200
    with connect(gateway) as client:
        assert client.get("/hello").status == 200
        assert client.get("/none").status == 404
        response = client.read_response(client.request("HEAD", "/hello"))
        assert (response.headers.get("content-length"), response.body) == ("5", b"")
        response = client.read_response(client.request("PUT", "/hello", body=b"x"))
        assert response.status == 200


def test_http2_can_be_turned_off(service):
    service.listen("http")
    service.write_config("[Gateway]\nThreads=1\n[Listener http]\nHTTP2=no\n" + '[Route /hello]\nRespond=200 "hello"\n')
    service.allow("info: request from")
    service.start_ready()
    with connect(service) as client:
        assert client.read_line().startswith(b"HTTP/1.1 505")


@pytest.mark.parametrize("size", [1, 100_000, 2_000_000])
def test_uploads_and_downloads_through_an_app(gateway, upstream, size):
    body = os.urandom(size)
    with connect(gateway) as client:
        stream = client.request("POST", "/app/x?y", [("cookie", "a=b"), ("cookie", "c=d"), ("te", "trailers")], body=body)
        app = upstream.accept()
        request = app.read_request()
        assert (request.method, request.target, request.body) == ("POST", "/app/x?y", body)
        assert request.headers.get("Host") == "test"
        assert request.headers.get("Cookie") == "a=b; c=d"
        assert "TE" not in request.headers
        import threading
        thread = threading.Thread(target=lambda: app.respond(200, body, [("Connection", "keep-alive"), ("Keep-Alive", "x")]))
        thread.start()
        response = client.read_response(stream)
        thread.join()
        assert (response.status, response.body) == (200, body)
        assert "connection" not in response.headers and "keep-alive" not in response.headers


def test_interim_responses_are_passed(gateway, upstream):
    with connect(gateway) as client:
        stream = client.request("GET", "/app/x")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        client.read_until(lambda: client.streams[stream].informational)
        assert client.streams[stream].informational[0].get("link") == "</a.css>"
        app.respond(200, b"ok")
        assert client.read_response(stream).body == b"ok"


def test_continue_is_sent_when_the_body_is_wanted(gateway, upstream):
    expects = ("expect", "100-continue")
    with connect(gateway) as client:
        stream = client.request("POST", "/app/x", [expects, ("content-length", "5")], end=False)
        client.read_until(lambda: client.streams[stream].informational)
        assert client.streams[stream].informational[0].get(":status") == "100"
        client.send_data(stream, b"hello", end=True)
        app = upstream.accept()
        request = app.read_request()
        assert (request.body, request.headers.get("Expect")) == (b"hello", None)
        app.respond(200, b"ok")
        assert client.read_response(stream).body == b"ok"
        for path, length, status in (("/small", 11, 413), ("/none", 3, 404)):
            stream = client.request("POST", path, [expects, ("content-length", str(length))], end=False)
            response = client.read_response(stream)
            assert (response.status, response.informational) == (status, [])
        response = client.read_response(client.request("GET", "/hello", [expects]))  # there is no body to send
        assert (response.status, response.informational) == (200, [])


def test_a_body_that_is_too_large(gateway):
    with connect(gateway) as client:
        assert client.read_response(client.request("POST", "/small", body=b"x" * 11)).status == 413
        assert client.read_response(client.request("POST", "/small", body=b"x" * 10)).status == 200


def test_a_client_that_is_gone_when_its_refused_upload_is_answered(gateway):
    """The first write fails, and h2o frees the connection at once, with a stream that would tell of its end."""
    with connect(gateway, settings=[(h2.INITIAL_WINDOW_SIZE, 0)]) as client:
        client.send_ping()
        client.read_until(lambda: client.pings)
        gateway.signal(signal.SIGSTOP)
        client.request("POST", "/small", headers=[("content-length", "100")], end=False)
    gateway.signal(signal.SIGCONT)
    assert gateway.get("/hello").status == 200


def test_an_answer_that_breaks_off_resets_the_stream_alone(gateway, upstream):
    with connect(gateway) as client:
        stream = client.request("GET", "/app/x")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        client.read_until(lambda: client.streams[stream].body == b"abc")
        app.close()
        assert client.read_response(stream).reset is not None
        assert client.get("/hello").status == 200
    gateway.allow("warning: upstream")


# Drain


def test_an_idle_connection_is_told_twice_and_closed(gateway):
    with connect(gateway) as client:
        assert client.get("/hello").status == 200
        gateway.signal(signal.SIGTERM)
        assert client.read_goaway(1).last_stream == 2**31 - 1
        assert client.get("/hello").status == 200  # what was on its way is answered
        assert client.read_goaway(2).last_stream == client.next_stream - 2
        client.read_to_close()
    assert gateway.wait() == 0


def test_an_upload_in_progress_finishes(gateway):
    """Past both GOAWAYs: the second must not cut what is still arriving."""
    with connect(gateway) as client:
        assert client.get("/hello").status == 200  # it is accepted, rather than left to the next process
        stream = client.request("POST", "/hello", end=False)
        client.send_data(stream, b"a" * 1000)
        gateway.signal(signal.SIGTERM)
        client.read_goaway(2)
        for _ in range(5):
            client.send_data(stream, b"b" * 1000)
            time.sleep(0.2)  # well past the time at which a half-closed connection would drop it
        client.send_data(stream, b"c", end=True)
        assert client.read_response(stream).status == 200
        client.read_to_close()
    assert gateway.wait() == 0


def test_a_header_block_that_does_not_end_cannot_spin_a_drain(gateway, upstream):
    with connect(gateway) as client:
        slow = client.request("GET", "/app/slow")
        app = upstream.accept()
        app.read_request()
        client.send_ping()
        client.read_until(lambda: client.pings)  # nothing of ours may come within the block
        block = h2.encode_headers([(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "test")])
        client.send_frame(h2.HEADERS, h2.END_STREAM, 3, block[:5])  # END_HEADERS does not come
        gateway.signal(signal.SIGTERM)
        time.sleep(1.3)  # both GOAWAYs are out
        client.send_frame(h2.CONTINUATION, 0, 3, block[5:8])
        before = cpu_seconds(gateway.pid)
        time.sleep(1)
        assert cpu_seconds(gateway.pid) - before < 0.3
        app.respond(200, b"ok")
        assert client.read_response(slow).body == b"ok"
    assert gateway.wait() == 0


def test_what_is_left_at_the_deadline_is_cut_and_told(service, upstream):
    service.listen("http")
    service.configure(f"[Upstream app]\nTarget={upstream.target}\n" + ROUTES, gateway="Threads=1\nDrainSec=1s")
    service.allow("warning: cut", "warning: drained", "notice: drained")
    service.start_ready()
    with connect(service) as client:
        client.request("GET", "/app/slow")
        app = upstream.accept()
        app.read_request()
        upload = client.request("POST", "/hello", end=False)
        client.send_data(upload, b"abc")
        client.send_ping()
        client.read_until(lambda: client.pings)
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    text = service.text()
    assert "cut at the deadline: GET /app/slow" in text and "cut at the deadline: POST /hello" in text
