"""Requests through an upstream: what the app gets, what the client gets, and what happens when either fails."""

import base64
import hashlib
import os
import selectors
import socket
import threading
import time

import pytest

import h1
import h2

WARNINGS = ("warning: upstream", "notice: upstream", "info: request from")


@pytest.fixture
def proxy(service, upstream):
    service.listen("http")
    service.listen("admin")
    service.configure(
        f"[Upstream app]\nTarget={upstream.target}\nConnectTimeoutSec=1s\nFirstByteTimeoutSec=1s\nBetweenBytesTimeoutSec=1s\nHoldSec=300ms\n"
        "[Route /*rest]\nUpstream=app\n",
        gateway="Threads=1",
    )
    service.allow(*WARNINGS)
    return service.start_ready()


def exchange(proxy, upstream, *, method="GET", target="/x", headers=(), body=None, app=None, answer=b"", status=200, fields=()):
    """One request and its answer; returns what the app got and what the client got."""
    with proxy.connect() as client:
        client.request(method, target, headers, body)
        app = app or upstream.accept()
        request = app.read_request()
        app.respond(status, answer, fields)
        return request, client.read_response(is_head=method == "HEAD"), app


# What the app gets


def test_the_request_as_it_was_meant(proxy, upstream):
    request, response, _ = exchange(proxy, upstream, target="/a/%7Eb%2Fc?x=%20y&z", headers=[("Accept", "a/b"), ("Cookie", "c=d")])
    assert (request.method, request.target) == ("GET", "/a/~b%2Fc?x=%20y&z")
    assert request.headers.get("Host") == "test"
    assert request.headers.get("Accept") == "a/b"
    assert request.headers.get("Cookie") == "c=d"
    assert "Content-Length" not in request.headers
    assert response.status == 200


def test_what_was_routed_is_what_is_forwarded(proxy, upstream):
    request, _, _ = exchange(proxy, upstream, target="/public/../admin/./x")
    assert request.target == "/admin/x"


