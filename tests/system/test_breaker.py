"""Circuit breakers: when one opens, who gets the requests then, and how it closes again."""

import time

import pytest

import h1
from targets import App, metric, records, send, serve, wait_held


@pytest.fixture
def apps(service):
    """Makes apps that answer with the status that `status` says, at once or after `delay` seconds."""
    made = []

    def make(name="app", status=200, **options):
        def answer(connection, request):
            if app.delay:
                time.sleep(app.delay)
            connection.respond(app.status, name.encode(), reason="Whatever")

        app = App(service.directory / f"{name}.sock", name=name, answer=answer, **options)
        app.status, app.delay = status, 0
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


COUNT = "Breaker=count\nBreakerWindow=10\nBreakerMinimumCalls=4\nBreakerOpenSec=300ms\nBreakerHalfOpenCalls=2\n"
TIME = "Breaker=time\nBreakerWindow=10\nBreakerMinimumCalls=4\nBreakerOpenSec=300ms\nBreakerHalfOpenCalls=2\n"


def state(gateway, app):
    """0 closed, 1 half-open, 2 open."""
    return metric(gateway, "upstream_breaker_state", target=app.target)


def told(gateway, app, word):
    return records(gateway, f"the breaker of target {app.target} is {word}")


@pytest.mark.parametrize("options", [COUNT, TIME])
def test_it_opens_at_the_rate(service, apps, options):
    app = apps(status=500)
    gateway = serve(service, [app.target], options.replace("300ms", "1min") + "HoldSec=0\nBreakerFailureRate=50")
    with gateway.connect() as client:
        assert [client.get("/x").status for _ in range(4)] == [500] * 4  # the app's own answer
        line = gateway.wait_for_line("the breaker of target .* is open: of 4 calls 4 failed and 0 were slow")
        assert "upstream=app" in line and "breaker=open" in line
        response = client.get("/x")
        assert response.status == 503 and response.headers.get("Retry-After")
    assert app.count == 4 and state(gateway, app) == 2
    gateway.wait_for_line("no target is ready, requests are answered with 503")
    assert records(gateway, "is down") == 0  # an app that answers is up


def test_below_the_rate_it_stays_closed(service, apps):
    app = apps()
    gateway = serve(service, [app.target], COUNT + "BreakerFailureRate=60")
    with gateway.connect() as client:
        for i in range(40):
            app.status = 500 if i % 2 else 200
            assert client.get("/x").status == app.status
    assert state(gateway, app) == 0 and records(gateway, "breaker") == 0


def test_too_few_calls_say_nothing(service, apps):
    app = apps(status=500)
    gateway = serve(service, [app.target], COUNT)
    with gateway.connect() as client:
        assert [client.get("/x").status for _ in range(3)] == [500] * 3
    assert state(gateway, app) == 0


def test_errors_of_the_client_are_no_failures(service, apps):
    app = apps(status=404)
    gateway = serve(service, [app.target], COUNT)
    with gateway.connect() as client:
        assert [client.get("/x").status for _ in range(20)] == [404] * 20
    assert state(gateway, app) == 0


def with_one_open(service, apps, options, status):
    """A gateway with two apps, of which one is sick: its breaker is open, and stays so."""
    sick, well = apps("sick", status=status), apps("well")
    gateway = serve(service, [sick.target, well.target], options.replace("300ms", "1min"), gateway="Threads=2")
    h1.eventually(lambda: gateway.get("/x") and state(gateway, sick) == 2)
    return gateway, sick, well


@pytest.mark.parametrize("options", [COUNT, TIME])
def test_others_get_the_requests(service, apps, options):
    gateway, sick, well = with_one_open(service, apps, options, status=503)
    with gateway.connect() as client:
        assert {client.get("/x").text for _ in range(20)} == {"well"}
    h1.eventually(lambda: told(gateway, sick, "open") == 1)
    assert records(gateway, "no target is ready") == 0


def open_it(gateway, app):
    with gateway.connect() as client:
        while state(gateway, app) != 2:
            client.get("/x")


def test_half_open_it_closes(service, apps):
    app = apps(status=500)
    gateway = serve(service, [app.target], COUNT)
    open_it(gateway, app)
    app.status = 200
    with send(gateway, "/x") as client:  # it waits until the breaker tries
        assert client.read_response().status == 200
    gateway.wait_for_line("is half-open")
    assert gateway.get("/x").status == 200
    gateway.wait_for_line("is closed")
    assert state(gateway, app) == 0
    assert [told(gateway, app, word) for word in ("open", "half-open", "closed")] == [1, 1, 1]
    gateway.wait_for_line("a target is ready again")
    with gateway.connect() as client:
        assert [client.get("/x").status for _ in range(10)] == [200] * 10


def test_half_open_it_opens_again(service, apps):
    app = apps(status=500)
    gateway = serve(service, [app.target], COUNT)
    open_it(gateway, app)
    gateway.wait_for_line("is half-open")
    assert [gateway.get("/x").status for _ in range(2)] == [500] * 2
    h1.eventually(lambda: told(gateway, app, "open") == 2)
    assert app.count == 6


