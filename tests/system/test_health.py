"""Whether a target is up: by checks, by requests, and what the journal is told of it."""

import contextlib
import re
import time

import pytest

import h1
from targets import App, free_port, metric, records, send, serve, wait_held


@pytest.fixture
def apps(service):
    """Makes apps whose /health answers with the status that `health` says; None: not at all."""
    made = []

    def make(name="app", health=200, **options):
        def answer(connection, request):
            if request.target != "/health":
                connection.respond(200, name.encode())
            elif app.health is not None:
                connection.respond(app.health, reason="Whatever")
            else:
                app.hanging.append(connection)
                app.places.acquire()

        app = App(service.directory / f"{name}.sock", name=name, answer=answer, **options)
        app.health, app.hanging = health, []
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


CHECKED = "HealthPath=/health\nHealthIntervalSec=50ms\n"


def n_checks(app):
    return app.seen.count("/health")


def wait_checks(app, n):
    """So many more."""
    before = n_checks(app)
    h1.eventually(lambda: n_checks(app) >= before + n)


def assert_told(gateway, **counts):
    """How often each was told: down, up, unready, ready."""
    words = {"down": " is down: ", "up": " is up again", "unready": "no target is ready", "ready": "a target is ready again"}
    told = lambda: {word: records(gateway, words[word]) for word in counts}
    with contextlib.suppress(AssertionError):  # said, but perhaps not read yet
        h1.eventually(lambda: told() == counts, 2)
    assert told() == counts, gateway.text()


def test_what_is_asked(service, apps):
    app = apps()
    serve(service, [app.target], CHECKED.replace("/health", "/health?deep=1"))
    app.wait(2)
    request = app.requests.snapshot()[0]
    assert (request.method, request.target) == ("GET", "/health?deep=1")
    assert request.headers.get("Host") == "localhost" and request.headers.get("User-Agent").startswith("holdfast/")


def test_down_and_up_by_checks(service, apps):
    sick, well = apps("sick"), apps("well")
    gateway = serve(service, [sick.target, well.target], CHECKED + "HealthFall=2\nHealthRise=2")
    wait_checks(sick, 2)
    assert_told(gateway, down=0, up=0, unready=0, ready=0)  # that they are well is no news
    sick.health = 503
    line = gateway.wait_for_line("sick.sock is down: its check answers 503")
    assert re.search("upstream=app target=unix:.*sick.sock reason=", line)
    with gateway.connect() as client:
        assert {client.get("/x").text for _ in range(10)} == {"well"}
    assert metric(gateway, "upstream_target_ready", target=sick.target) == 0
    sick.health = 200
    gateway.wait_for_line("sick.sock is up again")
    with gateway.connect() as client:
        for name in ("sick", "well"):
            h1.eventually(lambda: client.get("/x").text == name)
    assert metric(gateway, "upstream_target_ready", target=sick.target) == 1
    wait_checks(sick, 3)
    assert_told(gateway, down=1, up=1, unready=0, ready=0)


def test_with_the_last_one_goes_the_upstream(service, apps):
    app = apps()
    gateway = serve(service, [app.target], CHECKED + "HealthFall=1")
    wait_checks(app, 1)
    for i in range(1, 3):
        app.health = 500
        h1.eventually(lambda: records(gateway, "no target is ready, requests wait") == i)
        with send(gateway, "/x") as client:
            wait_held(gateway, 1)
            app.health = 200
            assert client.read_response().status == 200
        wait_checks(app, 2)
        assert_told(gateway, down=i, up=i, unready=i, ready=i)


def test_fall_counts_in_a_row(service, apps):
    app = apps()
    gateway = serve(service, [app.target], CHECKED + "HealthFall=3")
    for _ in range(3):
        app.health = 500
        h1.eventually(lambda: app.health == 500 and wait_checks(app, 1) is None)
        app.health = 200
        wait_checks(app, 2)
    assert records(gateway, "is down") <= 1  # should three have fallen together by chance


@pytest.mark.parametrize("status, well", [(200, True), (204, True), (399, True), (400, False), (100, False), (199, False)])
def test_status_by_default(service, apps, status, well):
    app = apps(health=status if status != 100 else 503)
    gateway = serve(service, [app.target], CHECKED + "HealthFall=1\nHealthTimeoutSec=300ms")
    assert_wellness(gateway, app, well)


