"""Targets that are names: addresses come and go with what the DNS says."""

import pytest

import h1
import nameserver
from nameserver import a, srv
from targets import App, configure, metric, records, send, serve, wait_held

pytestmark = pytest.mark.hooks


@pytest.fixture
def dns(service):
    server = nameserver.Server()
    service.environment["HOLDFAST_DNS_SERVERS"] = server.address
    service.allow("info: upstream")
    yield server
    server.stop()


@pytest.fixture
def apps():
    """Makes apps on 127.0.0.N, all on one port."""
    made = []

    def make(*numbers, port=None):
        for number in numbers:
            app = App(host=f"127.0.0.{number}", port=port or (made[0].port if made else 0), name=str(number))
            made.append(app)
        return made[-len(numbers):]

    yield make
    for app in made:
        app.close()


def ask(gateway, n=10):
    with gateway.connect() as client:
        return {client.get("/x").text for _ in range(n)}


def test_an_address(service, dns, apps):
    app, = apps(2)
    dns.set(app_test=[a("127.0.0.2", 60)])
    gateway = serve(service, [f"app.test:{app.port}"])
    response = gateway.get("/x")
    assert response.text == "2" and response.headers.get("X-Holdfast-Target") == app.target
    assert app.requests.snapshot()[0].headers.get("Host") == "test"
    line = gateway.wait_for_line(f"target {app.target} has come \\(resolved from app.test:{app.port}\\)")
    assert "upstream=app" in line


def test_addresses_come_and_go(service, dns, apps):
    one, two, three = apps(2, 3, 4)
    dns.set(app_test=[a("127.0.0.2"), a("127.0.0.3")])
    gateway = serve(service, [f"app.test:{one.port}"], gateway="Threads=2")
    h1.eventually(lambda: ask(gateway) == {"2", "3"})
    dns.set(app_test=[a("127.0.0.3"), a("127.0.0.4")])
    gateway.wait_for_line(f"target {one.target} has gone")
    gateway.wait_for_line(f"target {three.target} has come")
    h1.eventually(lambda: ask(gateway) == {"3", "4"})
    assert records(gateway, f"target {two.target} has") == 1  # it has stayed
    dns.set(app_test=[a("127.0.0.2")])
    h1.eventually(lambda: records(gateway, f"target {one.target} has come") == 2)
    h1.eventually(lambda: ask(gateway) == {"2"})
    assert metric(gateway, "upstream_target_ready", target=one.target) == 1
    assert records(gateway, "no target is ready") == 0


def test_who_goes_finishes_what_it_has(service, dns, apps):
    one, two = apps(2, 3)
    one.shut()
    dns.set(app_test=[a("127.0.0.2")])
    gateway = serve(service, [f"app.test:{one.port}"], "Balance=least-connections")
    with send(gateway, "/long") as client:
        one.wait(1)
        dns.set(app_test=[a("127.0.0.3")])
        gateway.wait_for_line(f"target {one.target} has gone")
        h1.eventually(lambda: ask(gateway) == {"3"})
        one.open()
        assert client.read_response().text == "2"
    # Its slot can be had again.
    dns.set(app_test=[a("127.0.0.2"), a("127.0.0.3")])
    h1.eventually(lambda: ask(gateway) == {"2", "3"})


def test_what_fails_keeps_what_was_known(service, dns, apps):
    app, other = apps(2, 3)
    dns.set(app_test=[a("127.0.0.2")])
    gateway = serve(service, [f"app.test:{app.port}"])
    assert gateway.get("/x").text == "2"
    dns.set(app_test=lambda query: query.reply(rcode=nameserver.SERVFAIL))
    line = gateway.wait_for_line(f"app.test:{app.port} cannot be looked up .*what it stood for stays", timeout=20)
    assert f"target=app.test:{app.port}" in line
    assert gateway.get("/x").text == "2"
    n = dns.count("app.test")
    h1.eventually(lambda: dns.count("app.test") > n + 2)
    assert records(gateway, "cannot be looked up") == 1
    dns.set(app_test=[a("127.0.0.3")])
    gateway.wait_for_line("can be looked up again", timeout=20)
    h1.eventually(lambda: ask(gateway) == {"3"})
    assert records(gateway, "can be looked up again") == 1


def test_a_name_that_is_gone_is_a_failure_as_well(service, dns, apps):
    app, = apps(2)
    dns.set(app_test=[a("127.0.0.2")])
    gateway = serve(service, [f"app.test:{app.port}"])
    assert gateway.get("/x").text == "2"
    dns.set(app_test=None)
    gateway.wait_for_line("cannot be looked up", timeout=20)
    assert gateway.get("/x").text == "2"


