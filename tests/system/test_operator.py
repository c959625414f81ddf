"""What the operator wants of upstreams: that it is done at once, and that it lasts."""

import concurrent.futures
import contextlib
import json
import os
import socket
import threading
import time

import pytest

import h1


# What is to be expected where the operator takes out the last one.
NOBODY_LEFT = "warning: upstream orders: no target is ready"


class App:
    """Answers every request with its name."""

    def __init__(self, name):
        self.name = name
        self.upstream = h1.Upstream(timeout=None)
        self.address = self.upstream.target
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.upstream.accept(),), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, EOFError, h1.Closed, h1.ProtocolError):
            while True:
                connection.read_request()
                self.requests += 1
                connection.respond(200, self.name.encode())

    def close(self):
        with contextlib.suppress(OSError):
            self.upstream.sock.shutdown(socket.SHUT_RDWR)
        self.upstream.close()


@pytest.fixture
def apps():
    made = [App(name) for name in ("blue", "green", "red")]
    yield made
    for app in made:
        app.close()


@pytest.fixture
def orders(service, apps):
    """Two of the apps behind an upstream."""
    service.listen("http")
    service.listen("admin")
    service.allow(NOBODY_LEFT)
    configure(service, apps)
    return service.start_ready()


def configure(service, apps, options="HoldSec=10s"):
    service.configure(
        f"[Upstream orders]\nTarget={apps[0].address}\nTarget={apps[1].address}\n{options}\n[Route /]\nUpstream=orders\n"
    )


def answers(service, n=20):
    """How often each app has answered."""
    found = {}
    with service.connect() as client:
        for _ in range(n):
            response = client.get("/")
            assert response.status == 200, response.text
            found[response.text] = found.get(response.text, 0) + 1
    return found


