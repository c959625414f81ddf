"""The admin API and holdfastctl against a running gateway."""

import json
import os
import signal
import subprocess

import pytest

import h1
import manager
from exposition import Exposition

CTL = manager.find_holdfastd().parent / "src" / "ctl" / "holdfastctl"


def metrics(service):
    response = service.admin("GET", "/metrics")
    assert response.status == 200
    assert response.headers.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    return Exposition(response.text)


def status(service):
    response = service.admin("GET", "/v1/status")
    assert response.status == 200
    assert response.headers.get("content-type") == "application/json"
    return json.loads(response.body)


def ctl(service, *args):
    path = next(sock.getsockname() for name, sock in service.sockets if name == "admin")
    env = {**os.environ, "HOLDFAST_ADMIN": path, "PATH": f"{service.binary.parent}:{os.environ['PATH']}"}
    return subprocess.run([CTL, *args], capture_output=True, text=True, timeout=30, env=env)


@pytest.fixture
def proxy(service, upstream):
    """A gateway with a route of each kind, and the app behind it."""
    (service.directory / "www").mkdir()
    (service.directory / "www" / "index.html").write_text("welcome")
    service.listen("http")
    service.listen("admin")
    service.configure(
        f"[Upstream orders]\nTarget={upstream.target} weight=3\n"
        "[Route /api/orders/:id]\nMethods=GET POST\nUpstream=orders\n"
        '[Route /hello]\nRespond=200 "hello"\n'
        "[Route /old]\nRedirect=301 https://example.com/\n"
        f"[Route /]\nStatic={service.directory}/www\n"
    )
    return service.start_ready()


# /livez, /readyz, /v1/health


def test_running_gateway_is_live_and_ready(gateway):
    for path in ("/livez", "/readyz"):
        response = gateway.admin("GET", path)
        assert (response.status, response.body) == (200, b"ok\n")
        assert gateway.admin("HEAD", path).status == 200
    health = json.loads(gateway.admin("GET", "/v1/health").body)
    assert health["live"] is True and health["ready"] is True and health["state"] == "running"


def test_draining_gateway_is_live_but_not_ready(proxy, upstream):
    client = proxy.connect()
    client.request("GET", "/api/orders/1")
    app, _ = upstream.expect()
    proxy.signal(signal.SIGTERM)
    proxy.wait_for("STOPPING=1")

    assert proxy.admin("GET", "/livez").status == 200
    response = proxy.admin("GET", "/readyz")
    assert (response.status, response.body) == (503, b"draining\n")
    told = status(proxy)
    assert told["state"] == "draining"
    assert told["totals"]["in_flight"] == 1
    result = ctl(proxy, "health")
    assert result.returncode == 1
    assert result.stdout.startswith("unhealthy: draining, generation ")

    app.respond(200, b"done")
    assert client.read_response().body == b"done"
    assert proxy.wait() == 0


def test_gateway_that_waits_for_its_checks_is_not_ready(service):
    dependency = h1.Upstream()
    service.listen("http")
    service.listen("admin")
    service.configure(f'[Check app]\nHttp=http://{dependency.target}/healthz\n[Route /]\nRespond=200 "x"\n')
    service.start()
    app, request = dependency.expect()
    assert request.target == "/healthz"
    response = service.admin("GET", "/readyz")
    assert (response.status, response.body) == (503, b"starting\n")
    assert ctl(service, "health").returncode == 1
    app.respond(200, b"fine")
    service.wait_ready()
    assert service.admin("GET", "/readyz").status == 200
    assert ctl(service, "health").returncode == 0
    dependency.close()


# /metrics


def test_metrics_of_an_idle_gateway(gateway):
    m = metrics(gateway)
    assert m.types["holdfast_requests_total"] == "counter"
    assert m.types["holdfast_request_duration_seconds"] == "histogram"
    assert m.value("holdfast_requests_in_flight") == 0
    assert m.sum("holdfast_requests_total") == 0
    assert m.sum("holdfast_connections") == 0
    assert m.value("holdfast_state", state="running") == 1
    assert m.sum("holdfast_build_info") == 1
    assert m.value("holdfast_generation") == 1
    assert m.value("holdfast_start_time_seconds") == m.value("process_start_time_seconds") > 1.7e9
    assert m.value("process_threads") >= 3
    assert m.value("process_open_fds") > 5
    assert m.value("process_max_fds") > m.value("process_open_fds")
    assert m.value("process_resident_memory_bytes") > 1e6


