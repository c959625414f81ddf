"""Which target gets a request, how many it gets at once, and how clients stay with theirs."""

import collections
import contextlib
import re

import pytest

import h1
import h2
from targets import App, configure, send, serve, wait_held


@pytest.fixture
def apps(service):
    made = []

    def make(*names, **options):
        made.extend(App(service.directory / f"{name}.sock", name=name, **options) for name in names)
        return made[-len(names):]

    yield make
    for app in made:
        app.close()


def ask(gateway, n, headers=()):
    """Which app answered how many of so many requests on one connection."""
    with gateway.connect() as client:
        return collections.Counter(client.get("/x", headers).text for _ in range(n))


def test_round_robin_by_weight(service, apps):
    a, b, c, none = apps("a", "b", "c", "none")
    gateway = serve(service, [a.target, b.target + " weight=2", c.target + " weight=5", none.target + " weight=0"])
    assert ask(gateway, 80) == {"a": 10, "b": 20, "c": 50}


def test_round_robin_is_spread(service, apps):
    """A weight is no burst."""
    a, b = apps("a", "b")
    gateway = serve(service, [a.target + " weight=3", b.target + " weight=3"])
    with gateway.connect() as client:
        assert len({client.get("/").text for _ in range(2)}) == 2


@pytest.mark.parametrize("how", ["least-connections", "random-two"])
def test_the_less_busy(service, apps, how):
    """While both are idle each gets requests now and then; after that the idle one gets all."""
    idle, busy = apps("idle")[0], apps("busy", closed=True)[0]
    gateway = serve(service, [idle.target, busy.target], f"Balance={how}")
    clients = []
    while busy.count < 1:
        clients.append(send(gateway, "/x"))
        h1.eventually(lambda: idle.count + busy.count == len(clients))
    assert ask(gateway, 20) == {"idle": 20}
    busy.open()
    assert all(client.read_response().status == 200 for client in clients)


@pytest.mark.parametrize("by", ["header:X-User", "cookie:user"])
def test_hash_of_a_value(service, apps, by):
    """The same value leads to the same target, on every worker and over a reload; values are spread."""
    made = apps("a", "b", "c", "d")
    gateway = serve(service, [app.target for app in made], f"Balance=hash {by}", gateway="Threads=3")

    def where(user):
        fields = [("X-User", user)] if by.startswith("header") else [("Cookie", f"other=1; user={user}; last=2")]
        return gateway.get("/x", fields).text

    first = {user: where(user) for user in map(str, range(40))}
    assert len(set(first.values())) == 4
    assert {user: where(user) for user in first} == first
    gateway.reload()
    assert {user: where(user) for user in first} == first
    # One goes: only its own share moves.
    configure(gateway, [app.target for app in made if app.name != "b"], f"Balance=hash {by}", gateway="Threads=3")
    gateway.reload()
    now = {user: where(user) for user in first}
    assert {user: name for user, name in now.items() if first[user] != "b"} == {u: n for u, n in first.items() if n != "b"}
    assert "b" not in now.values()


def test_hash_without_the_value_is_spread(service, apps):
    gateway = serve(service, [app.target for app in apps("a", "b")], "Balance=hash header:X-User")
    assert len(ask(gateway, 40)) == 2


def test_hash_of_the_client(service, apps):
    made = apps("a", "b", "c", "d")
    service.listen("http", "tcp4")
    service.listen("admin")
    configure(service, [app.target for app in made], "Balance=hash client", gateway="Threads=2")
    gateway = service.start_ready()
    seen = {gateway.get("/x").text for _ in range(20)}
    assert len(seen) == 1
    gateway.reload()
    assert {gateway.get("/x").text for _ in range(10)} == seen


def test_a_hashed_target_that_is_down_is_stood_in_for(service, apps):
    made = apps("a", "b")
    gateway = serve(service, [app.target for app in made], "Balance=hash header:X-User")
    name = gateway.get("/x", [("X-User", "1")]).text
    gone, other = sorted(made, key=lambda app: app.name != name)
    gone.close()
    assert gateway.get("/x", [("X-User", "1")]).text == other.name
    back = App(gone.path, name=name)
    gateway.wait_for_line("is up again")
    assert gateway.get("/x", [("X-User", "1")]).text == name
    back.close()


