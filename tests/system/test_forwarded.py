"""TrustedProxies=: who the client is when a proxy asks on its behalf, and what the app is told. 127.0.0.8/29 are the
proxies; the tests are one of them when they come from 127.0.0.9."""

import json

import pytest

import h1
import h2

PROXY = "127.0.0.9"


@pytest.fixture
def gateway(service, upstream):
    service.listen("http", "tcp4")
    service.listen("http", "unix")
    service.listen("admin")
    service.write_config(
        "[Gateway]\nThreads=1\nAccessLog=journal\n[Listener http]\nTrustedProxies=127.0.0.8/29\n"
        f"[Upstream app]\nTarget={upstream.target}\n[Route /*rest]\nUpstream=app\n"
        "[Route /staff]\nRespond=204\nAllowFrom=198.51.100.0/24\n"
    )
    service.allow("info: request from")
    return service.start_ready()


def told(gateway, upstream, headers, source=PROXY):
    """What the app gets of the client: X-Forwarded-For, Forwarded, X-Forwarded-Proto, X-Forwarded-Host."""
    with gateway.connect(source=source) as client:
        client.request(target="/x", headers=headers)
        with upstream.accept() as app:
            fields = app.read_request().headers
            app.respond(200)
            assert client.read_response().status == 200
    return tuple(fields.get(name) for name in ("X-Forwarded-For", "Forwarded", "X-Forwarded-Proto", "X-Forwarded-Host"))


OWN = 'for=127.0.0.9;proto=http;host="test"'