def ctl(service, *arguments):
    """holdfastctl, which must succeed; its JSON."""
    result = service.ctl("--json", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def refused(service, *arguments):
    """… which must fail; its reason."""
    result = service.ctl(*arguments)
    assert result.returncode == 1 and result.stdout == ""
    return result.stderr


def upstream(service):
    (told,) = ctl(service, "upstreams")["upstreams"]
    return told


def targets(service):
    return {target["address"]: target for target in upstream(service)["targets"]}


def kept(service):
    path = service.directory / "state" / "upstreams.json"
    return json.loads(path.read_text()) if path.exists() else None


def in_background(act):
    """Calls it on a thread of its own; a future."""
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(act)
    pool.shutdown(wait=False)
    return future


# --- at once ------------------------------------------------------------------------------------------------------


def test_all_is_as_configured(orders, apps):
    told = targets(orders)
    assert list(told) == [apps[0].address, apps[1].address]
    assert answers(orders) == {"blue": 10, "green": 10}
    told = targets(orders)
    assert all(target["origin"] == "configured" and target["wanted"] == "ready" for target in told.values())
    assert sum(target["tries"] for target in told.values()) == 20
    assert kept(orders) is None
    table = orders.ctl("upstreams").stdout.splitlines()
    assert table[1].startswith(f"orders\t{apps[0].address}\tyes\tready\t")


def test_add_and_remove(orders, apps):
    told = ctl(orders, "target", "orders", apps[2].address, "add", "weight=2")
    assert (told["origin"], told["weight"], told["upstream"]) == ("added", 2, "orders")
    assert answers(orders) == {"blue": 5, "green": 5, "red": 10}
    assert targets(orders)[apps[2].address]["tries"] == 10
    assert kept(orders) == {"orders": {"targets": {apps[2].address: {"added": True, "weight": 2}}}}

    assert ctl(orders, "target", "orders", apps[2].address, "remove")["removed"] is True
    assert answers(orders) == {"blue": 10, "green": 10}
    assert apps[2].address not in targets(orders)
    assert kept(orders) == {}

    # And once more.
    assert ctl(orders, "target", "orders", apps[2].address, "add")["weight"] == 1
    assert answers(orders, 30) == {"blue": 10, "green": 10, "red": 10}


@pytest.mark.parametrize("word", ["drain", "down", "weight=0"])
def test_out_and_back(orders, apps, word):
    address = apps[0].address
    told = ctl(orders, "target", "orders", address, word)
    if word != "weight=0":
        assert told["wanted"] == word and told["ready"] is False and told["why"]
    assert answers(orders) == {"green": 20}
    ctl(orders, "target", "orders", address, "ready", "weight=1")
    assert answers(orders) == {"blue": 10, "green": 10}
    assert kept(orders) == {}


def test_weight(orders, apps):
    assert ctl(orders, "target", "orders", apps[1].address, "weight=4")["weight"] == 4
    assert answers(orders) == {"blue": 4, "green": 16}


def test_a_request_that_is_under_way_is_finished(service):
    app = h1.Upstream()
    service.allow(NOBODY_LEFT)
    service.listen("http")
    service.listen("admin")
    service.configure(f"[Upstream orders]\nTarget={app.target}\n[Route /]\nUpstream=orders\n")
    service.start_ready()
    with service.connect() as client:
        client.request("GET", "/")
        connection, _ = app.expect()
        told = ctl(service, "target", "orders", app.target, "down")
        assert told["active"] == 1 and told["ready"] is False
        connection.respond(200, b"late")
        assert client.read_response().text == "late"
    app.close()


def test_pause_and_resume(orders):
    assert answers(orders, 2)
    assert ctl(orders, "pause", "orders")["paused"] is True
    waiting = [in_background(lambda: orders.get("/", timeout=20)) for _ in range(5)]
    h1.eventually(lambda: upstream(orders)["held"] == 5)
    assert "orders is paused: 5 requests wait" in orders.ctl("upstreams").stdout
    assert not any(future.done() for future in waiting)
    assert ctl(orders, "resume", "orders")["paused"] is False
    assert all(future.result(10).status == 200 for future in waiting)
    assert upstream(orders)["held"] == 0 and kept(orders) == {}


def test_it_is_told_in_the_journal(orders, apps):
    ctl(orders, "target", "orders", apps[0].address, "drain", "weight=3")
    line = orders.wait_for_line("operator")
    for field in ("upstream=orders", f"target={apps[0].address}", "verb=drain", "weight=3", f"operator_uid={os.getuid()}"):
        assert field in line
    assert f"operator (UID {os.getuid()}, GID {os.getgid()}, PID " in line and f": orders {apps[0].address}: drain weight=3" in line
    ctl(orders, "pause", "orders")
    assert "verb=pause" in orders.wait_for_line(": orders: pause")

    # What changes nothing is not told.
    ctl(orders, "pause", "orders")
    ctl(orders, "target", "orders", apps[0].address, "drain")
    ctl(orders, "resume", "orders")
    orders.wait_for_line(": orders: resume")
    assert sum("operator (UID" in line for line in orders.lines()) == 3


def test_two_changes_at_once(orders, apps):
    """Whatever their order, neither is lost."""

    def add(port):
        return orders.ctl("target", "orders", f"127.0.0.1:{port}", "add", "weight=0").returncode

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(add, range(1, 17))) == {0}
    assert len(targets(orders)) == 18
    assert len(kept(orders)["orders"]["targets"]) == 16

    def both(verb):
        return orders.ctl(verb, "orders").returncode

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(both, ["pause", "resume"] * 8)) == {0}
    assert upstream(orders)["paused"] == kept(orders)["orders"].get("paused", False)
    ctl(orders, "resume", "orders")
    assert answers(orders) == {"blue": 10, "green": 10}


def test_changes_under_load_lose_no_request(orders, apps):
    done = threading.Event()

    def ask():
        n = 0
        with orders.connect(timeout=20) as client:
            while not done.is_set():
                response = client.get("/")
                assert response.status == 200, response.text
                n += 1
        return n

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        try:
            for _ in range(5):
                ctl(orders, "target", "orders", apps[2].address, "add")
                ctl(orders, "target", "orders", apps[0].address, "down")
                ctl(orders, "target", "orders", apps[1].address, "drain", "weight=5")
                ctl(orders, "pause", "orders")
                ctl(orders, "target", "orders", apps[2].address, "remove")  # nobody is left
                ctl(orders, "resume", "orders")
                ctl(orders, "target", "orders", apps[0].address, "ready")
                ctl(orders, "target", "orders", apps[1].address, "ready", "weight=1")
        finally:
            done.set()
        assert all(client.result(20) > 0 for client in clients)
    assert all(app.requests > 0 for app in apps)


