"""RateLimit=: who is held to it, what a refusal says, and that neither threads, nor reloads, nor a crowd of names are a way
around it."""

import json
import re
import threading

import pytest

import exposition
import h1
import h2


@pytest.fixture
def limited(service, upstream):
    """Starts a gateway with limits on a route of an app, and on others."""

    def start(*limits, more="", gateway="Threads=2", listeners=("http",)):
        service.listen("http")
        service.listen("admin")
        lines = "".join(f"RateLimit={limit}\n" for limit in limits)
        service.configure(
            f'[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n{lines}{more}'
            f'[Route /hello]\nRespond=200 "hello"\n{lines}{more}[Route /free]\nRespond=200 "free"\n',
            listeners=listeners,
            gateway=gateway,
        )
        return service.start_ready()

    return start


def statuses(client, count, path="/hello", headers=()):
    return [client.get(path, headers).status for _ in range(count)]


def metrics(service):
    return exposition.Exposition(service.admin("GET", "/metrics").text)


def test_a_burst_then_the_rate(limited):
    service = limited("20/s burst=3")
    with service.connect() as client:
        assert statuses(client, 3) == [200, 200, 200]
        assert client.get("/free").status == 200
        h1.eventually(lambda: client.get("/hello").status == 200, every=0.005)


def test_what_a_refusal_says(limited):
    service = limited("1/min burst=2")
    with service.connect() as client:
        assert statuses(client, 2) == [200, 200]
        response = client.get("/hello")
        assert response.status == 429
        assert response.headers.get("Content-Type") == "application/problem+json"
        problem = json.loads(response.text)
        assert (problem["status"], problem["title"]) == (429, "Too Many Requests")
        assert problem["request_id"] == response.headers.get("X-Request-ID")
        assert response.headers.get("Retry-After") == "60"
        assert response.headers.get("RateLimit-Policy") == '"client";q=2;w=120'
        assert re.fullmatch(r'"client";r=0;t=1(20|19)', response.headers.get("RateLimit"))
        # The connection is as good as before.
        assert client.get("/free").status == 200
    assert metrics(service).value("holdfast_requests_limited_total", route="/hello") == 1


def test_an_app_does_not_hear_of_it(limited, upstream):
    service = limited("1/h burst=1")
    with service.connect() as client:
        client.request("GET", "/app/1")
        with upstream.accept() as app:
            app.read_request()
            app.respond(200, b"one")
            assert client.read_response().text == "one"
            assert statuses(client, 20, "/app/2") == [429] * 20
            assert app.is_quiet(0.1)
            assert upstream.is_quiet(0.1)


def test_the_body_is_not_waited_for(limited):
    service = limited("1/h burst=1")
    assert service.get("/hello").status == 200
    with service.connect() as client:  # small: read, for the connection's sake
        client.request("POST", "/hello", body=b"x" * 1000)
        assert client.read_response().status == 429
        assert client.get("/free").status == 200
    for framing in ("Expect: 100-continue\r\nContent-Length: 5", "Content-Length: 1000000", "Transfer-Encoding: chunked"):
        with service.connect() as client:
            client.send(f"POST /hello HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())
            response = client.read_response()  # and no 100 before it
            assert (response.status, response.headers.get("Connection")) == (429, "close")
            client.assert_closed()


def test_by_header(limited):
    service = limited("1/h burst=2 by=header:X-Api-Key")
    with service.connect() as client:
        for key in ("a", "b", "A"):
            assert statuses(client, 3, headers=[("X-API-Key", key)]) == [200, 200, 429]
        assert statuses(client, 3) == [200, 200, 429]  # without the field, by client
        assert client.get("/hello", [("X-Api-Key", "")]).status == 429  # and with nothing in it
        refusal = client.get("/hello", [("x-api-key", "a")])
        assert refusal.headers.get("RateLimit-Policy") == '"X-Api-Key";q=2;w=7200'
        assert client.get("/hello", [("x-api-key", "c")]).status == 200


def test_all_must_pass_and_who_is_refused_takes_nothing(limited):
    service = limited("1/h burst=3", "1/h burst=2 by=header:Key", "1/h burst=5", more="RateLimitHeaders=yes\n")
    with service.connect() as client:
        assert statuses(client, 10, headers=[("Key", "a")]) == [200, 200] + [429] * 8
        response = client.get("/hello", [("Key", "b")])
        assert response.status == 200
        assert response.headers.get("RateLimit-Policy") == '"client";q=3;w=10800, "Key";q=2;w=7200, "client-2";q=5;w=18000'
        assert re.sub(r"t=\d+", "t", response.headers.get("RateLimit")) == '"client";r=0;t, "Key";r=1;t, "client-2";r=2;t'
        assert client.get("/hello", [("Key", "c")]).status == 429


def test_what_is_left_is_told_only_if_asked_for(limited):
    service = limited("10/s burst=5")
    response = service.get("/hello")
    assert "RateLimit" not in response.headers and "RateLimit-Policy" not in response.headers
    text = service.config_path.read_text()
    service.write_config(text.replace("burst=5\n", "burst=5\nRateLimitHeaders=yes\n"))
    service.reload()
    left = []
    with service.connect() as client:
        for _ in range(2):
            fields = client.get("/hello").headers
            assert fields.get("RateLimit-Policy") == '"client";q=5;w=1'
            left.append(int(re.fullmatch(r'"client";r=(\d);t=[01]', fields.get("RateLimit"))[1]))
    assert left[0] in (3, 4)


def test_an_apps_own_fields_stay_beside_ours(limited, upstream):
    service = limited("10/s", more="RateLimitHeaders=yes\n")
    with service.connect() as client:
        client.request("GET", "/app/1")
        with upstream.accept() as app:
            app.read_request()
            app.respond(200, b"", [("RateLimit", '"app";r=7;t=9')])
            fields = client.read_response().headers
            assert fields.all("RateLimit") == ['"client";r=9;t=1', '"app";r=7;t=9']


def test_http2(limited):
    service = limited("1/h burst=2", more="RateLimitHeaders=yes\n")
    with h2.Connection(service.address()) as client:
        first, second, third = (client.get("/hello") for _ in range(3))
        assert [first.status, second.status, third.status] == [200, 200, 429]
        assert first.headers.get("ratelimit") == '"client";r=1;t=3600'
        assert third.headers.get("retry-after") == "3600"
        stream = client.request("POST", "/hello", end=False)
        client.send_data(stream, b"x" * 1000, end=True)
        assert client.read_response(stream).status == 429
        assert client.get("/free").status == 200


def test_all_threads_share_what_there_is(limited):
    service = limited("1/h burst=200", gateway="Threads=4")
    seen = []

    def ask():
        with service.connect() as client:
            seen.extend(statuses(client, 50))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen.count(200), seen.count(429)) == (200, 600)


