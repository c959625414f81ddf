"""What clients that never retry see when it is the apps that restart, hang, break and stay away, on a real systemd: one
test for each row of the second table of promises.

The apps are those of tests/apps, as plain services: while one restarts nobody listens at its address. As in
test_figures.py the counts are small here and full in `tests/machine/figures`. Where a promise has two sides, both are
looked at: what clients got, what the app has executed by its own ledger, and what the gateway says in its metrics and in
the journal."""

import collections
import contextlib
import json
import re
import threading
import time
from pathlib import Path

import pytest

import service
from harness.events import match
from harness.table import count, milliseconds, print_table
from service import metrics, wait_until

CONNECT_TIMEOUT = 2  # seconds, ConnectTimeoutSec='s default
LOAD = ("--connections=64", "--think=0-50", "--duration=600", "--outcomes=/var/tmp/outcomes")
PIPELINING = Path(__file__).with_name("harness") / "pipelining.py"

# Outcomes of tries after which the app may have executed the request, or not.
UNCERTAIN = ("send_failed", "closed_early", "truncated")


@pytest.fixture(scope="module")
def table():
    rows = []
    yield rows
    print_table(("event", "requests", "lost", "answered 5xx", "longest stall", "beside it"), rows)


# --- the gateway in front ---


def serve(machine, *apps, options="", route=""):
    """Starts the gateway in front of these apps, as one upstream."""
    targets = "".join(f"Target={app.address}\n" for app in apps)
    service.configure(machine, f"[Upstream app]\n{targets}{options}\n[Route localhost/*rest]\nUpstream=app\n{route}\n")
    machine.systemctl("start", "holdfast.service")
    service.wait_ready(machine)


def of_app(machine, name):
    return int(metrics(machine).sum("holdfast_upstream_" + name, upstream="app"))


def of_target(machine, name, app):
    return int(metrics(machine).sum("holdfast_upstream_" + name, upstream="app", target=app.address))


class Watcher:
    """Keeps the greatest value that some metrics of the upstream have while it runs."""

    def __init__(self, machine, *names):
        self.machine, self.names, self.greatest = machine, names, collections.Counter()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.ended.wait(0.05):
            seen = metrics(self.machine)
            for name in self.names:
                self.greatest[name] = max(self.greatest[name], int(seen.sum("holdfast_upstream_" + name, upstream="app")))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.ended.set()
        self.thread.join()


# --- what is the same for many rows ---


def restart_in_turn(apps, n, pause=0.1):
    """Each n times. The pause lets it serve in between: without one it is up for hardly longer than it takes to see that,
    and a request may be sent to one dying process after another, until it has been sent as often as one may be."""
    for _ in range(n):
        for app in apps:
            app.restart()
            time.sleep(pause)


def server_errors(report):
    return {status: n for status, n in report["statuses"].items() if int(status) >= 500}


def assert_nothing_noticed(client):
    report = client.report
    assert report["lost"] == 0 and not server_errors(report), client.summary()
    assert report["outcomes"]["2xx"] == report["requests"], client.summary()
    assert report["forced_reconnects_announced"] == report["forced_reconnects_unannounced"] == 0, client.summary()


def row(event, client, beside=""):
    report = client.report
    errors = sum(server_errors(report).values())
    return (event, report["requests"], report["lost"] - errors, errors, milliseconds(report["stall_us"]), beside)


def held(machine):
    return f"{of_app(machine, 'held_total')} held, {of_app(machine, 'retries_total')} tried again"


def assert_once(executed):
    twice = [identity for identity, n in collections.Counter(executed).items() if n > 1]
    assert not twice, f"executed more than once: {twice[:5]}"


# --- restarts ---


@pytest.mark.parametrize("kind, start_delay",
                         [("capp", 0), ("capp-unix", 0), ("pyapp", 0), ("ginapp", 0), ("capp", 1000)],
                         ids=["capp", "capp-unix", "pyapp", "ginapp", "slow-start"])
def test_restarts_and_get(machine, app, loss_client, table, kind, start_delay):
    """One target: while it restarts there is no other."""
    n = count(100, 10) if not start_delay else count(20, 2)
    one = app(kind, 9001, start_delay=start_delay)
    serve(machine, one)
    with loss_client(machine, *LOAD, "--path=/echo", "--verify") as client:
        restart_in_turn([one], n, pause=0.5 if start_delay else 0.1)
    assert_nothing_noticed(client)
    slowly = f", which takes {start_delay / 1000:g} s to start" if start_delay else ""
    kind = kind.replace("capp-unix", "capp, a Unix socket")
    table.append(row(f"{n} restarts of the only target ({kind}){slowly}, GET", client, held(machine)))


