"""Requests that fail at one target: which go out again, and to whom; and what ends those that take too long."""

import contextlib
import socket
import time

import pytest

import h1
from targets import App, expect_either, metric, records, send, serve, wait_held


@pytest.fixture
def other(service):
    """A second app, played by the test."""
    app = h1.Upstream(service.directory / "other.sock")
    yield app
    app.close()


@pytest.fixture
def apps(service):
    """Makes apps that answer by themselves."""
    made = []

    def make(name="app", **options):
        made.append(App(service.directory / f"{name}-auto.sock", name=name, **options))
        return made[-1]

    yield make
    for app in made:
        app.close()


def close_early(connection, request):
    connection.close()


# What was not sent


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_what_was_not_sent_goes_elsewhere(service, apps, method):
    app = apps()
    gateway = serve(service, [f"unix:{service.directory}/nobody", app.target], gateway="Threads=1\nAccessLog=journal")
    for _ in range(2):  # either may be the first
        with send(gateway, "/x", method, body=b"body") as client:
            response = client.read_response()
        if response.headers.get("X-Holdfast-Tries") == "2":
            break
    assert (response.status, response.headers.get("X-Holdfast-Tries")) == (200, "2")
    assert response.headers.get("X-Holdfast-Target") == app.target
    assert "X-Holdfast-Held" not in response.headers
    assert [request.body for request in app.requests.snapshot()] == [b"body"] * app.count
    gateway.wait_for_line(f"{method} /x 200 .*tries=2")


def test_nothing_is_told_unasked(service, apps):
    gateway = serve(service, [apps().target], route="UpstreamHeaders=no", gateway="Threads=1\nAccessLog=journal")
    response = gateway.get("/x")
    assert not [name for name, _ in response.headers if name.lower().startswith("x-holdfast")]
    assert "tries=1" in gateway.wait_for_line("GET /x 200")


# What was sent


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_what_may_be_repeated_is(service, upstream, other, method):
    gateway = serve(service, [upstream.target, other.target])
    with send(gateway, "/x", method) as client:
        first, _, elsewhere = expect_either(upstream, other)
        first.close()
        second, request = elsewhere.expect()
        assert request.method == method
        second.respond(200)
        response = client.read_response(is_head=method == "HEAD")
    assert (response.status, response.headers.get("X-Holdfast-Tries")) == (200, "2")


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_not_is_executed_once(service, upstream, other, method, end):
    gateway = serve(service, [upstream.target, other.target])
    with send(gateway, "/x", method, body=b"x") as client:
        first, _, elsewhere = expect_either(upstream, other)
        getattr(first, end)()
        assert client.read_response().status == 502
    assert elsewhere.is_quiet(0.1) and upstream.is_quiet(0.1)


@pytest.mark.parametrize("replay", ["yes", "no"])
def test_idempotency_key(service, upstream, other, replay):
    gateway = serve(service, [upstream.target, other.target], route=f"ReplayIdempotencyKey={replay}")
    with send(gateway, "/x", "POST", [("Idempotency-Key", '"abc"')], body=b"body") as client:
        first, _, elsewhere = expect_either(upstream, other)
        first.close()
        if replay == "yes":
            second, request = elsewhere.expect()
            assert (request.body, request.headers.get("Idempotency-Key")) == (b"body", '"abc"')
            second.respond(201)
            assert client.read_response().status == 201
        else:
            assert client.read_response().status == 502
            assert elsewhere.is_quiet(0.1)


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_nothing_is_replayed(service, upstream, other, key):
    gateway = serve(service, [upstream.target, other.target], route="ReplayIdempotencyKey=yes")
    with send(gateway, "/x", "POST", [] if key is None else [("Idempotency-Key", key)], body=b"x") as client:
        first, _, elsewhere = expect_either(upstream, other)
        first.close()
        assert client.read_response().status == 502
        assert elsewhere.is_quiet(0.1)