def test_half_open_only_so_many_try(service, apps):
    """The others wait for what comes of it, on every worker."""
    app = apps(status=500)
    gateway = serve(service, [app.target], COUNT + "HoldSec=8s", gateway="Threads=3")
    open_it(gateway, app)
    app.status = 200
    app.shut()
    before = app.count
    clients = [send(gateway, f"/{i}") for i in range(12)]
    app.wait(before + 2)
    wait_held(gateway, 10)
    assert app.count == before + 2
    app.open()
    assert [client.read_response().status for client in clients] == [200] * 12
    assert state(gateway, app) == 0


def test_a_probe_whose_client_goes_away_is_replaced(service, apps):
    app = apps(status=500)
    gateway = serve(service, [app.target], COUNT + "HoldSec=8s")
    open_it(gateway, app)
    app.status = 200
    app.shut()
    before = app.count
    gone = [send(gateway, f"/gone{i}") for i in range(2)]
    app.wait(before + 2)
    stays = [send(gateway, f"/stays{i}") for i in range(2)]
    wait_held(gateway, 2)
    for client in gone:
        client.close()
    app.wait(before + 4)
    app.open()
    assert [client.read_response().status for client in stays] == [200] * 2
    h1.eventually(lambda: state(gateway, app) == 0)


def test_slow_calls(service, apps):
    app, other = apps("app"), apps("other")
    app.delay = 0.1
    options = COUNT.replace("300ms", "1min") + "BreakerSlowCallSec=50ms\nBreakerSlowCallRate=80\nBalance=least-connections"
    gateway = serve(service, [app.target, other.target], options)
    h1.eventually(lambda: gateway.get("/x").status == 200 and state(gateway, app) == 2)
    gateway.wait_for_line(f"target {app.target} is open: of ([0-9]+) calls 0 failed and [0-9]+ were slow")
    assert state(gateway, other) == 0


def test_slow_clients_are_not_slow_calls(service):
    """The time in which a client has yet to take what there is of a response is not the target's."""
    body = bytes(4_000_000)
    app = App(service.directory / "app.sock", answer=lambda connection, _: connection.respond(200, body))
    options = COUNT.replace("300ms", "1min") + "BreakerSlowCallSec=300ms\nBreakerSlowCallRate=50"
    gateway = serve(service, [app.target], options)
    clients = [send(gateway, "/x") for _ in range(4)]
    app.wait(4)
    time.sleep(0.6)
    for client in clients:
        assert client.read_response().body == body
        client.close()
    assert gateway.get("/x").status == 200
    assert state(gateway, app) == 0 and records(gateway, "breaker") == 0
    app.close()


def test_broken_calls_are_failures(service, apps):
    app = apps()
    app.answer = lambda connection, request: connection.close()
    gateway = serve(service, [app.target], COUNT.replace("300ms", "1min") + "MaxFailures=0\nHoldSec=0\nRetryMinimum=1000")
    for _ in range(4):
        with send(gateway, "/x", "POST", body=b"x") as client:
            assert client.read_response().status == 502
    h1.eventually(lambda: state(gateway, app) == 2)
    with send(gateway, "/x", "POST", body=b"x") as client:
        assert client.read_response().status == 503


def test_with_all_open_they_wait_and_then_are_told(service, apps):
    one, two = apps("one", status=500), apps("two", status=500)
    gateway = serve(service, [one.target, two.target], COUNT.replace("300ms", "1min") + "HoldSec=400ms")
    with gateway.connect() as client:
        while state(gateway, one) != 2 or state(gateway, two) != 2:
            client.get("/x")
        before = one.count + two.count
        client.request("GET", "/y")
        wait_held(gateway, 1)
        response = client.read_response()
        assert response.status == 503 and response.headers.get("Retry-After")
    gateway.wait_for_line("told that there is nobody, .*HoldSec=")
    assert one.count + two.count == before


def test_the_window_of_time_moves_on(service, apps):
    """Failures of long ago do not count."""
    app = apps(status=500)
    gateway = serve(service, [app.target], TIME.replace("Window=10", "Window=1"))
    with gateway.connect() as client:
        assert [client.get("/x").status for _ in range(3)] == [500] * 3
        app.status = 200
        time.sleep(2.1)
        for _ in range(3):
            assert client.get("/x").status == 200
        app.status = 500
        assert client.get("/x").status == 500  # one of four, were it not for the three
    assert state(gateway, app) == 0


@pytest.mark.parametrize("options", [COUNT, TIME])
def test_its_state_is_known_after_a_reload(service, apps, options):
    gateway, sick, well = with_one_open(service, apps, options, status=500)
    before = sick.count
    gateway.reload()
    assert state(gateway, sick) == 2 and state(gateway, well) == 0
    with gateway.connect() as client:
        assert {client.get("/x").text for _ in range(10)} == {"well"}
    assert sick.count == before
    assert told(gateway, sick, "open") == 1


def test_an_open_breaker_goes_on_after_a_reload(service, apps):
    app = apps(status=500)
    gateway = serve(service, [app.target], COUNT.replace("300ms", "1s"))
    open_it(gateway, app)
    app.status = 200
    gateway.reload()
    with send(gateway, "/x") as client:
        assert client.read_response().status == 200
    assert gateway.get("/x").status == 200
    gateway.wait_for_line("is closed")