@pytest.mark.parametrize("wanted, status, well", [("204", 204, True), ("204", 200, False), ("400-499", 404, True), ("400-499", 500, False)])
def test_status_as_configured(service, apps, wanted, status, well):
    app = apps(health=status)
    gateway = serve(service, [app.target], CHECKED + f"HealthFall=1\nHealthStatus={wanted}")
    assert_wellness(gateway, app, well)


def assert_wellness(gateway, app, well):
    if well:
        wait_checks(app, 3)
        assert_told(gateway, down=0)
    else:
        gateway.wait_for_line("is down: its check")


def test_start_period(service, apps):
    """What fails while it starts does not count; what passes does."""
    app = apps(health=503)
    gateway = serve(service, [app.target], CHECKED + "HealthFall=1\nHealthStartSec=1s")
    wait_checks(app, 5)
    assert_told(gateway, down=0)
    assert gateway.get("/x").status == 200
    gateway.wait_for_line("is down: its check answers 503")  # it is over


def test_a_check_that_hangs_fails(service, apps):
    app, other = apps("app", health=None), apps("other")
    gateway = serve(service, [app.target, other.target], CHECKED + "HealthTimeoutSec=150ms\nHealthFall=1")
    gateway.wait_for_line("app.sock is down: its check: no (answer|response) in time")
    h1.eventually(lambda: app.hanging)
    app.health = 200
    gateway.wait_for_line("app.sock is up again")
    app.hanging[0].read_to_end()  # the gateway does not keep what it does not wait for


def test_checks_do_not_delay_requests(service, apps):
    app = apps(health=None)
    gateway = serve(service, [app.target], CHECKED + "HealthTimeoutSec=5s\nHealthStartSec=1min")
    h1.eventually(lambda: app.hanging)
    began = time.monotonic()
    with gateway.connect() as client:
        for _ in range(20):
            assert client.get("/x").status == 200
    assert time.monotonic() - began < 3


def test_a_check_that_trickles_is_bounded(service, upstream):
    gateway = serve(service, [upstream.target], CHECKED + "HealthTimeoutSec=300ms\nHealthFall=1\nHoldSec=0")
    app, request = upstream.expect()
    assert request.target == "/health"
    began = time.monotonic()
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
        try:
            app.send(bytes([byte]))
        except OSError:
            break
        time.sleep(0.02)
    assert time.monotonic() - began < 5
    gateway.wait_for_line("is down: its check")


def test_connecting_is_enough(service):
    port = free_port()
    app = App(port=port)
    gateway = serve(service, [app.target], "HealthCheck=connect\nHealthIntervalSec=50ms\nHealthFall=2")
    assert gateway.get("/x").status == 200
    app.close()
    gateway.wait_for_line("is down: its check: cannot connect")
    assert_told(gateway, down=1, unready=1)
    with send(gateway, "/y") as client:
        wait_held(gateway, 1)
        app = App(port=port)
        assert client.read_response().status == 200
    assert_told(gateway, down=1, up=1, unready=1, ready=1)
    assert app.seen == ["/y"]  # no check was a request
    app.close()


# By requests


def bad(connection, request):
    connection.close()


def test_max_failures(service, apps):
    app, other = apps("app"), apps("other")
    app.answer = bad
    gateway = serve(service, [app.target, other.target], "MaxFailures=2\nRetryMinimum=1000")
    with gateway.connect() as client:
        for _ in range(20):
            assert client.get("/x").text == "other"
            if records(gateway, "app.sock is down: closed without a response"):
                break
    # It takes connections, so it is up again soon, and then fails again.
    gateway.wait_for_line("app.sock is down: closed without a response")
    gateway.wait_for_line("app.sock is up again")
    assert app.count >= 2


def test_max_failures_zero(service, apps):
    app = apps()
    app.answer = bad
    gateway = serve(service, [app.target], "MaxFailures=0\nHoldSec=0\nRetryMinimum=1000")
    for _ in range(10):
        assert gateway.get("/x").status == 502
    assert_told(gateway, down=0)