def test_requests_are_counted_by_route_method_and_class(proxy, upstream):
    with proxy.connect() as client:
        for method, path in [("GET", "/hello"), ("GET", "/hello"), ("POST", "/hello"), ("GET", "/old"), ("GET", "/nowhere")]:
            client.request(method, path, body=b"abc" if method == "POST" else None)
            client.read_response()
        client.request("GET", "/")
        client.read_response()
    requests = "holdfast_requests_total"
    h1.eventually(lambda: metrics(proxy).sum(requests) == 6)  # counted when they have ended
    m = metrics(proxy)
    assert m.value(requests, route="/hello", method="GET", **{"class": "2xx"}) == 2
    assert m.value(requests, route="/hello", method="POST", **{"class": "2xx"}) == 1
    assert m.value(requests, route="/old", method="GET", **{"class": "3xx"}) == 1
    assert m.value(requests, route="/", method="GET", **{"class": "2xx"}) == 1
    assert m.value(requests, route="/", method="GET", **{"class": "4xx"}) == 1  # takes all that has no other
    assert m.sum(requests) == 6
    assert m.value("holdfast_request_duration_seconds_count", route="/hello") == 3
    assert 0 < m.value("holdfast_request_duration_seconds_sum", route="/hello") < 5
    assert m.value("holdfast_request_bytes_total", route="/hello") == 3
    assert m.value("holdfast_response_bytes_total", route="/hello") >= 15
    assert m.value("holdfast_requests_in_flight") == 0


def test_methods_of_a_clients_invention_make_one_series(proxy):
    for method in ("BREW", "WHEN", "X" * 200):
        with proxy.connect() as client:
            client.request(method, "/hello")
            client.read_response()
    h1.eventually(lambda: metrics(proxy).sum("holdfast_requests_total") == 3)  # counted when they have ended
    m = metrics(proxy)
    labels = [dict(labels) for name, labels in m.samples if name == "holdfast_requests_total"]
    assert len({label["method"] for label in labels}) == 1


def test_tries_and_connections_to_an_app(proxy, upstream):
    target = {"upstream": "orders", "target": upstream.target}
    app = None
    with proxy.connect() as client:
        for _ in range(2):
            client.request("GET", "/api/orders/1")
            if app is None:
                app = upstream.accept()
            app.read_request()
            m = metrics(proxy)
            assert m.value("holdfast_requests_in_flight") == 1
            app.respond(200, b"fine")
            assert client.read_response().status == 200
        m = metrics(proxy)
        assert m.value("holdfast_upstream_tries_total", outcome="ok", **target) == 2
        assert m.value("holdfast_upstream_reused_total", **target) == 1
        assert m.value("holdfast_upstream_pool_idle", **target) == 1
        assert m.value("holdfast_upstream_try_duration_seconds_count", **target) == 2

    told = status(proxy)["upstreams"][0]["targets"][0]
    assert told["address"] == upstream.target and told["weight"] == 3
    assert (told["tries"], told["reused"], told["idle"]) == (2, 1, 1)
    app.close()
    h1.eventually(lambda: metrics(proxy).value("holdfast_upstream_pool_idle", **target) == 0)


def test_an_app_that_is_down(proxy, upstream):
    proxy.allow("warning: ")
    upstream.close()
    proxy.config_path.write_text(proxy.config_path.read_text().replace("[Upstream orders]", "[Upstream orders]\nHoldSec=0"))
    proxy.reload()
    proxy.wait_former()
    assert proxy.get("/api/orders/1").status in (502, 503)
    h1.eventually(lambda: metrics(proxy).value("holdfast_requests_in_flight") == 0)
    m = metrics(proxy)
    assert m.sum("holdfast_upstream_tries_total", outcome="connect_failed") >= 1
    assert m.sum("holdfast_requests_total", **{"class": "5xx"}) == 1
    told = status(proxy)
    assert told["upstreams"][0]["targets"][0]["by_outcome"]["connect_failed"] >= 1
    assert told["upstreams"][0]["targets"][0]["up"] is False
    assert told["totals"]["by_class"]["5xx"] == 1
    assert "\tdown\t" in ctl(proxy, "status").stdout


def test_open_connections(proxy):
    labels = {"listener": "http", "protocol": "http1"}
    with proxy.connect() as first, proxy.connect() as second:
        first.get("/hello")
        second.get("/hello")
        m = metrics(proxy)
        assert m.value("holdfast_connections", **labels) == 2
        told = status(proxy)
        assert told["listeners"][0]["connections"]["http1"] == 2
        assert sum(worker["connections"] for worker in told["workers"]) == 2
    h1.eventually(lambda: metrics(proxy).value("holdfast_connections", **labels) == 0)
    assert metrics(proxy).value("holdfast_connections_total", **labels) == 2


def test_a_client_that_goes_away_is_counted_as_aborted(proxy, upstream):
    client = proxy.connect()
    client.request("GET", "/api/orders/1")
    upstream.expect()
    client.close()
    h1.eventually(lambda: metrics(proxy).sum("holdfast_requests_total", **{"class": "aborted"}) == 1)
    h1.eventually(lambda: metrics(proxy).value("holdfast_requests_in_flight") == 0)
    assert metrics(proxy).sum("holdfast_upstream_tries_total", outcome="cancelled") == 1