@pytest.mark.parametrize("part", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_what_was_answered_in_part_is_not_repeated(service, upstream, other, part):
    gateway = serve(service, [upstream.target, other.target])
    with send(gateway, "/x") as client:
        app, _, elsewhere = expect_either(upstream, other)
        app.send(part)
        time.sleep(0.05)  # it is read by itself
        app.close()
        assert client.read_response().status == 502
        assert elsewhere.is_quiet(0.1)


def test_a_response_that_breaks_off_is_not_repeated(service, upstream, other):
    gateway = serve(service, [upstream.target, other.target])
    with send(gateway, "/x") as client:
        app, _, elsewhere = expect_either(upstream, other)
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        assert client.read_head().status == 200
        app.close()
        assert client.read_to_end() == b"half"
        assert elsewhere.is_quiet(0.1)


def test_a_request_that_kills_its_app_does_not_kill_for_ever(service, apps):
    app = apps(answer=close_early)
    gateway = serve(service, [app.target], "MaxFailures=0\nMaxTries=3")
    assert gateway.get("/poison").status == 502
    assert app.count == 3


# How many


def warm_up(gateway, n):
    with gateway.connect() as client:
        for _ in range(n):
            assert client.get("/ok").status == 200


def fragile(connection, request):
    if "bad" in request.target:
        connection.close()
    else:
        connection.respond(200)


def test_the_budget_is_kept(service, apps):
    """Of a hundred requests one may be tried again."""
    one, two = apps("one", answer=fragile), apps("two", answer=fragile)
    gateway = serve(service, [one.target, two.target], "RetryBudget=1\nRetryMinimum=0\nHoldSec=0\nMaxFailures=0")
    warm_up(gateway, 100)
    assert gateway.get("/bad1").status == 502
    assert gateway.get("/bad2").status == 502
    seen = one.seen + two.seen
    assert (seen.count("/bad1"), seen.count("/bad2")) == (2, 1)


def test_beyond_the_budget_they_wait(service, apps):
    """They go out at the rate of those that wait."""
    one, two = apps("one", answer=fragile), apps("two")
    gateway = serve(service, [one.target, two.target], "RetryBudget=1\nRetryMinimum=0\nHoldSec=5s\nMaxFailures=0\nBalance=least-connections")
    clients = [send(gateway, f"/bad{i}") for i in range(6)]
    responses = [client.read_response() for client in clients]
    assert [response.status for response in responses] == [200] * 6
    assert max(int(response.headers.get("X-Holdfast-Tries")) for response in responses) > 1
    wait_held(gateway, 0)


# How long


def test_try_timeout_moves_what_may_be_repeated(service, upstream, other):
    gateway = serve(service, [upstream.target, other.target], "TryTimeoutSec=200ms")
    with send(gateway, "/x") as client:
        first, _, elsewhere = expect_either(upstream, other)
        second, _ = elsewhere.expect()
        first.assert_closed()  # what nobody waits for is not left to run
        second.respond(200, b"second")
        response = client.read_response()
    assert (response.body, response.headers.get("X-Holdfast-Tries")) == (b"second", "2")


def test_try_timeout_leaves_what_may_not(service, upstream, other):
    gateway = serve(service, [upstream.target, other.target], "TryTimeoutSec=100ms")
    with send(gateway, "/x", "POST", body=b"x") as client:
        first, _, elsewhere = expect_either(upstream, other)
        assert elsewhere.is_quiet(0.4)
        first.respond(200, b"at last")
        assert client.read_response().body == b"at last"


@pytest.mark.parametrize("part", [b"HTTP/1.1 2", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 2"])
def test_try_timeout_leaves_what_was_answered_in_part(service, upstream, other, part):
    gateway = serve(service, [upstream.target, other.target], "TryTimeoutSec=100ms")
    with send(gateway, "/x") as client:
        first, _, elsewhere = expect_either(upstream, other)
        first.send(part)
        assert elsewhere.is_quiet(0.4)
        first.send(b"00 OK\r\nContent-Length: 7\r\n\r\nat last")
        response = client.read_response()
        while response.status == 103:
            response = client.read_response()
        assert response.body == b"at last"


def test_try_timeout_leaves_what_is_beyond_the_budget(service, upstream, other):
    """What could not go elsewhere keeps the target that it has."""
    gateway = serve(service, [upstream.target, other.target], "TryTimeoutSec=100ms\nRetryBudget=1\nRetryMinimum=0\nHoldSec=0")
    with send(gateway, "/x") as client:
        first, _, elsewhere = expect_either(upstream, other)
        assert elsewhere.is_quiet(0.4)
        first.respond(200, b"at last")
        assert client.read_response().body == b"at last"


def test_try_timeout_where_there_is_no_other(service, upstream):
    gateway = serve(service, [upstream.target], "TryTimeoutSec=100ms")
    with send(gateway, "/x") as client:
        app, _ = upstream.expect()
        assert upstream.is_quiet(0.4)
        app.respond(200, b"at last")
        assert client.read_response().body == b"at last"


def test_a_connection_that_went_stale_counts_for_nothing(service, upstream):
    """One that closes kept connections just as they are used is not down for that."""
    gateway = serve(service, [upstream.target], "MaxFailures=1\nRetryBudget=1\nRetryMinimum=100")
    with gateway.connect() as client:
        for i in range(4):
            client.request("GET", f"/{i}")
            app, _ = upstream.expect()
            app.respond(200)
            assert client.read_response().status == 200
            client.request("GET", f"/{i}/again")
            app.read_request()
            app.close()
            fresh, _ = upstream.expect()
            fresh.respond(200, headers=[("Connection", "close")])
            response = client.read_response()
            assert (response.status, response.headers.get("X-Holdfast-Tries")) == (200, "2")
            fresh.close()
    assert records(gateway, "is down") == 0
    assert records(gateway, "trying again") == 0


def fill(app):
    """Connections until its backlog takes no more."""

    fillers = []
    while True:
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        filler.setblocking(False)
        fillers.append(filler)
        try:
            filler.connect(str(app.path))
        except BlockingIOError:
            return fillers


def test_504_for_a_connection(service, upstream):
    upstream.sock.listen(1)
    gateway = serve(service, [upstream.target], "ConnectTimeoutSec=200ms\nHoldSec=0")
    fillers = fill(upstream)
    response = gateway.get("/x")
    assert response.status == 504 and "did not take the connection" in response.text
    gateway.wait_for_line("no connection in time")
    for filler in fillers:
        filler.close()


def test_connecting_takes_up_when_there_is_room(service, upstream):
    upstream.sock.listen(1)
    gateway = serve(service, [upstream.target])
    fillers = fill(upstream)
    with send(gateway, "/x", "POST", body=b"x") as client:
        assert client.is_quiet(0.1)
        for filler in fillers:
            filler.close()
        while True:
            app = upstream.accept()
            with contextlib.suppress(h1.Closed, OSError):
                app.read_request()
                app.respond(200, b"ok")
                break
        assert client.read_response().body == b"ok"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_504_for_the_first_byte(service, upstream, other, method):
    gateway = serve(service, [upstream.target, other.target], "FirstByteTimeoutSec=200ms")
    with send(gateway, "/x", method, body=b"x") as client:
        app, _, elsewhere = expect_either(upstream, other)
        response = client.read_response()
        assert response.status == 504 and "did not answer in time" in response.text
        app.assert_closed()
    assert elsewhere.is_quiet(0.05)
    gateway.wait_for_line("no response in time")


def test_a_pause_breaks_the_response_off(service, upstream):
    gateway = serve(service, [upstream.target], "BetweenBytesTimeoutSec=200ms")
    with send(gateway, "/x") as client:
        app, _ = upstream.expect()
        app.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        assert client.read_head().status == 200
        with pytest.raises(h1.Closed):
            client.read_chunked()
        app.assert_closed()
    gateway.wait_for_line("the response body stalled")


def test_504_for_the_whole(service, apps):
    """Two targets of which none answers: RequestTimeoutSec= is the sum of what they may take."""
    one, two = apps("one", closed=True), apps("two", closed=True)
    gateway = serve(service, [one.target, two.target], "TryTimeoutSec=150ms", route="RequestTimeoutSec=400ms")
    began = time.monotonic()
    response = gateway.get("/x")
    assert response.status == 504
    assert 0.3 < time.monotonic() - began < 5
    assert one.count == two.count == 1


def test_request_timeout_of_what_may_not_be_repeated(service, upstream):
    gateway = serve(service, [upstream.target], route="RequestTimeoutSec=200ms")
    with send(gateway, "/x", "POST", body=b"x") as client:
        app, _ = upstream.expect()
        assert client.read_response().status == 504
        app.assert_closed()


@pytest.mark.parametrize("waits, to_blame", [(0.7, 0), (0.1, 1)])
def test_who_got_it_late_is_not_to_blame(service, upstream, waits, to_blame):
    """An app that has just come back would be down again for requests whose time is almost over."""
    gateway = serve(service, [upstream.target], "MaxFailures=1", route="RequestTimeoutSec=1s")
    assert gateway.admin("POST", "/v1/upstreams/pause?upstream=app").status < 300
    with send(gateway, "/x") as client:
        wait_held(gateway, 1)
        time.sleep(waits)
        assert gateway.admin("POST", "/v1/upstreams/resume?upstream=app").status < 300
        app, _ = upstream.expect()
        assert client.read_response().status == 504
        app.assert_closed()
    gateway.wait_for_line("warning: upstream app, target .*: no response in time")
    assert records(gateway, "is down") == to_blame


def test_request_timeout_ends_with_the_head(service, upstream):
    gateway = serve(service, [upstream.target], route="RequestTimeoutSec=150ms")
    with send(gateway, "/x") as client:
        app, _ = upstream.expect()
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        assert client.read_head().status == 200
        time.sleep(0.3)
        app.send(b"body")
        assert client.read_exactly(4) == b"body"


# Who goes away


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("begun", [False, True])
def test_the_app_sees_that_nobody_waits(service, upstream, way, begun):
    gateway = serve(service, [upstream.target])
    client = send(gateway, "/x")
    app, _ = upstream.expect()
    if begun:
        app.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        client.read_head()
    getattr(client, way)()
    with contextlib.suppress(ConnectionResetError):
        app.assert_closed()
    assert gateway.is_running()
    assert records(gateway, "is down") == 0


def test_keep_alive_of_the_app_is_honoured(service, upstream):
    """An app that says that it keeps connections for a second is not asked over one that is about as old."""
    gateway = serve(service, [upstream.target])
    with gateway.connect() as client:
        client.request("GET", "/1")
        first, _ = upstream.expect()
        first.respond(200, headers=[("Keep-Alive", "timeout=1")])
        client.read_response()
        first.assert_closed()  # before the app would
        client.request("GET", "/2")
        second, _ = upstream.expect()
        second.respond(200, headers=[("Keep-Alive", "timeout=60, max=100")])
        client.read_response()
        client.request("GET", "/3")
        assert second.read_request().target == "/3"
        second.respond(200)
        assert client.read_response().status == 200


def test_retries_are_counted(service, upstream, other):
    gateway = serve(service, [upstream.target, other.target])
    with send(gateway, "/x") as client:
        first, _, elsewhere = expect_either(upstream, other)
        first.close()
        elsewhere.expect()[0].respond(200)
        client.read_response()
    assert metric(gateway, "upstream_retries_total", upstream="app") == 1
    h1.eventually(lambda: metric(gateway, "upstream_tries_total", upstream="app") == 2)