def test_requests_wait_for_the_first_answer(service, dns, apps):
    app, = apps(2)
    dns.set(app_test=lambda query: None)
    gateway = serve(service, [f"app.test:{app.port}"], gateway="Threads=2")
    clients = [send(gateway, f"/{i}") for i in range(6)]
    wait_held(gateway, 6)
    dns.set(app_test=[a("127.0.0.2", 60)])
    assert [client.read_response().status for client in clients] == [200] * 6
    assert records(gateway, "is ready") == 0  # that it takes a moment to know is no news
    assert records(gateway, "is down") == 0


def test_a_name_that_nobody_knows(service, dns):
    gateway = serve(service, ["app.test:80"], "HoldSec=300ms")
    response = gateway.get("/x")
    assert response.status == 503 and response.headers.get("Retry-After")
    gateway.wait_for_line("cannot be looked up")


def test_services(service, dns, apps):
    """SRV: ports and weights of their own; a higher number of priority stands by."""
    one, = apps(2)
    two = App(host="127.0.0.3", name="3")
    spare = App(host="127.0.0.4", name="4")
    dns.set_name("a.test", [a("127.0.0.2")])
    dns.set_name("b.test", [a("127.0.0.3")])
    dns.set_name("c.test", [a("127.0.0.4")])
    dns.set_name("_http._tcp.app.test", [srv(0, 1, one.port, "a.test"), srv(0, 3, two.port, "b.test"), srv(9, 1, spare.port, "c.test")])
    gateway = serve(service, ["srv:_http._tcp.app.test"])
    assert gateway.get("/x").status == 200
    with gateway.connect() as client:
        seen = [client.get("/x").text for _ in range(40)]
    assert (seen.count("2"), seen.count("3")) == (10, 30)
    dns.set_name("_http._tcp.app.test", [srv(0, 1, two.port, "b.test")])
    h1.eventually(lambda: ask(gateway) == {"3"})
    two.close()
    spare.close()


def test_names_beside_addresses(service, dns, apps):
    app, fixed = apps(2, 3)
    dns.set(app_test=lambda query: None)
    gateway = serve(service, [fixed.target, f"app.test:{app.port}"])
    assert ask(gateway) == {"3"}
    dns.set(app_test=[a("127.0.0.2"), a("127.0.0.3")])
    h1.eventually(lambda: ask(gateway) == {"2", "3"})
    dns.set(app_test=[a("127.0.0.2")])  # what the configuration has stays
    n = dns.count("app.test")
    h1.eventually(lambda: dns.count("app.test") > n + 2)
    assert ask(gateway) == {"2", "3"}


def test_what_was_known_survives_a_reload(service, dns, apps):
    """The successor does not wait for an answer that its predecessor had."""
    app, = apps(2)
    dns.set(app_test=[a("127.0.0.2")])
    gateway = serve(service, [f"app.test:{app.port}"], gateway="Threads=2")
    assert gateway.get("/x").text == "2"
    dns.set(app_test=lambda query: None)
    gateway.reload()
    response = gateway.get("/x")
    assert response.text == "2" and "X-Holdfast-Held" not in response.headers
    assert records(gateway, "is ready") == 0
    assert records(gateway, "has come") == 1
    dns.set(app_test=[a("127.0.0.2")])


def test_a_reload_before_the_first_answer(service, dns, apps):
    app, = apps(2)
    dns.set(app_test=lambda query: None)
    gateway = serve(service, [f"app.test:{app.port}"])
    with send(gateway, "/old") as old:
        wait_held(gateway, 1)
        gateway.reload()
        with send(gateway, "/new") as new:
            wait_held(gateway, 1)
            dns.set(app_test=[a("127.0.0.2", 60)])
            assert new.read_response().status == old.read_response().status == 200
    gateway.wait_former()
    assert records(gateway, "is ready") == 0


def test_an_upstream_of_names_that_is_new_in_a_reload(service, dns, apps):
    app, fixed = apps(2, 3)
    dns.set(app_test=[a("127.0.0.2", 60)])
    gateway = serve(service, [fixed.target])
    assert ask(gateway) == {"3"}
    configure(gateway, [f"app.test:{app.port}"])
    gateway.reload()
    assert ask(gateway) == {"2"}
    gateway.wait_former()
    assert records(gateway, "is ready") == 0


def test_what_was_known_is_not_begun_slowly_after_a_reload(service, dns, apps):
    app, fixed = apps(2, 3)
    dns.set(app_test=[a("127.0.0.2", 60)])
    gateway = serve(service, [fixed.target, f"app.test:{app.port}"], "SlowStartSec=1min")
    h1.eventually(lambda: ask(gateway, 20) == {"2", "3"})
    gateway.reload()
    with gateway.connect() as client:
        assert sorted(client.get("/x").text for _ in range(20)) == ["2"] * 10 + ["3"] * 10
