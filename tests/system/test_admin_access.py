"""Who may do what over the admin socket, by what the kernel says of the client; and that browsers and proxies may not."""

import json
import os
import re
import subprocess

import pytest


OWN_GROUP = 64711  # which the gateway runs in
MEMBER, STRANGER = 64712, 64713
CHANGES = [
    "/v1/reload",
    "/v1/upstreams/pause?upstream=orders",
    "/v1/upstreams/resume?upstream=orders",
    "/v1/upstreams/target?upstream=orders&address=127.0.0.1:1&weight=2",
]
READS = ["/", "/livez", "/readyz", "/metrics", "/v1/health", "/v1/status", "/v1/upstreams"]

# Run as somebody else: only the standard library can be counted on.
CLIENT = """
import http.client, json, socket, sys
answers = []
for method, path in json.loads(sys.argv[2]):
    connection = http.client.HTTPConnection("holdfast", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1])
    connection.request(method, path)
    response = connection.getresponse()
    answers.append([response.status, response.getheader("Content-Type"), response.read().decode()])
print(json.dumps(answers))
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def open_service(service):
    """A gateway in a group of its own, whose admin socket lets everybody connect."""
    wrapper = service.directory / "holdfastd"
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --regid={OWN_GROUP} --clear-groups "{service.binary.resolve()}" "$@"\n')
    wrapper.chmod(0o755)
    service.binary = wrapper
    service.listen("http")
    service.listen("admin")
    service.directory.chmod(0o755)
    os.chmod(service.admin_address(), 0o666)
    service.allow("warning: upstream orders: no target is ready")
    service.configure("[Upstream orders]\nTarget=127.0.0.1:1\n[Route /]\nUpstream=orders\n")
    return service.start_ready()


def ask(service, requests, user, group, extra_groups=()):
    """(status, content type, body) of each request, made by a process of that user and these groups."""
    done = subprocess.run(["/usr/bin/python3", "-c", CLIENT, service.admin_address(), json.dumps(requests)], cwd="/",
                          user=user, group=group, extra_groups=extra_groups, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def operator_lines(service, refused):
    return [line for line in service.lines() if re.search(r"operator \(UID", line) and ("was refused" in line) == refused]


def test_a_stranger_may_read_and_no_more(open_service):
    open_service.allow("warning: operator ")
    before = open_service.pid
    reads = ask(open_service, [("GET", path) for path in READS], STRANGER, STRANGER, [100])
    assert [status for status, _, _ in reads] == [200] * len(READS)
    for (status, content_type, body), path in zip(ask(open_service, [("POST", path) for path in CHANGES], STRANGER,
                                                      STRANGER, [100]), CHANGES):
        assert (status, content_type) == (403, "application/problem+json")
        problem = json.loads(body)
        assert problem["status"] == 403 and "only root" in problem["detail"]
        line = open_service.wait_for_line(re.escape(path.partition("?")[0]) + " was refused: only root")
        assert f"operator_uid={STRANGER}" in line and f"operator_gid={STRANGER}" in line and "operator_pid=" in line
    assert open_service.pid == before
    assert json.loads(open_service.admin("GET", "/v1/upstreams").body)["upstreams"][0]["paused"] is False
    assert not operator_lines(open_service, refused=False)


@pytest.mark.parametrize("who", [(MEMBER, MEMBER, [100, OWN_GROUP]), (MEMBER, OWN_GROUP, []), (0, STRANGER, [])],
                         ids=["supplementary", "primary", "root"])
def test_members_and_root_may_change(open_service, who):
    answers = ask(open_service, [("POST", path) for path in CHANGES[1:]], *who)
    assert [status for status, _, _ in answers] == [200, 200, 200]
    for verb in ("pause", "resume"):
        line = open_service.wait_for_line(f": orders: {verb}")
        assert f"operator_uid={who[0]}" in line and f"operator_gid={who[1]}" in line


def test_a_reload_is_told_with_who_asked(open_service):
    before = open_service.pid
    assert ask(open_service, [("POST", "/v1/reload")], MEMBER, MEMBER, [OWN_GROUP])[0][0] == 200
    line = open_service.wait_for_line(r"operator \(.*\): reload")
    assert f"operator_uid={MEMBER}" in line and "verb=reload" in line
    assert open_service.pid != before
    # The successor knows its group as well.
    assert ask(open_service, [("POST", CHANGES[1])], STRANGER, STRANGER)[0][0] == 403
    assert ask(open_service, [("POST", CHANGES[1])], MEMBER, OWN_GROUP)[0][0] == 200
    open_service.wait_for_line("was refused")


def test_a_member_who_leaves_the_group(open_service):
    """What counts is who had connected: a connection goes on as it began, a new one does not."""
    requests = [("POST", CHANGES[1]), ("POST", CHANGES[2])]
    assert [status for status, _, _ in ask(open_service, requests, MEMBER, MEMBER, [OWN_GROUP])] == [200, 200]
    assert [status for status, _, _ in ask(open_service, requests, MEMBER, MEMBER, [])] == [403, 403]
    open_service.wait_for_line("was refused")


@pytest.mark.parametrize(
    "headers, host",
    [
        ([("Origin", "http://holdfast")], "holdfast"),
        ([("Origin", "null")], "localhost"),
        ([("Sec-Fetch-Site", "same-origin")], "holdfast"),
        ([("Sec-Fetch-Site", "none")], "holdfast"),
        ([], "evil.example"),
        ([], "localhost.evil.example:80"),
        ([("X-Forwarded-For", "192.0.2.1")], "holdfast"),
        ([("Forwarded", "for=192.0.2.1")], "holdfast"),
        ([("Via", "1.1 proxy")], "holdfast"),
    ],
)
def test_no_web_page_and_no_proxy_may_change(open_service, headers, host):
    for path in CHANGES:
        response = open_service.admin("POST", path, headers, host=host)
        assert response.status == 403, path
        assert response.headers.get("content-type") == "application/problem+json"
    assert open_service.admin("GET", "/v1/status", headers, host=host).status == 200
    open_service.wait_for_line("was refused")


def test_not_through_a_route_of_the_gateway_itself(service):
    """It may connect to the socket as its own user; whoever it does that for may not change anything."""
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream self]\nTarget=unix:{service.admin_address()}\n[Route /*rest]\nUpstream=self\n")
    service.start_ready()
    assert service.get("/v1/status").status == 200
    for host in ("holdfast", "localhost"):
        with service.connect() as client:
            client.request("POST", "/v1/upstreams/pause?upstream=self", host=host)
            response = client.read_response()
        assert response.status == 403 and "proxy" in response.text
    service.wait_for_line("was refused: this request came through a proxy")


SECURITY_FIELDS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def assert_for_programs_only(response):
    for name, value in SECURITY_FIELDS.items():
        assert response.headers.get(name) == value
    names = {name.lower() for name, _ in response.headers}
    assert not any(name.startswith("access-control-") for name in names)
    assert "set-cookie" not in names


def test_every_answer_is_for_programs_only(gateway):
    gateway.allow("warning: operator ")
    origin = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST"), ("Cookie", "session=1")]
    for path in [*READS, "/nothing", "/v1/reload"]:
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"):
            with gateway.connect(1) as client:
                client.request(method, path, [*origin, ("Accept", "text/html")])
                response = client.read_response(is_head=method == "HEAD")
            assert_for_programs_only(response)
            if path == "/nothing":
                assert response.status == 404
            elif path == "/v1/reload":
                assert response.status == (403 if method == "POST" else 405)
                assert response.headers.get("allow") == (None if method == "POST" else "POST")
            else:
                assert response.status == (200 if method in ("GET", "HEAD") else 405)
                assert response.headers.get("allow") == (None if response.status == 200 else "GET, HEAD")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
        b"GET /v1/<b> HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
        b"GET /%3Cscript%3E HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nX-Request-ID: <script>\r\n\r\n",
        b"GET <script> HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: <script>\r\nAccept: text/html\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nContent-Length: 99999999\r\n\r\n",
    ],
)
def test_no_error_is_a_page_with_what_was_asked(gateway, data):
    with gateway.connect(1) as client:
        client.send(data)
        response = client.read_response()
    assert response.status in (400, 404, 413)
    assert_for_programs_only(response)
    assert b"<script>" not in response.body or not response.headers.get("content-type").startswith("text/html")
    for name, value in response.headers:
        assert "<" not in value


def test_over_tcp_only_by_address(service):
    service.listen("http")
    service.listen("admin", "tcp4")
    service.allow("warning: the admin socket is", "warning: operator ")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    service.start_ready()
    port = service.address(1)[1]
    for host, status in ((f"127.0.0.1:{port}", 200), (f"localhost:{port}", 200), ("rebound.example", 403)):
        assert service.admin("GET", "/metrics", host=host).status == status
        assert service.admin("POST", "/v1/reload", host=host).status == 403