# Sticky=


def cookie_of(response):
    value = response.headers.get("Set-Cookie")
    match = re.fullmatch(r"(where=[0-9a-f]{16}); Path=/; HttpOnly; SameSite=Lax", value or "")
    return match and [("Cookie", match[1])]


def test_sticky(service, apps):
    made = apps("a", "b", "c")
    gateway = serve(service, [app.target for app in made], "Sticky=where", gateway="Threads=2")
    first = gateway.get("/x")
    cookie = cookie_of(first)
    assert cookie
    for _ in range(10):
        response = gateway.get("/x", cookie)
        assert response.text == first.text
        assert "Set-Cookie" not in response.headers  # said once
    gateway.reload()
    assert ask(gateway, 6, cookie) == {first.text: 6}
    # It goes: another takes the client over, for good.
    next(app for app in made if app.name == first.text).close()
    response = gateway.get("/x", cookie)
    assert response.status == 200 and response.text != first.text
    moved = cookie_of(response)
    assert moved and moved != cookie
    assert ask(gateway, 6, moved) == {response.text: 6}


@pytest.mark.parametrize("value", ["", "x", "0" * 16, "f" * 17, "g" * 16, "0123456789ABCDEF", "é" * 8])
def test_a_cookie_that_means_nothing(service, apps, value):
    gateway = serve(service, [app.target for app in apps("a", "b")], "Sticky=where")
    response = gateway.get("/x", [("Cookie", f"where={value}")])
    assert response.status == 200 and cookie_of(response)


def target_verb(gateway, app, word):
    result = gateway.ctl("target", "app", app.target, word)
    assert result.returncode == 0, result.stderr


def test_a_drained_target_gets_its_own_clients(service, apps):
    made = apps("a", "b")
    gateway = serve(service, [app.target for app in made], "Sticky=where", gateway="Threads=2")
    first = gateway.get("/x")
    drained = next(app for app in made if app.name == first.text)
    target_verb(gateway, drained, "drain")
    assert ask(gateway, 5, cookie_of(first)) == {first.text: 5}
    assert first.text not in ask(gateway, 10)


def test_those_who_wait_do_not_keep_the_clients_of_a_drained_target_back(service, apps):
    """A newcomer has to wait since its only target is drained; who has been there before needs not."""
    a, = apps("a")
    gateway = serve(service, [a.target], "Sticky=where")
    cookie = cookie_of(gateway.get("/x"))
    target_verb(gateway, a, "drain")
    with send(gateway, "/new") as stranger:
        wait_held(gateway, 1)
        with send(gateway, "/known", headers=cookie) as client:
            assert client.read_response().status == 200
        assert stranger.is_quiet(0.05)
        target_verb(gateway, a, "ready")
        assert stranger.read_response().status == 200


# MaxRequests=, MaxConnections=


def test_a_slow_client_holds_no_place(service):
    """The target has room for the next as soon as it has answered, whenever the client takes the answer."""
    app = App(service.directory / "app.sock", answer=lambda connection, _: connection.respond(200, bytes(10_000)))
    gateway = serve(service, [app.target], "MaxRequests=1\nHoldSec=1s")
    with h2.Connection(gateway.address(), settings=[(h2.INITIAL_WINDOW_SIZE, 1000)], window_updates=False) as slow:
        stream = slow.request("GET", "/slow")
        slow.read_until(lambda: len(slow.streams[stream].body) == 1000)
        assert gateway.get("/x").status == 200
    app.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_max_requests(service, apps, threads):
    app, = apps("app", closed=True)
    gateway = serve(service, [app.target], "MaxRequests=4", gateway=f"Threads={threads}")
    clients = [send(gateway, f"/{i}") for i in range(30)]
    app.wait(4)
    wait_held(gateway, 26)
    for n in range(5, 20):
        app.let()
        app.wait(n)
    app.open()
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    assert app.most_active == 4 and app.count == 30
    wait_held(gateway, 0)