@pytest.mark.parametrize("kind", ["capp", "ginapp"])
def test_restarts_and_post(machine, app, loss_client, table, kind):
    """Only what had been sent to the process that ended can have failed: everything else waited, or went elsewhere."""
    n = count(100, 10)
    one = app(kind, 9001)
    serve(machine, one)
    with loss_client(machine, *LOAD, "--path=/ledger", "--method=POST", "--body=100", "--verify") as client:
        restart_in_turn([one], n)
    outcomes = client.outcomes()
    executed = one.executed()
    assert_once(executed)
    assert len(outcomes) == client.report["requests"] == len({o.id for o in outcomes})
    answered = {o.id for o in outcomes if o.status == "200"}
    failed = {o.id for o in outcomes if o.status == "502"}
    assert answered <= set(executed), client.summary()
    assert len(answered) + len(failed) == len(outcomes), client.summary()
    # What the gateway says of them: each 502 is a try that ended with the outcome open. In the journal are those that did
    # not come too many at a time, with their ids.
    tries = metrics(machine)
    uncertain = sum(int(tries.sum("holdfast_upstream_tries_total", upstream="app", outcome=one)) for one in UNCERTAIN)
    assert len(failed) <= uncertain, (len(failed), uncertain)
    told = {record.get("HOLDFAST_REQUEST_ID") for record in machine.journal(match("upstream-failure"))}
    assert told <= {o.id for o in outcomes}
    in_ledger = len(failed & set(executed))
    assert set(executed) <= answered | failed
    table.append(row(f"{n} restarts of the only target ({kind}), POST", client,
                     f"none executed twice; of those answered 502, {in_ledger} had been executed; the gateway counts "
                     f"{uncertain} tries of that kind, and the journal names {len(told & failed)}; {held(machine)}"))


@pytest.mark.parametrize("kind", ["capp", "pyapp", "ginapp"])
def test_restarts_and_post_with_a_key(machine, app, loss_client, table, kind):
    """With the client's leave, and an app that knows keys, such a request is sent again."""
    n = count(100, 10)
    one = app(kind, 9001)
    serve(machine, one, route="ReplayIdempotencyKey=yes")
    with loss_client(machine, *LOAD, "--path=/ledger", "--method=POST", "--body=100", "--idempotency-key", "--verify") as client:
        restart_in_turn([one], n)
    executed = one.executed()
    assert_nothing_noticed(client)
    assert_once(executed)
    assert set(executed) == {o.id for o in client.outcomes()}
    table.append(row(f"{n} restarts of the only target ({kind}), POST with Idempotency-Key", client,
                     f"each executed once; {held(machine)}"))


@pytest.mark.parametrize("kind", ["capp", "ginapp"])
def test_kills_and_post_with_a_key(machine, app, loss_client, table, kind):
    """The app dies between what it does and what it says of it. Its successor knows from the ledger."""
    n = count(50, 5)
    one = app(kind, 9001)
    serve(machine, one, route="ReplayIdempotencyKey=yes")
    with loss_client(machine, *LOAD, "--path=/ledger", "--method=POST", "--body=100", "--idempotency-key", "--verify") as client:
        for number in range(1, n + 1):
            one.signal("KILL")
            wait_until(lambda: machine.show(one.unit, "NRestarts") == str(number) and one.is_active())
            # Until it has worked off what has gathered: who is last in turn each time is sent as often as one may be.
            time.sleep(0.3)
    executed = one.executed()
    assert_nothing_noticed(client)
    assert_once(executed)
    assert set(executed) == {o.id for o in client.outcomes()}
    table.append(row(f"{n} SIGKILLs of the only target ({kind}), 0.3 s apart, POST with Idempotency-Key", client,
                     f"each executed once; {held(machine)}"))


def test_restarts_of_two_targets(machine, app, loss_client, table):
    """One is always there: nobody waits for the other."""
    n = count(50, 5)
    two = [app("capp", 9001), app("ginapp", 9002)]
    serve(machine, *two)
    with loss_client(machine, *LOAD, "--path=/echo", "--verify") as client:
        restart_in_turn(two, n)
    assert_nothing_noticed(client)
    assert client.report["stall_us"] <= 2 * CONNECT_TIMEOUT * 1_000_000, client.summary()
    table.append(row(f"{n} restarts of each of two targets (capp, ginapp), in turn, GET", client, held(machine)))