def test_forwarding_fields_are_ours_alone(proxy, upstream):
    lies = [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil"), ("Forwarded", "for=1.2.3.4"), ("X-Real-IP", "1.2.3.4")]
    request, _, _ = exchange(proxy, upstream, headers=lies)
    assert request.headers.get("X-Forwarded-Proto") == "http"
    assert request.headers.get("X-Forwarded-Host") == "test"
    assert "1.2.3.4" not in str(request.headers) and "evil" not in str(request.headers)
    assert request.headers.get("Forwarded").startswith("for=")


def test_fields_of_the_connection_end_here(proxy, upstream):
    request, _, _ = exchange(
        proxy, upstream,
        headers=[("Connection", "keep-alive, X-Private"), ("X-Private", "1"), ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Proxy-Connection", "x"), ("X-Kept", "1")],
    )
    for name in ("Connection", "X-Private", "Keep-Alive", "TE", "Proxy-Connection"):
        assert name not in request.headers
    assert request.headers.get("X-Kept") == "1"


def test_what_the_app_says_for_one_connection_ends_there(proxy, upstream):
    """Connection may come in several fields."""
    fields = [("Connection", "X-One"), ("X-One", "1"), ("Connection", "keep-alive, X-Two"), ("X-Two", "2"), ("X-Kept", "3")]
    _, response, _ = exchange(proxy, upstream, fields=fields)
    assert [response.headers.get(name) for name in ("Connection", "X-One", "X-Two", "X-Kept")] == [None, None, None, "3"]


def test_one_request_id_for_all(proxy, upstream):
    request, response, _ = exchange(proxy, upstream)
    assert request.headers.get("X-Request-ID") == response.headers.get("X-Request-ID")


@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_arrive_whole_with_their_length(proxy, upstream, size, chunked):
    body = os.urandom(size)
    with proxy.connect() as client:
        if chunked:
            pieces = [body[i:i + 9973] for i in range(0, size, 9973)]
            encoded = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\nTrailer: x\r\n\r\n"
            client.send(b"POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + encoded)
        else:
            client.request("POST", "/x", body=body)
        app = upstream.accept()
        request = app.read_request()
        assert request.body == body
        assert request.headers.get("Content-Length") == str(size)
        assert "Transfer-Encoding" not in request.headers
        app.respond(200, b"ok")
        assert client.read_response().body == b"ok"


# What the client gets


def answer(app, framing, body):
    if framing == "length":
        app.respond(200, body)
    elif framing == "chunked":
        pieces = [body[i:i + 9973] for i in range(0, len(body), 9973)]
        encoded = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
        app.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + encoded + b"0\r\nX-T: 1\r\n\r\n")
    else:
        app.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        app.close()


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_answers_arrive_whole(proxy, upstream, size, framing):
    body = os.urandom(size)
    with proxy.connect() as client:
        client.request("GET", "/x")
        app = upstream.accept()
        app.read_request()
        answering = threading.Thread(target=answer, args=(app, framing, body))
        answering.start()  # a large body waits for its reader
        response = client.read_response()
        answering.join()
        assert (response.status, response.body) == (200, body)
        assert not response.trailers
        client.request("GET", "/again")  # the client's connection lives on, whatever became of the app's
        app2 = app if framing != "close" else upstream.accept()
        app2.read_request()
        app2.respond(200, b"again")
        assert client.read_response().body == b"again"


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_chunked_error_keeps_the_connection(proxy, upstream, status):
    app = None
    with proxy.connect() as client:
        for _ in range(2):
            client.request("GET", "/x")
            app = app or upstream.accept()
            app.read_request()
            app.send(b"HTTP/1.1 %d Oh\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n" % status)
            response = client.read_response()
            assert (response.status, response.reason, response.body) == (status, "Oh", b"no")


def test_head_204_and_304_have_no_body(proxy, upstream):
    with proxy.connect() as client:
        client.request("HEAD", "/x")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        assert client.read_response(is_head=True).headers.get("Content-Length") == "1000"
        for head in (b"204 No Content\r\n", b"304 Not Modified\r\nContent-Length: 55\r\nETag: \"x\"\r\n"):
            client.request("GET", "/x")
            app.read_request()
            app.send(b"HTTP/1.1 " + head + b"\r\n")
            response = client.read_response()
            assert response.body == b"" and response.status in (204, 304)


def test_interim_responses_are_passed(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/x")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        assert client.read_line() == b"HTTP/1.1 103 Early Hints"  # before the final one exists
        while client.read_line():
            pass
        app.respond(200, b"ok")
        assert client.read_response().body == b"ok"


def test_events_are_not_held_back(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/events")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        head = client.read_head()  # before the first event
        assert head.status == 200
        for i in range(5):
            event = b"data: %d\n\n" % i
            app.send(b"%x\r\n%s\r\n" % (len(event), event))
            assert client.read_chunk() == event  # before the next one exists
        app.send(b"0\r\n\r\n")
        assert client.read_chunk() == b""


def test_a_slow_reader_holds_the_app_back(proxy, upstream):
    """What nobody reads is not collected here: the app is made to wait."""
    piece = b"x" * 65536
    with proxy.connect() as client:
        client.request("GET", "/big")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * 4000))
        app.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 4000:
                app.sock.sendall(piece)
                sent += 1
        except TimeoutError:
            pass
        assert sent * len(piece) < 40_000_000, "the gateway took all of it"


def test_back_pressure_loses_nothing(proxy, upstream):
    body = os.urandom(20_000_000)
    with proxy.connect() as client:
        client.request("GET", "/big")
        app = upstream.accept()
        app.read_request()
        thread = threading.Thread(target=lambda: app.respond(200, body))
        thread.start()
        time.sleep(0.2)  # let the buffers fill before anything is read
        response = client.read_response()
        thread.join()
        assert hashlib.sha256(response.body).digest() == hashlib.sha256(body).digest()


# Upgrades


def test_websocket(proxy, upstream):
    key = base64.b64encode(os.urandom(16)).decode()
    with proxy.connect() as client:
        client.request("GET", "/ws", [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", "13")])
        app = upstream.accept()
        request = app.read_request()
        assert request.headers.get("Upgrade") == "websocket" and request.headers.get("Connection") == "Upgrade"
        assert request.headers.get("Sec-WebSocket-Key") == key
        app.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nfirst")
        head = client.read_head()
        assert head.status == 101
        assert head.headers.get("Upgrade") == "websocket" and head.headers.get("Sec-WebSocket-Accept") == "x"
        assert client.read_exactly(5) == b"first"
        for size in (1, 1000, 500_000):
            data = os.urandom(size)
            client.send(data)
            assert app.read_exactly(size) == data
            app.send(data[::-1])
            assert client.read_exactly(size) == data[::-1]
        app.close()
        client.assert_closed()


@pytest.fixture
def tunnel(service):
    """Both ends of a tunnel over TCP that may be idle for 300 ms."""
    app = h1.Upstream()
    service.listen("http", "tcp4")
    service.configure(f"[Upstream app]\nTarget={app.target}\nBetweenBytesTimeoutSec=300ms\n[Route /*rest]\nUpstream=app\n")
    service.start_ready()
    with service.connect() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.request("GET", "/ws", [("Connection", "Upgrade"), ("Upgrade", "test")])
        connection, _ = app.expect()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n")
        assert client.read_head().status == 101
        yield client, connection
    app.close()


def test_an_idle_tunnel_ends(tunnel):
    client, app = tunnel
    began = time.monotonic()
    for _ in range(4):
        app.send(b"x")
        assert client.read_exactly(1) == b"x"
        time.sleep(0.15)
    client.assert_closed()
    app.assert_closed()
    assert 0.7 < time.monotonic() - began < 5


def test_a_tunnel_to_a_slow_reader_is_not_idle(tunnel):
    """What was read of one side at once may take the other long: while it moves, nothing is idle."""
    client, app = tunnel
    size = 16_000_000
    sender = threading.Thread(target=app.send, args=[bytes(size)])
    sender.start()
    for _ in range(size // 200_000):
        client.read_exactly(200_000)
        time.sleep(0.05)
    sender.join()


def test_a_tunnel_to_nobody_who_reads_ends(tunnel):
    client, app = tunnel
    with pytest.raises(ConnectionError):
        while True:
            app.send(bytes(1_000_000))
    client.close()


def test_an_upgrade_right_behind_an_interim_response(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/ws", [("Connection", "Upgrade"), ("Upgrade", "websocket")])
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                 b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst")
        assert [client.read_head().status for _ in range(2)] == [103, 101]
        assert client.read_exactly(5) == b"first"
        client.send(b"second")
        assert app.read_exactly(6) == b"second"


def test_an_upgrade_nobody_asked_for_is_a_bad_answer(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/x")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert client.read_response().status == 502


# Clients that go away


def test_a_client_that_goes_away_cancels(proxy, upstream):
    client = proxy.connect()
    client.request("GET", "/slow")
    app = upstream.accept()
    app.read_request()
    client.close()
    app.assert_closed()
    assert proxy.admin("GET", "/livez").status == 200


def test_a_client_that_goes_away_amid_an_answer_cancels(proxy, upstream):
    client = proxy.connect()
    client.request("GET", "/events")
    app = upstream.accept()
    app.read_request()
    app.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    client.read_head()
    assert client.read_chunk() == b"x"
    client.close()
    app.assert_closed()


def test_a_stream_that_is_reset_cancels(proxy, upstream):
    with h2.Connection(proxy.address()) as client:
        stream = client.request("GET", "/slow")
        app = upstream.accept()
        app.read_request()
        client.send_reset(stream)
        app.assert_closed()


# Apps that fail


def test_nobody_listens(proxy, upstream):
    upstream.close()
    response = proxy.get("/x")
    assert (response.status, response.headers.get("Retry-After")) == (503, "1")
    assert proxy.wait_for_line("target .* is down: cannot connect")


@pytest.mark.parametrize(
    "answer, status",
    [
        (b"", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 502),
        (b"garbage\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502),
    ],
)
def test_an_answer_that_is_none(proxy, upstream, answer, status):
    """To a POST, which is not tried again."""
    with proxy.connect() as client:
        client.request("POST", "/x", body=b"a")
        app = upstream.accept()
        app.read_request()
        app.send(answer)
        app.close()
        assert client.read_response().status == status
        assert upstream.is_quiet(0.2)
    assert proxy.wait_for_line("upstream app, target .*")


def test_an_app_that_does_not_answer(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/x")
        app = upstream.accept()
        app.read_request()
        assert client.read_response().status == 504
        app.assert_closed()


def test_a_body_that_stalls_is_seen_to_be_broken_off(proxy, upstream):
    with proxy.connect() as client:
        client.request("GET", "/x")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        with pytest.raises(h1.Closed):
            client.read_response()


@pytest.mark.parametrize("head", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
def test_a_truncated_answer_is_never_passed_off_as_whole(proxy, upstream, head):
    with proxy.connect() as client:
        client.request("GET", "/x")
        app = upstream.accept()
        app.read_request()
        app.send(b"HTTP/1.1 200 OK\r\n" + head)
        time.sleep(0.05)  # so that the head has gone out before the end is seen
        app.close()
        with pytest.raises((h1.Closed, ConnectionResetError)):
            client.read_response()


# Pooled connections


def test_connections_are_reused(proxy, upstream):
    _, _, app = exchange(proxy, upstream)
    for _ in range(5):
        exchange(proxy, upstream, app=app)
    assert upstream.is_quiet(0.05)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_stale_connection_is_never_seen_by_an_idempotent_request(proxy, upstream, method):
    """The app closes its connection at the moment when the next request is on its way."""
    _, _, app = exchange(proxy, upstream)
    with proxy.connect() as client:
        body = b"b" if method == "PUT" else None
        client.request(method, "/x", body=body)
        app.read_request()
        app.close()
        second = upstream.accept()
        assert second.read_request().method == method
        second.respond(200, b"ok")
        assert client.read_response().status == 200


def test_a_post_that_was_sent_is_not_sent_twice(proxy, upstream):
    _, _, app = exchange(proxy, upstream)
    with proxy.connect() as client:
        client.request("POST", "/x", body=b"a")
        app.read_request()
        app.close()
        assert client.read_response().status == 502
        assert upstream.is_quiet(0.2)


def test_an_app_that_closes_every_connection(proxy, upstream):
    with proxy.connect() as client:
        for i in range(20):
            client.request("POST", "/x", body=b"%d" % i)
            app = upstream.accept()
            assert app.read_request().body == b"%d" % i
            app.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            app.close()
            assert client.read_response().body == b"ok"


def test_idle_connections_that_the_app_closed_are_forgotten(proxy, upstream):
    _, _, app = exchange(proxy, upstream)
    app.close()
    time.sleep(0.05)
    request, response, _ = exchange(proxy, upstream, method="POST", body=b"a")
    assert response.status == 200


# Several targets


def test_weights(service):
    apps = [h1.Upstream(service.directory / f"{name}.sock") for name in "ab"]
    service.listen("http")
    service.configure(
        f"[Upstream app]\nTarget={apps[0].target} weight=3\nTarget={apps[1].target}\nPoolSize=1\n[Route /*rest]\nUpstream=app\n",
        gateway="Threads=1",
    )
    service.start_ready()
    counts = [0, 0]
    connections = [None, None]
    with service.connect() as client:
        for _ in range(40):
            client.request("GET", "/x")
            with selectors.DefaultSelector() as selector:
                for i, app in enumerate(apps):
                    if connections[i]:
                        selector.register(connections[i].sock, selectors.EVENT_READ, (i, False))
                    else:
                        selector.register(app.sock, selectors.EVENT_READ, (i, True))
                (key, _), *rest = selector.select(5)
            assert not rest
            i, fresh = key.data
            if fresh:
                connections[i] = apps[i].accept()
            connections[i].read_request()
            connections[i].respond(200, b"ok")
            counts[i] += 1
            assert client.read_response().status == 200
    assert counts == [30, 10]
    for app in apps:
        app.close()


def test_another_target_takes_what_the_first_refuses(service, upstream):
    service.listen("http")
    service.configure(f"[Upstream app]\nTarget=unix:{service.directory}/nobody.sock weight=100\nTarget={upstream.target}\n[Route /*rest]\nUpstream=app\n", gateway="Threads=1")
    service.allow(*WARNINGS)
    service.start_ready()
    app = None
    with service.connect() as client:
        for _ in range(10):
            client.request("POST", "/x", body=b"a")
            app = app or upstream.accept()
            app.read_request()
            app.respond(200, b"ok")
            assert client.read_response().status == 200