def test_wrong_names(orders, apps):
    address = apps[0].address
    assert "did you mean 'orders'?" in refused(orders, "pause", "ordres")
    assert "there is no upstream 'x'" in refused(orders, "target", "x", address, "down")
    assert f"did you mean '{address}'?" in refused(orders, "target", "orders", address + "0", "down")
    assert "did you mean 'drain'?" in refused(orders, "target", "orders", address, "drian")
    assert "is in the configuration" in refused(orders, "target", "orders", address, "remove")
    assert "is a target of orders already" in refused(orders, "target", "orders", address, "add")
    assert "the port is missing" in refused(orders, "target", "orders", "127.0.0.1", "add")
    assert "from 0 to 256" in refused(orders, "target", "orders", address, "weight=1000")
    for query, status in (("", 400), ("?upstream=x", 404), ("?upstream=orders&x=y", 400), ("?upstream=%", 400)):
        assert orders.admin("POST", "/v1/upstreams/pause" + query).status == status
    assert orders.admin("GET", "/v1/upstreams/pause?upstream=orders").status == 405
    assert kept(orders) is None


# --- and for good -------------------------------------------------------------------------------------------------


def change_much(service, apps):
    ctl(service, "target", "orders", apps[0].address, "drain")
    ctl(service, "target", "orders", apps[1].address, "weight=3")
    ctl(service, "target", "orders", apps[2].address, "add")
    return kept(service)


def assert_changed(service, apps, before):
    told = targets(service)
    assert told[apps[0].address]["wanted"] == "drain"
    assert told[apps[1].address]["weight"] == 3
    assert told[apps[2].address]["origin"] == "added"
    assert answers(service) == {"green": 15, "red": 5}
    assert kept(service) == before


def test_reload(orders, apps):
    before = change_much(orders, apps)
    for _ in range(2):
        orders.reload()
        assert_changed(orders, apps, before)
    # What is changed then is what the next one knows.
    ctl(orders, "target", "orders", apps[2].address, "remove")
    orders.reload()
    assert apps[2].address not in targets(orders)


def test_restart(orders, apps):
    before = change_much(orders, apps)
    orders.stop()
    orders.start_ready()
    assert_changed(orders, apps, before)


def test_kill(orders, apps):
    before = change_much(orders, apps)
    orders.expected_status = -9
    orders.allow("warning: ")
    orders.signal(9)
    orders.wait()
    orders.expected_status = 0
    orders.start_ready()
    assert_changed(orders, apps, before)


def test_pause_over_a_restart(orders):
    ctl(orders, "pause", "orders")
    orders.stop()
    orders.start_ready()
    waiting = in_background(lambda: orders.get("/", timeout=20))
    h1.eventually(lambda: upstream(orders)["held"] == 1)
    ctl(orders, "resume", "orders")
    assert waiting.result(10).status == 200


def test_resume_frees_what_waits_in_the_generation_before(orders):
    answers(orders, 2)
    ctl(orders, "pause", "orders")
    waiting = [in_background(lambda: orders.get("/", timeout=20)) for _ in range(3)]
    h1.eventually(lambda: upstream(orders)["held"] == 3)
    orders.reload()
    assert upstream(orders)["paused"] is True
    assert orders.draining() and not any(future.done() for future in waiting)
    waiting.append(in_background(lambda: orders.get("/", timeout=20)))
    h1.eventually(lambda: upstream(orders)["held"] == 1)
    began = time.monotonic()
    ctl(orders, "resume", "orders")
    assert [future.result(10).status for future in waiting] == [200] * 4
    assert time.monotonic() - began < 5
    orders.wait_former()


@pytest.mark.parametrize("how", ["reload", "restart", "kill"])
def test_what_a_name_stands_for(service, apps, how):
    """It is looked up after the start: what is wanted of it is remembered until then."""
    address = apps[0].address
    name = address.replace("127.0.0.1", "localhost")
    service.listen("http")
    service.listen("admin")
    service.allow("warning: ")
    service.configure(
        f"[Upstream orders]\nTarget={name}\nTarget={apps[1].address}\nHoldSec=10s\n[Route /]\nUpstream=orders\n"
    )
    service.start_ready()
    h1.eventually(lambda: address in targets(service))
    assert ctl(service, "target", "orders", address, "drain", "weight=4")["origin"] == "resolved"
    assert "is what a name in the configuration stands for" in refused(service, "target", "orders", address, "remove")
    assert f"{name} is a name" in refused(service, "target", "orders", name, "down")
    before = kept(service)
    if how == "reload":
        service.reload()
    else:
        service.expected_status = -9 if how == "kill" else 0
        service.signal(9 if how == "kill" else 15)
        service.wait()
        service.expected_status = 0
        service.start_ready()
    h1.eventually(lambda: address in targets(service))
    told = targets(service)[address]
    assert (told["wanted"], told["weight"]) == ("drain", 4)
    assert answers(service) == {"green": 20}
    ctl(service, "target", "orders", apps[1].address, "weight=2")
    assert before["orders"]["targets"].items() <= kept(service)["orders"]["targets"].items()