def test_places_of_several_targets(service, apps):
    made = apps("a", "b", closed=True)
    gateway = serve(service, [app.target for app in made], "MaxRequests=3", gateway="Threads=2")
    clients = [send(gateway, f"/{i}") for i in range(20)]
    h1.eventually(lambda: [app.active for app in made] == [3, 3])
    wait_held(gateway, 14)
    for app in made:
        app.open()
    assert all(client.read_response().status == 200 for client in clients)
    assert [app.most_active for app in made] == [3, 3]


def test_a_place_is_given_back_whatever_happens(service, apps):
    """Clients that go away, apps that close, answers that come: afterwards all places are free."""
    app, = apps("app", closed=True)
    gateway = serve(service, [app.target], "MaxRequests=2\nMaxFailures=0", gateway="Threads=2")
    for _ in range(3):
        clients = [send(gateway, "/x") for _ in range(5)]
        h1.eventually(lambda: app.active == 2)
        wait_held(gateway, 3)
        for client in clients:
            client.close()
        wait_held(gateway, 0)
        app.open()
        h1.eventually(lambda: app.active == 0)
        app.shut()
    app.answer = lambda connection, request: connection.close()
    app.open()
    with send(gateway, "/x", "POST", body=b"x") as client:
        assert client.read_response().status == 502
    app.answer = None
    app.shut()
    before = app.count
    clients = [send(gateway, "/x") for _ in range(2)]
    app.wait(before + 2)
    app.open()
    assert all(client.read_response().status == 200 for client in clients)


@pytest.mark.parametrize("threads", [1, 3])
def test_max_connections(service, apps, threads):
    app, = apps("app", closed=True)
    gateway = serve(service, [app.target], "MaxConnections=3", gateway=f"Threads={threads}")
    clients = [send(gateway, f"/{i}") for i in range(40)]
    app.wait(3)
    app.open()
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    assert app.most_open <= 3 and app.count == 40


def test_an_unused_connection_of_another_worker_is_no_obstacle(service, apps):
    """Each worker in turn needs the one connection that there may be."""
    app, = apps("app")
    gateway = serve(service, [app.target], "MaxConnections=1", gateway="Threads=4")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(12)]
        for _ in range(4):
            for client in clients:
                assert client.get("/x").status == 200
        for _ in range(4):
            for client in clients:
                client.request("GET", "/x")
            for client in clients:
                assert client.read_response().status == 200
    assert app.most_open == 1


def test_max_connections_with_connections_that_close(service, apps):
    """Kept connections that go stale under way are replaced, not added to."""
    count = collections.Counter()

    def answer(connection, request):
        count["n"] += 1
        if count["n"] % 5 == 0:
            connection.close()
        else:
            connection.respond(200)

    app, = apps("app", answer=answer)
    gateway = serve(service, [app.target], "MaxConnections=2\nMaxFailures=0\nRetryMinimum=1000", gateway="Threads=3")
    clients = [gateway.connect() for _ in range(9)]
    for _ in range(8):
        for client in clients:
            client.request("GET", "/x")
        for client in clients:
            assert client.read_response().status in (200, 502)
    for client in clients:
        client.close()
    assert app.most_open <= 2


# SlowStartSec=


def test_slow_start(service, apps):
    """A target that has come back gets less than its share at first, one that was there from the start does not."""
    old, young = apps("old", "young")
    gateway = serve(service, [old.target, young.target], "SlowStartSec=1min")
    assert ask(gateway, 20) == {"old": 10, "young": 10}
    young.close()
    ask(gateway, 2)
    gateway.wait_for_line("is down")
    again = App(young.path, name="young")
    gateway.wait_for_line("is up again")
    seen = ask(gateway, 100)
    assert seen["young"] < 30
    assert seen["old"] > 70
    again.close()


def test_slow_start_ends(service, apps):
    old, young = apps("old", "young")
    gateway = serve(service, [old.target, young.target], "SlowStartSec=200ms")
    young.close()
    ask(gateway, 2)
    gateway.wait_for_line("is down")
    again = App(young.path, name="young")
    gateway.wait_for_line("is up again")
    h1.eventually(lambda: ask(gateway, 20) == {"old": 10, "young": 10})
    again.close()
