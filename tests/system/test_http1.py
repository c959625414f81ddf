"""HTTP/1 towards clients: what is served, what is refused, and what a connection lives through."""

import json
import re
import time

import pytest

import h1

HELLO = '[Route /hello]\nRespond=200 "hello"\n'


@pytest.fixture
def site(service):
    """A gateway with small limits and a route of each simple kind."""
    service.listen("http")
    service.listen("admin")
    service.configure(
        HELLO
        + '[Route /get]\nMethods=GET\nRespond=200 "got"\n'
        + '[Route /get]\nMethods=POST DELETE\nRespond=201 "posted"\n'
        + "[Route /old]\nRedirect=308 https://example.com/new?a=b\n"
        + "[Route /empty]\nRespond=204\n"
        + '[Route /small]\nMaxBodySize=10\nRespond=200 "small"\n'
        + '[Route shop.example/hello]\nRespond=200 "shop"\n'
        + '[Route *.example/hello]\nRespond=200 "any"\n',
        gateway="Threads=2\nHeadTimeoutSec=1s\nBodyTimeoutSec=1s\nIdleTimeoutSec=2s",
    )
    return service.start_ready()


# Serving


def test_a_connection_takes_many_requests(site):
    with site.connect() as client:
        for _ in range(100):
            response = client.get("/hello")
            assert (response.status, response.body) == (200, b"hello")
            assert "Connection" not in response.headers
            assert response.headers.get("Date").endswith(" GMT")


def test_pipelined_requests_are_answered_in_order(site):
    with site.connect() as client:
        client.send(b"".join(h1.format_request("GET", path) for path in ("/hello", "/get", "/none", "/hello")))
        assert [client.read_response().status for _ in range(4)] == [200, 200, 404, 200]


def test_a_head_may_come_byte_by_byte(site):
    with site.connect() as client:
        for byte in h1.format_request("POST", "/hello", body=b"abc"):
            client.send(bytes([byte]))
        assert client.read_response().status == 200
        assert client.get("/hello").status == 200