def test_it_goes_on_after_a_reload(limited):
    service = limited("1/h burst=5", "1/h burst=5 by=header:Key")
    for _ in range(3):
        assert service.get("/hello", [("Key", "k")]).status == 200
    text = service.config_path.read_text()
    service.reload()
    assert service.get("/hello", [("Key", "k")]).status == 200
    service.write_config(text + '[Route /more]\nRespond=200 "more"\n')
    service.reload()
    assert [service.get("/hello").status for _ in range(2)] == [200, 429]
    assert service.get("/hello", [("Key", "k")]).status == 429
    # A limit that is another one now begins anew, the other does not.
    service.write_config(text.replace("1/h burst=5\n", "2/h burst=5\n"))
    service.reload()
    assert service.get("/hello", [("Key", "k")]).status == 200
    assert service.get("/hello", [("Key", "k")]).status == 429
    assert service.get("/hello", [("Key", "l")]).status == 200


def test_it_goes_on_after_a_restart(limited, service):
    service.with_bus()
    limited("1/h burst=3")
    with service.connect() as client:
        assert statuses(client, 2) == [200, 200]
        service.restart()
        assert statuses(client, 2) == [200, 429]


def test_a_flood_is_counted_and_told_now_and_then(limited, service):
    limited("1/h burst=1", gateway="Threads=1\nAccessLog=off")
    with service.connect() as client:
        statuses(client, 2000)
    h1.eventually(lambda: metrics(service).value("holdfast_requests_limited_total", route="/hello") == 1999)
    told = [line for line in service.lines() if "refused with 429" in line]
    assert 1 <= len(told) <= 50
    # One that is refused for something else is told all the same.
    with service.connect() as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.read_response().status == 400
    service.wait_for_line("refused with 400")


def test_a_flood_of_malformed_requests_is_told_now_and_then(limited, service):
    limited("1/h", gateway="Threads=1")
    for _ in range(300):
        with service.connect() as client:
            client.send(b"nonsense\r\n\r\n")
            assert client.read_response().status == 400
    told = [line for line in service.lines() if "refused with" in line]
    assert 1 <= len(told) <= 100


@pytest.mark.costs
def test_a_crowd_of_names_pushes_out_nobody_who_is_limited(limited, service):
    """Many more keys than there is room for, each used once: whoever has used up what is his stays where he is, and memory
    does not grow."""
    limited("1/h burst=10 by=header:Key", gateway="Threads=2\nRateLimitClients=1024")
    used_up = [f"limited-{i}" for i in range(20)]

    def flood(first, count):
        with service.connect() as client:
            for at in range(first, first + count, 100):
                client.send(b"".join(h1.format_request("GET", "/hello", [("Key", f"crowd-{i}")]) for i in range(at, at + 100)))
                for _ in range(100):
                    assert client.read_response().status == 200

    with service.connect() as client:
        for key in used_up:
            assert statuses(client, 11, headers=[("Key", key)]) == [200] * 10 + [429]
        flood(0, 3000)
        before = metrics(service).value("process_resident_memory_bytes")
        flood(3000, 10000)
        for key in used_up:
            assert client.get("/hello", [("Key", key)]).status == 429
    now = metrics(service)
    assert now.value("holdfast_rate_limit_evicted_total", route="/hello") > 10000
    assert now.value("process_resident_memory_bytes") < before + 4 * 2**20