def test_an_upstream_that_is_gone_is_forgotten(orders, apps):
    ctl(orders, "pause", "orders")
    orders.configure(f"[Upstream users]\nTarget={apps[0].address}\n[Route /]\nUpstream=users\n")
    orders.reload()
    assert upstream(orders)["paused"] is False
    ctl(orders, "target", "users", apps[0].address, "weight=2")
    assert list(kept(orders)) == ["users"]


# --- when it cannot last ------------------------------------------------------------------------------------------


def test_a_state_directory_that_cannot_be_written(orders, apps):
    ctl(orders, "target", "orders", apps[0].address, "weight=3")
    before, state = kept(orders), orders.directory / "state"
    state.rename(orders.directory / "elsewhere")
    for arguments in (
        ("target", "orders", apps[2].address, "add"),
        ("target", "orders", apps[0].address, "down"),
        ("target", "orders", apps[1].address, "weight=0"),
        ("pause", "orders"),
    ):
        reason = refused(orders, *arguments)
        assert "status 500" in reason and f"nothing was changed: {state}/upstreams.json cannot be written" in reason
    assert set(targets(orders)) == {apps[0].address, apps[1].address}
    assert answers(orders) == {"blue": 15, "green": 5}
    assert not any(line for line in orders.lines() if "verb=pause" in line)
    (orders.directory / "elsewhere").rename(state)
    assert kept(orders) == before
    ctl(orders, "target", "orders", apps[0].address, "down")
    assert answers(orders) == {"green": 20}


HOSTILE = [
    (b"", "is no JSON"),
    (b"{", "is no JSON"),
    (b"\0" * 1000, "is no JSON"),
    (b"[" * 1_000_000, "is no JSON"),
    (b"[1]", "is no JSON object"),
    (b" " * (4 << 20) + b"{}", "larger than 4 MB"),
]


@pytest.mark.parametrize("contents,why", HOSTILE, ids=range(len(HOSTILE)))
def test_a_file_that_is_none(service, apps, contents, why):
    service.listen("http")
    service.listen("admin")
    service.allow("warning: .*upstreams.json")
    configure(service, apps)
    (service.directory / "state").mkdir()
    path = service.directory / "state" / "upstreams.json"
    path.write_bytes(contents)
    service.start_ready()
    assert why in service.wait_for_line("upstreams.json")
    assert answers(service) == {"blue": 10, "green": 10}
    assert path.read_bytes() == contents
    ctl(service, "target", "orders", apps[0].address, "down")
    assert kept(service)["orders"]["targets"][apps[0].address] == {"wanted": "down"}


def test_a_file_with_nonsense_in_it(service, apps):
    service.listen("http")
    service.listen("admin")
    configure(service, apps)
    (service.directory / "state").mkdir()
    nonsense = {
        "": {},
        "users": {"paused": True},
        "orders": {
            "paused": "yes",
            "targets": {
                apps[0].address: {"wanted": "explode", "weight": 10**18},
                apps[1].address: [{"wanted": "down"}],
                "127.0.0.1": {"added": True},
                "localhost:80": {"added": True},
                "x" * 100_000: {"added": True},
                "unix:": {"added": True},
                apps[2].address: {"added": 1},
                "127.0.0.1:1": {"wanted": "down"},
            },
        },
    }
    (service.directory / "state" / "upstreams.json").write_text(json.dumps(nonsense))
    service.start_ready()
    assert set(targets(service)) == {apps[0].address, apps[1].address}
    assert answers(service) == {"blue": 10, "green": 10}


def test_while_a_reload_is_under_way_nothing_changes(service, apps):
    service.listen("http")
    service.listen("admin")
    configure(service, apps)
    service.start_ready()
    # A check that never passes keeps the successor starting.
    service.configure(
        f"[Upstream orders]\nTarget={apps[0].address}\n[Route /]\nUpstream=orders\n"
        f"[Check never]\nPath={service.directory}/never\nTimeoutSec=3s\n"
    )
    service.allow(".*")
    reload = in_background(lambda: service.ctl("reload"))
    h1.eventually(lambda: any("reload: starting generation 2" in line for line in service.lines()))
    assert "status 409: a reload is under way: nothing was changed" in refused(service, "pause", "orders")
    assert upstream(service)["paused"] is False and kept(service) is None
    assert reload.result(20).returncode == 1
    assert ctl(service, "pause", "orders")["paused"] is True