# /v1/status


def test_status(proxy):
    told = status(proxy)
    assert told["state"] == "running"
    assert told["generation"] == 1
    assert told["pid"] == proxy.pid
    assert 0 < told["uptime_usec"] < 60_000_000
    assert [worker["accepting"] for worker in told["workers"]] == [True, True]
    assert told["listeners"][0]["name"] == "http"
    assert proxy.address() in told["listeners"][0]["addresses"][0]
    routes = {route["route"]: route for route in told["routes"]}
    assert list(routes) == ["/api/orders/:id", "/hello", "/old", "/", None]
    assert routes["/api/orders/:id"]["upstream"] == "orders"
    assert routes["/api/orders/:id"]["methods"] == ["GET", "POST"]
    assert routes["/hello"]["respond"] == 200
    assert routes["/old"]["redirect"] == "https://example.com/"
    assert routes["/"]["static"].endswith("/www")


def test_the_admin_api_does_not_count_itself(gateway):
    for _ in range(3):
        status(gateway)
    assert status(gateway)["totals"]["requests"] == 0
    assert status(gateway)["totals"]["connections"] == 0


# errors


def test_unknown_path_and_wrong_method(gateway):
    response = gateway.admin("GET", "/v1/nothing")
    assert response.status == 404
    assert response.headers.get("content-type") == "application/problem+json"
    assert json.loads(response.body)["status"] == 404
    for path in ("/v1/status", "/readyz", "/metrics", "/"):
        response = gateway.admin("DELETE", path)
        assert response.status == 405
        assert response.headers.get("allow") == "GET, HEAD"


def test_problem_as_text(gateway):
    with gateway.connect(1) as client:
        response = client.get("/v1/nothing", [("Accept", "text/plain")])
    assert response.status == 404
    assert response.headers.get("content-type") == "text/plain; charset=utf-8"
    assert "/v1/nothing" in response.text


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: a\r\nAccept: " + b"," * 4000 + b"\r\n\r\n",
        b"GET /%00%ff%0a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n",
        b"POST /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
    ],
)
def test_hostile_requests_leave_the_admin_api_working(gateway, data):
    with gateway.connect(1) as client:
        try:
            client.send(data)
            client.shutdown_write()
            client.read_to_end()
        except OSError:
            pass  # it may close early
    assert gateway.admin("GET", "/readyz").status == 200
    assert gateway.get("/hello").status == 200


@pytest.mark.hooks
def test_wedge_refuses_what_is_no_worker(gateway):
    for query in ("", "?worker=2", "?worker=-1", "?worker=x"):
        assert gateway.admin("POST", "/v1/test/wedge" + query).status == 400
    response = gateway.admin("GET", "/v1/test/wedge?worker=0")
    assert (response.status, response.headers.get("allow")) == (405, "POST")
    assert gateway.get("/hello").status == 200


@pytest.mark.hooks
def test_over_tcp_nothing_can_be_changed(service):
    service.listen("http")
    service.listen("admin", "tcp4")
    service.allow("warning: the admin socket is ")
    service.allow("warning: operator \\(not known\\): /v1/test/wedge was refused")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    service.start_ready()
    assert service.admin("GET", "/v1/status").status == 200
    assert service.admin("POST", "/v1/test/wedge?worker=0").status == 403
    assert service.get("/hello").status == 200


# holdfastctl


def test_ctl_shows_a_real_gateway(proxy):
    assert proxy.get("/hello").status == 200
    result = ctl(proxy, "status")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("holdfast ") and f", generation 1, pid {proxy.pid}, up " in lines[0]
    assert any(line.startswith("/hello\trespond 200\t1\t1\t0\t0\t0\t0\t") for line in lines)
    assert any(line.startswith("http\thttp\t") for line in lines)

    assert json.loads(ctl(proxy, "status", "--json").stdout)["pid"] == proxy.pid
    assert ctl(proxy, "health").stdout.startswith("healthy: running, generation 1, up ")
    result = ctl(proxy, "metrics")
    assert result.returncode == 0
    assert Exposition(result.stdout).value("holdfast_generation") == 1


def test_ctl_check(proxy):
    result = ctl(proxy, "check", str(proxy.config_path))
    assert result.returncode == 0, result.stderr
    bad = proxy.directory / "bad.conf"
    bad.write_text("[Gateway]\nThreads=many\n[Rout /]\nRespond=200\n")
    result = ctl(proxy, "check", str(bad))
    assert result.returncode == 1
    assert "bad.conf:2" in result.stderr and "bad.conf:3" in result.stderr
    assert ctl(proxy, "check", str(proxy.directory / "none.conf")).returncode == 1