# --- sick apps ---

OPEN = 2  # what holdfast_upstream_breaker_state says


def test_one_of_three_hangs(machine, app, loss_client, table):
    """Slow is what it had when it hung, and what it got until that was noticed: one request of each client at most."""
    calls = 5
    three = [app("capp", 9001), app("pyapp", 9002), app("ginapp", 9003)]
    serve(machine, *three, options=f"Breaker=count\nBreakerWindow=10\nBreakerMinimumCalls={calls}\n"
                                   "BreakerSlowCallSec=300ms\nBreakerSlowCallRate=50\nBreakerOpenSec=10s\n"
                                   "TryTimeoutSec=1s\n")
    hung = three[1]
    with loss_client(machine, *LOAD, "--path=/echo", "--verify") as client:
        time.sleep(1)
        began = time.monotonic()
        hung.signal("STOP")
        wait_until(lambda: of_target(machine, "breaker_state", hung) == OPEN)
        opened = time.monotonic() - began
        time.sleep(max(0, 5 - opened))
        hung.signal("CONT")
        wait_until(lambda: of_target(machine, "breaker_state", hung) == 0, timeout=40)
        wait_until(lambda: of_target(machine, "target_ready", hung) == 1)
    assert_nothing_noticed(client)
    slow = [o.connection for o in client.outcomes() if o.took >= 0.9]
    # The first that come back may be sent there again, before as many as the breaker wants to see have failed.
    assert 0 < len(slow) <= 64 + calls, f"{len(slow)} slow requests on {len(set(slow))} connections"
    assert client.report["stall_us"] < 2_500_000, client.summary()
    table.append(row("one of three targets hangs (SIGSTOP) for 5 s", client,
                     f"breaker open after {opened:.1f} s; {len(slow)} requests of 64 clients waited for TryTimeoutSec=1s"))


def test_one_of_two_answers_500(machine, app, loss_client, table):
    """The app's own answers are not the gateway's to repair; that there are no more of them is."""
    window, calls, connections = 20, 3, 16
    two = [app("capp", 9001), app("ginapp", 9002)]
    serve(machine, *two, options=f"Breaker=count\nBreakerWindow={window}\nBreakerMinimumCalls=10\nBreakerOpenSec=1s\n"
                                 f"BreakerHalfOpenCalls={calls}\n")
    broken = two[1]
    with loss_client(machine, f"--connections={connections}", "--think=0-20", "--duration=600", "--path=/echo",
                     "--outcomes=/var/tmp/outcomes") as client:
        time.sleep(0.5)
        broken.ask("/break?on=1", "POST")
        wait_until(lambda: of_target(machine, "breaker_state", broken) == OPEN)
        time.sleep(3.5)
        broken.ask("/break?on=0", "POST")
        wait_until(lambda: of_target(machine, "breaker_state", broken) == 0)
        before = of_target(machine, "tries_total", broken)
        wait_until(lambda: of_target(machine, "tries_total", broken) > before + 50)
    report = client.report
    errors = server_errors(report)
    assert set(errors) == {"500"} and report["lost"] == errors["500"], client.summary()
    # Until it opens, with what is under way then; and each second, when it is half open, a few calls that try.
    assert errors["500"] <= window + connections + 5 * calls, client.summary()
    table.append(row(f"one of two targets answers 500 to everything for 3.5 s, BreakerWindow={window}", client,
                     "breaker open within its window, closed again by half-open calls"))


# --- waiting ---


def memory(machine):
    """Of the main process, in KiB: now, and the most that it ever was."""
    status = machine.path(f"/proc/{machine.main_pid()}/status").read_text()
    return [int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1]) for name in ("VmRSS", "VmHWM")]


@contextlib.contextmanager
def pipelined(machine, connections, requests):
    """Sends; what comes is read when the block ends, and must be in order."""
    machine.copy_in(PIPELINING, "/usr/local/lib/pipelining.py")
    client = machine.start("python3", "/usr/local/lib/pipelining.py", str(connections), str(requests), "/echo")
    try:
        assert client.stdout.readline() == "sent\n", client.stderr.read()
        yield
        out, err = client.communicate(timeout=60)
    finally:
        client.kill()
    assert out.strip() == f"good={connections * requests} bad=0 missing=0", out + err