def test_an_answer_ends_a_row(service, apps):
    app = apps()
    app.answer = lambda connection, request: connection.close() if "bad" in request.target else connection.respond(200)
    gateway = serve(service, [app.target], "MaxFailures=2")
    for _ in range(5):
        with send(gateway, "/bad", "POST", body=b"x") as client:
            assert client.read_response().status == 502
        with send(gateway, "/good", "POST", body=b"x") as client:
            assert client.read_response().status == 200
    assert_told(gateway, down=0)


def test_errors_of_the_app_are_answers(service, apps):
    app = apps()
    app.answer = lambda connection, request: connection.respond(500)
    gateway = serve(service, [app.target], "MaxFailures=1")
    for _ in range(5):
        assert gateway.get("/x").status == 500
    assert_told(gateway, down=0)


def test_nobody_there_is_down_at_once(service, apps):
    """And told once, however many find out, on however many workers."""
    app = apps()
    gateway = serve(service, [app.target], "MaxFailures=100", gateway="Threads=3")
    assert gateway.get("/x").status == 200
    app.close()
    clients = [send(gateway, f"/{i}") for i in range(30)]
    wait_held(gateway, 30)
    assert_told(gateway, down=1, unready=1, up=0, ready=0)
    back = App(app.path)
    assert all(client.read_response().status == 200 for client in clients)
    assert_told(gateway, down=1, unready=1, up=1, ready=1)
    back.close()


def test_a_target_that_is_down_is_looked_at_without_requests(service, apps):
    app, other = apps("app"), apps("other")
    gateway = serve(service, [app.target, other.target])
    app.close()
    with gateway.connect() as client:
        for _ in range(2):
            assert client.get("/x").text == "other"
    gateway.wait_for_line("app.sock is down")
    back = App(app.path)
    gateway.wait_for_line("app.sock is up again")
    assert back.count == 0
    back.close()


def test_unknown_at_the_start_is_no_news(service, apps):
    gateway = serve(service, [apps("a").target, apps("b").target], "HealthCheck=connect\nHealthIntervalSec=50ms")
    h1.eventually(lambda: gateway.get("/x").status == 200)
    time.sleep(0.15)
    assert_told(gateway, down=0, up=0, unready=0, ready=0)


# From one process to the next


@pytest.mark.parametrize("checked", [False, True])
def test_health_is_known_after_a_reload(service, apps, checked):
    down, well = apps("down"), apps("well")
    options = CHECKED.replace("50ms", "1s") + "HealthFall=1" if checked else ""
    gateway = serve(service, [down.target, well.target], options, gateway="Threads=2")
    down.close()
    with gateway.connect() as client:
        for _ in range(4):
            assert client.get("/x").text == "well"
    gateway.wait_for_line("down.sock is down")
    tries = metric(gateway, "upstream_tries_total", target=down.target)
    gateway.reload()
    with gateway.connect() as client:
        for _ in range(10):
            response = client.get("/x")
            assert (response.text, response.headers.get("X-Holdfast-Tries")) == ("well", "1")
    assert metric(gateway, "upstream_tries_total", target=down.target) == tries
    assert_told(gateway, down=1, up=0, unready=0, ready=0)
    back = App(down.path, name="down", answer=down.answer)
    down.health = 200
    gateway.wait_for_line("down.sock is up again", timeout=20)
    assert_told(gateway, down=1, up=1)
    back.close()


def test_unreadiness_is_known_after_a_reload(service, apps):
    """It is told by the one who saw it, and its end by the one who saw that."""
    app = apps()
    gateway = serve(service, [app.target], gateway="Threads=2")
    app.close()
    with send(gateway, "/old") as old:
        wait_held(gateway, 1)
        assert_told(gateway, down=1, unready=1)
        former = gateway.pid
        gateway.reload()
        with send(gateway, "/new") as new:
            wait_held(gateway, 1)
            assert_told(gateway, down=1, unready=1)
            back = App(app.path)
            assert new.read_response().status == old.read_response().status == 200
            gateway.wait_for_line("a target is ready again after [0-9]+ms")
    assert former != gateway.pid
    gateway.wait_former()
    back.close()