@pytest.mark.parametrize(
    "headers, expected",
    [
        ([], ("127.0.0.9", OWN, "http", "test")),
        (
            [("X-Forwarded-For", "192.0.2.1")],
            ("192.0.2.1, 127.0.0.9", f"for=192.0.2.1, {OWN}", "http", "test"),
        ),
        (
            [("X-Forwarded-For", "6.6.6.6, 2001:db8::1, 127.0.0.10"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")],
            ("2001:db8::1, 127.0.0.10, 127.0.0.9", f'for="[2001:db8::1]";proto=https;host="shop.example", for=127.0.0.10, {OWN}', "https", "shop.example"),
        ),
        (
            [("x-forwarded-FOR", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1"), ("X-FORWARDED-FOR", "127.0.0.10")],
            ("192.0.2.1, 127.0.0.10, 127.0.0.9", f"for=192.0.2.1, for=127.0.0.10, {OWN}", "http", "test"),
        ),
        (
            [("Forwarded", 'for=6.6.6.6, for="[2001:db8::1]:81";proto=https;host=shop.example'), ("Forwarded", "for=127.0.0.10;x=y")],
            ("2001:db8::1, 127.0.0.10, 127.0.0.9", f'for="[2001:db8::1]:81";proto=https;host=shop.example, for=127.0.0.10;x=y, {OWN}', "https", "shop.example"),
        ),
        ([("X-Forwarded-For", "6.6.6.6, junk")], ("127.0.0.9", OWN, "http", "test")),
        ([("Forwarded", 'for=6.6.6.6;x="')], ("127.0.0.9", OWN, "http", "test")),
        ([("Forwarded", "for=_hidden;proto=https")], ("unknown, 127.0.0.9", f"for=_hidden;proto=https, {OWN}", "https", "test")),
        ([("X_Forwarded_For", "6.6.6.6"), ("X-Real_IP", "6.6.6.6")], ("127.0.0.9", OWN, "http", "test")),
        (
            [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1;proto=https")],
            ("192.0.2.1, 127.0.0.9", f"for=192.0.2.1;proto=https, {OWN}", "https", "test"),
        ),
    ],
)
def test_a_trusted_proxy(gateway, upstream, headers, expected):
    assert told(gateway, upstream, headers) == expected


def test_anybody_else(gateway, upstream):
    lies = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil"),
        ("FORWARDED", "for=192.0.2.1"),
        ("X_Forwarded_For", "192.0.2.1"),
        ("x_FORWARDED-for", "192.0.2.1"),
        ("X_Real_IP", "192.0.2.1"),
        ("X_Forwarded_Host", "evil"),
    ]
    with gateway.connect(source="127.0.0.2") as client:
        client.request(target="/x", headers=lies)
        with upstream.accept() as app:
            request = app.read_request()
            app.respond(200)
            client.read_response()
    assert b"192.0.2.1" not in request.head and b"evil" not in request.head
    assert request.headers.get("X-Forwarded-For") == "127.0.0.2"
    assert request.headers.get("Forwarded") == 'for=127.0.0.2;proto=http;host="test"'


def test_routes_go_by_the_client(gateway):
    for source, claim, status in [
        (PROXY, "198.51.100.7", 204),
        (PROXY, "198.51.100.7, 192.0.2.1", 403),
        (PROXY, "198.51.100.7, junk", 403),
        (PROXY, None, 403),
        ("127.0.0.2", "198.51.100.7", 403),
    ]:
        with gateway.connect(source=source) as client:
            assert client.get("/staff", [("X-Forwarded-For", claim)] if claim else []).status == status, claim


def test_contradictions_are_refused(gateway):
    with gateway.connect(source=PROXY) as client:
        both = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=198.51.100.7")]
        response = client.get("/staff", both)
        assert response.status == 400 and "contradict" in json.loads(response.body)["detail"]
        gateway.wait_for_line("refused with 400: The proxies")
        assert client.get("/staff", both[1:]).status == 204
    with gateway.connect(source="127.0.0.2") as client:  # from whom neither is read
        assert client.get("/staff", both).status == 403


def test_over_http2(gateway, upstream):
    with h2.Connection(gateway.address(), source=PROXY) as client:
        fields = [("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", "https")]
        assert client.read_response(client.request(path="/staff", headers=fields)).status == 204
        assert client.read_response(client.request(path="/staff", headers=[("x-forwarded-for", "192.0.2.1")])).status == 403
        stream = client.request(path="/x", headers=fields)
        with upstream.accept() as app:
            request = app.read_request()
            assert request.headers.get("X-Forwarded-For") == "198.51.100.7, 127.0.0.9"
            assert request.headers.get("X-Forwarded-Proto") == "https"
            app.respond(200)
            assert client.read_response(stream).status == 200


def test_records_tell_both(gateway, upstream):
    told(gateway, upstream, [("X-Forwarded-For", "192.0.2.1")])
    line = gateway.wait_for_line(r"GET /x 200 .*peer=127\.0\.0\.9")
    assert "client=192.0.2.1" in line
    told(gateway, upstream, [], "127.0.0.2")
    line = gateway.wait_for_line(r"GET /x 200 .*peer=127\.0\.0\.2")
    assert "client=" not in line


def test_a_proxy_on_a_unix_socket(service, upstream):
    service.listen("http")
    service.write_config(
        f"[Listener http]\nTrustedProxies=unix\n[Upstream app]\nTarget={upstream.target}\n[Route /*rest]\nUpstream=app\n"
    )
    service.start_ready()
    assert told(service, upstream, [("X-Forwarded-For", "192.0.2.1")], None)[:2] == (
        "192.0.2.1, unix",
        'for=192.0.2.1, for=_unix;proto=http;host="test"',
    )


def asked_for_https(gateway, upstream, protocol, headers, source):
    """What the app gets of a request that names https, on a connection without TLS: X-Forwarded-Proto and Forwarded; or the
    status without it."""
    with (h2 if protocol == "h2" else h1).Connection(gateway.address(), source=source) as client:
        if protocol == "h2":
            stream = client.request(path="/x", headers=headers, scheme="https")
        else:
            client.request(target="https://test/x", headers=headers)
        if source != PROXY:
            return (client.read_response(stream) if protocol == "h2" else client.read_response()).status
        with upstream.accept() as app:
            fields = app.read_request().headers
            app.respond(200)
            assert (client.read_response(stream) if protocol == "h2" else client.read_response()).status == 200
    return tuple(fields.get(name) for name in ("X-Forwarded-Proto", "Forwarded"))


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_a_scheme_that_the_proxy_has_ended(gateway, upstream, protocol):
    own = 'for=127.0.0.9;proto=https;host="test"'
    assert asked_for_https(gateway, upstream, protocol, [], PROXY) == ("https", own)
    claims = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "http")]
    assert asked_for_https(gateway, upstream, protocol, claims, PROXY) == ("http", f"for=192.0.2.1;proto=http, {own}")
    claims = [("forwarded", "for=192.0.2.1;proto=http")]
    assert asked_for_https(gateway, upstream, protocol, claims, PROXY) == ("http", f"for=192.0.2.1;proto=http, {own}")
    assert asked_for_https(gateway, upstream, protocol, [("x-forwarded-proto", "https")], "127.0.0.2") == 421