def test_empty_lines_before_a_request_are_passed_over(site):
    with site.connect() as client:
        client.send(b"\r\n\r\nGET /hello HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.read_response().status == 200


@pytest.mark.parametrize(
    "version, connection, stays",
    [("1.1", None, True), ("1.1", "close", False), ("1.1", "Close, x", False), ("1.0", None, False), ("1.0", "keep-alive", True)],
)
def test_who_keeps_a_connection(site, version, connection, stays):
    with site.connect() as client:
        field = f"Connection: {connection}\r\n" if connection else ""
        client.send(f"GET /hello HTTP/{version}\r\nHost: test\r\n{field}\r\n".encode())
        response = client.read_response()
        assert response.status == 200
        if stays:
            assert response.headers.get("Connection") == ("keep-alive" if version == "1.0" else None)
            assert client.get("/hello").status == 200
        else:
            assert response.headers.get("Connection") == "close"
            client.assert_closed()


def test_head_has_no_body_but_its_length(site):
    with site.connect() as client:
        client.request("HEAD", "/hello")
        response = client.read_response(is_head=True)
        assert (response.status, response.headers.get("Content-Length")) == (200, "5")
        assert client.get("/hello").status == 200


def test_no_content_has_neither_body_nor_length(site):
    with site.connect() as client:
        response = client.get("/empty")
        assert (response.status, response.body) == (204, b"")
        assert "Content-Length" not in response.headers and "Transfer-Encoding" not in response.headers


def test_redirect(site):
    response = site.get("/old")
    assert (response.status, response.headers.get("Location")) == (308, "https://example.com/new?a=b")


@pytest.mark.parametrize(
    "host, body",
    [("shop.example", b"shop"), ("SHOP.example:8080", b"shop"), ("a.example", b"any"), ("a.b.example", b"any"), ("example", b"hello"), ("", b"hello")],
)
def test_hosts(site, host, body):
    with site.connect() as client:
        client.request("GET", "/hello", host=host)
        assert client.read_response().body == body


def test_absolute_form_overrides_host(site):
    with site.connect() as client:
        client.send(b"GET http://shop.example/hello HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.read_response().body == b"shop"


def test_methods(site):
    with site.connect() as client:
        assert client.get("/get").body == b"got"
        client.request("POST", "/get", body=b"")
        assert client.read_response().status == 201
        client.request("PUT", "/get", body=b"x")
        response = client.read_response()
        assert response.status == 405
        assert set(response.headers.get("Allow").split(", ")) == {"GET", "HEAD", "POST", "DELETE"}
        assert client.get("/hello").status == 200


@pytest.mark.parametrize("path", ["/hello/", "/Hello", "//hello", "/hello/../none", "/%2fhello"])
def test_nothing_but_the_path_itself(site, path):
    assert site.get(path).status == 404


@pytest.mark.parametrize("path", ["/./hello", "/x/../hello", "/%68ello", "/x/%2e%2e/hello", "/hello?a=b"])
def test_other_spellings_of_the_path(site, path):
    assert site.get(path).status == 200


@pytest.mark.parametrize("path", ["/..", "/hello/../../x", "/%00", "/%zz", "/a%", "/%2e%2e/x"])
def test_paths_that_are_none(site, path):
    site.allow("info: request from")
    assert site.get(path).status == 400


@pytest.mark.parametrize("size, headers", [("1K", 10), ("16K", 100), ("1M", 1000)])
def test_heads_are_limited_as_configured(service, size, headers):
    """RFC 9112 3 and RFC 6585 5: 414 for a request line, 431 for fields, and the connection is over."""
    service.listen("http")
    service.configure(HELLO, gateway=f"MaxHeadSize={size}\nMaxHeaders={headers}")
    service.start_ready()
    limit = int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]

    def answer(data):
        with service.connect() as client:
            client.send(data)
            response = client.read_response()
            if response.status != 200:
                client.assert_closed()
            return response.status

    def large(bytes_in_all):
        frame = "GET /hello HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
        return frame.replace("X: ", "X: " + "x" * (bytes_in_all - len(frame))).encode()

    def many(fields):
        return ("GET /hello HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * (fields - 1) + "\r\n").encode()

    assert answer(large(limit)) == 200
    assert answer(large(limit + 1)) == 431
    assert answer(f"GET /{'x' * limit} HTTP/1.1\r\nHost: a\r\n\r\n".encode()) == 414
    assert answer(many(headers)) == 200
    assert answer(many(headers + 1)) == 431


# Errors


def test_errors_are_problems_in_the_clients_language(site):
    with site.connect() as client:
        response = client.get("/none", [("Accept", "application/json")])
        assert response.headers.get("Content-Type") == "application/problem+json"
        problem = json.loads(response.body)
        assert problem["status"] == 404 and problem["title"] == "Not Found"
        response = client.get("/none", [("Accept", "text/plain")])
        assert response.headers.get("Content-Type").startswith("text/plain")
        response = client.get("/none", [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")])
        assert response.headers.get("Content-Type").startswith("text/html")
        client.request("HEAD", "/none")
        assert client.read_response(is_head=True).status == 404
        assert client.get("/hello").status == 200


def test_request_ids_are_kept_or_made(site):
    with site.connect() as client:
        assert client.get("/hello", [("X-Request-ID", "abc-123")]).headers.get("X-Request-ID") == "abc-123"
        made = [client.get("/hello", fields).headers.get("X-Request-ID") for fields in
                ([], [("X-Request-ID", "")], [("X-Request-ID", "a b")], [("X-Request-ID", "x" * 129)], [("X-Request-ID", '"<')])]
        assert all(re.fullmatch("[0-9a-f]{32}", id) for id in made)
        assert len(set(made)) == len(made)


# What bad input gets

CHUNKED = "Transfer-Encoding: chunked\r\n"
REFUSED = [
    ("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + CHUNKED + "\r\n0\r\n\r\n", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\n" + CHUNKED + "Content-Length: 3\r\n\r\n0\r\n\r\n", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400),
    ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET /hello HTTP/1.1\r\n\r\n", 400),
    ("GET /hello HTTP/1.1\nHost: a\n\n", 400),
    ("GET /hello HTTP/1.1\r\nHost: a\r\nX: b\n\r\n", 400),
    ("GET /hello HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    ("GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("GET /hello HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", 400),
    ("GET /hello HTTP/1.1\r\nHost: a\r\nX: b\x00\r\n\r\n", 400),
    ("GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("GET /hello HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("GET hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("POST /hello HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417),
    ("POST /hello HTTP/1.1\r\nHost: a\r\n" + CHUNKED + "\r\nzz\r\n", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\n" + CHUNKED + "\r\n3\r\nabcX\r\n0\r\n\r\n", 400),
    ("POST /hello HTTP/1.1\r\nHost: a\r\n" + CHUNKED + "\r\nfffffffffffffffff\r\n", 400),
    ("GET /hello HTTP/1.1\r\nHost: a\r\nX: " + "x" * 20000 + "\r\n\r\n", 431),
    ("GET /hello HTTP/1.1\r\nHost: a\r\n" + "A: b\r\n" * 150 + "\r\n", 431),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
]


@pytest.mark.parametrize("request_text, status", REFUSED)
def test_refused_and_closed(site, request_text, status):
    """Nothing behind a request that cannot be trusted is looked at."""
    site.allow("info: request from")
    with site.connect() as client:
        client.send(request_text.encode("latin-1") + h1.format_request("GET", "/hello"))
        response = client.read_response()
        assert response.status == status
        assert response.headers.get("Connection") == "close"
        client.assert_closed()
    assert site.get("/hello").status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(site, chunked):
    site.allow("info: request from")
    with site.connect() as client:
        body = b"b\r\n01234567890\r\n0\r\n\r\n" if chunked else b"01234567890"
        framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 11"
        client.send(f"POST /small HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode() + body)
        assert client.read_response().status == 413
        client.assert_closed()
    with site.connect() as client:
        client.request("POST", "/small", body=b"0123456789")
        assert client.read_response().status == 200


def test_continue_is_sent_when_the_body_is_wanted(site):
    site.allow("info: request from")
    with site.connect() as client:
        client.send(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_line() == b"HTTP/1.1 100 Continue"
        assert client.read_line() == b""
        client.send(b"abc")
        assert client.read_response().status == 200
    for target, length, status in (("/small", 11, 413), ("/none", 3, 404), ("/get", 3, 201)):
        with site.connect() as client:
            client.send(f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n".encode())
            if status == 201:
                assert client.read_line() == b"HTTP/1.1 100 Continue"
                break
            assert client.read_response().status == status  # and no 100 before it
            client.assert_closed()


# Clocks


def test_a_head_that_does_not_end(site):
    site.allow("info: request from")
    with site.connect() as client:
        client.send(b"GET /hello HTTP/1.1\r\nHost:")
        assert client.read_response().status == 408
        client.assert_closed()


def test_an_empty_line_begins_no_request(site):
    """As some clients send behind a body (RFC 9112 2.2): the connection is as idle as without it."""
    with site.connect() as client:
        for _ in range(2):
            client.request("POST", "/hello", body=b"abc")
            assert client.read_response().status == 200
            client.send(b"\r\n")
            time.sleep(1.3)  # longer than HeadTimeoutSec=
            assert sum(w["idle"] for w in h1.json(site.admin("GET", "/v1/status"))["workers"]) == 1
        assert client.get("/hello").status == 200
        client.send(b"\r\n")
        client.assert_closed()


def test_a_body_that_does_not_end(site):
    site.allow("info: request from")
    with site.connect() as client:
        client.send(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc")
        assert client.read_response().status == 408
        client.assert_closed()


def test_an_idle_connection_is_closed_without_a_word(site):
    with site.connect() as client:
        assert client.get("/hello").status == 200
        client.assert_closed()


def test_a_response_survives_what_the_client_still_sends(site):
    """The lingering close: unread bytes must not turn into a reset that destroys the response."""
    site.allow("info: request from")
    for _ in range(20):
        with site.connect() as client:
            client.send(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300000)
            assert client.read_response().status == 413
            client.assert_closed()


def test_a_thousand_connections_are_forgotten_when_they_end(site):
    clients = [site.connect() for _ in range(500)]
    for client in clients:
        assert client.get("/hello").status == 200
    assert json.loads(site.admin("GET", "/v1/status").body)["totals"]["connections"] == 500
    for client in clients:
        client.close()
    h1.eventually(lambda: json.loads(site.admin("GET", "/v1/status").body)["totals"]["connections"] == 0)