@pytest.mark.parametrize("way", ["stopped", "paused"])
def test_many_wait(machine, app, loss_client, table, way):
    """On connections that are there already, all at the same time; beside them some that send without waiting for answers,
    for the order within a connection."""
    n, pipelines, length = count(5000, 1000), 20, 5
    one = app("capp", 9001)
    serve(machine, one)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(loss_client(machine, "--at-once", "--path=/echo", "--verify", idle=n))
        before, _ = memory(machine)
        if way == "stopped":
            one.stop()
        else:
            machine.run("holdfastctl", "pause", "app")
        began = time.monotonic()
        stack.enter_context(pipelined(machine, pipelines, length))
        client.begin_to_ask()
        # Of requests that follow another on their connection, none begins before that is answered.
        wait_until(lambda: of_app(machine, "held") == n + pipelines)
        time.sleep(max(0, 3 - (time.monotonic() - began)))
        if way == "stopped":
            one.start()
        else:
            machine.run("holdfastctl", "resume", "app")
        client.finish()
    _, most = memory(machine)
    report = client.report
    assert report["lost"] == 0 and report["outcomes"]["2xx"] == 2 * n, client.summary()
    assert report["idle"]["answered_reused"] == n, client.report["idle"]
    assert of_app(machine, "held") == 0 and of_app(machine, "hold_expired_total") == 0
    each = (most - before) / (n + pipelines)
    assert each < 24, f"{each:.1f} KiB for each request that waited, from {before} to {most} KiB"
    assert report["stall_us"] < 3_000_000 + 4_000_000, client.summary()
    table.append(row(f"{n} requests wait for 3 s, the app is {way}, GET", client,
                     f"{pipelines} × {length} pipelined ones answered in order; memory {before / 1024:.0f} MiB before, at most "
                     f"{most / 1024:.0f} MiB, {each:.1f} KiB for each"))


def test_app_that_stays_away(machine, app, loss_client, table):
    """It is told when waiting is over; and there are never more that wait than may."""
    most, seconds = 50, 2
    one = app("capp", 9001)
    serve(machine, one, options=f"HoldSec={seconds}s\nHoldMax={most}\n")
    assert service.get(machine, "/echo") is not None
    one.stop()
    began = time.monotonic()
    answer = machine.output("curl", "--silent", "--include", "--max-time", 20, "http://localhost/echo")
    assert seconds - 0.1 <= time.monotonic() - began < seconds + 2
    assert re.match(r"HTTP/1.1 503 ", answer) and re.search(r"(?im)^retry-after: \d+\s*$", answer), answer
    with Watcher(machine, "held") as watcher:
        with loss_client(machine, "--connections=200", "--think=100", "--duration=600",
                         "--outcomes=/var/tmp/outcomes") as client:
            time.sleep(2 * seconds)
    report = client.report
    assert set(report["statuses"]) == {"503"}, client.summary()
    assert report["outcomes"]["5xx"] == report["requests"], client.summary()
    waited = [o for o in client.outcomes() if o.took > seconds / 2]
    # A wait ends within a fraction of a second of its time; whoever finds no room is told so at once.
    assert waited and all(seconds - 0.1 <= o.took < seconds + 1 for o in waited)
    assert 0 < watcher.greatest["held"] <= most
    assert of_app(machine, "hold_expired_total") == report["requests"] + 1
    one.start()
    wait_until(lambda: service.get(machine, "/echo", check=False, timeout=5) != "" or of_target(machine, "target_ready", one))
    table.append(row(f"the app is down for good, HoldSec={seconds}s, HoldMax={most}, 200 clients", client,
                     f"all 503 with Retry-After, {len(waited)} of them after HoldSec; never more than "
                     f"{watcher.greatest['held']} waited"))


def test_what_the_operator_sees(machine, app):
    """A target's state as holdfastctl tells it while its app is away, and again when it is back."""
    one = app("capp", 9001)
    serve(machine, one)

    def seen():
        (upstream,) = json.loads(machine.output("holdfastctl", "upstreams", "--json"))["upstreams"]
        (target,) = upstream["targets"]
        assert (upstream["name"], target["address"]) == ("app", one.address)
        return target["ready"], upstream["held"]

    assert service.get(machine, "/echo")
    assert seen() == (True, 0)
    one.stop()
    client = machine.start("curl", "--silent", "--fail", "--max-time", "20", "http://localhost/echo")
    wait_until(lambda: seen() == (False, 1))
    assert of_app(machine, "held") == 1 and of_target(machine, "target_ready", one) == 0
    assert f"\napp\t{one.address}\tno\t" in machine.output("holdfastctl", "upstreams")
    one.start()
    _, err = client.communicate(timeout=20)
    assert client.returncode == 0, err
    assert seen() == (True, 0) and of_target(machine, "target_ready", one) == 1
