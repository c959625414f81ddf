"""Real load through the gateway to real apps, judged by the loss client: what each client got is what its own request
asked for, and what apps do to their connections costs no request."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

import h1

BUILD = pathlib.Path(os.environ.get("BUILD") or os.environ.get("HOLDFAST_BUILD") or
                     pathlib.Path(__file__).parents[2] / "build")
LOSS = BUILD / "tests" / "tools" / "loss"
CAPP = BUILD / "tests" / "apps" / "capp"
PYAPP = pathlib.Path(__file__).parents[1] / "apps" / "pyapp.py"


@pytest.fixture
def run_app(service):
    """Starts apps on Unix sockets of their own; returns where each listens."""
    apps = []

    def start(*command, name="app"):
        path = service.directory / f"{name}.sock"
        apps.append(subprocess.Popen([*map(str, command), f"--listen=unix:{path}", f"--name={name}"]))
        h1.eventually(lambda: answers(path))
        return f"unix:{path}"

    start.apps = apps
    yield start
    for app in apps:
        app.kill()
        app.wait()


def answers(path):
    try:
        with h1.Connection(str(path)) as connection:
            return connection.get("/").status == 200
    except OSError:
        return False


def serve(service, *targets, options=""):
    service.listen("http")
    lines = "".join(f"Target={target}\n" for target in targets)
    service.configure(f"[Upstream app]\n{lines}{options}\n[Route /*rest]\nUpstream=app\n")
    service.start_ready()
    return f"unix:{service.address()}"


def loss(target, *options):
    done = subprocess.run([LOSS, "--json", *options, target], capture_output=True, timeout=120, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def assert_all_good(report, requests):
    assert report["lost"] == 0, report["losses"][:5]
    assert report["outcomes"]["2xx"] == requests
    assert report["unsolicited"] == 0
    assert report["forced_reconnects_announced"] == report["forced_reconnects_unannounced"] == 0


@pytest.mark.parametrize("app", [CAPP, PYAPP], ids=["capp", "pyapp"])
@pytest.mark.parametrize("options", [["--verify"], ["--body=300", "--verify-echo"], ["--body=200000", "--verify-echo"]],
                         ids=["get", "post", "large"])
def test_every_client_gets_its_own_answer(service, run_app, app, options):
    requests = 200 if "--body=200000" in options else 2000
    target = serve(service, run_app(app))
    assert_all_good(loss(target, "-c32", f"-n{requests}", "--path=/echo", *options), requests)


def test_an_app_that_ends_its_connections_costs_no_get(service, run_app):
    """Unannounced, after every third request: the next one finds a connection that is gone, or just going."""
    target = serve(service, run_app(CAPP, "--max-requests=3"))
    assert_all_good(loss(target, "-c16", "-n3000", "--path=/echo", "--verify"), 3000)


def test_every_answer_of_a_ledger_is_in_it_once(service, run_app):
    ledger = service.directory / "app-ledger"
    target = serve(service, run_app(CAPP, f"--ledger={ledger}"))
    report = loss(target, "-c16", "-n500", "--path=/ledger", "--method=POST", "--body=40", "--verify",
                  f"--ledger={service.directory}/answered")
    assert_all_good(report, 500)
    written = ledger.read_text().split()
    assert sorted(written) == sorted((service.directory / "answered").read_text().split())


def test_one_of_two_apps_stops(service, run_app):
    """Orderly, under load: what it had begun it finishes, and the other takes the rest."""
    stays, goes = run_app(CAPP, name="stays"), run_app(CAPP, name="goes")
    target = serve(service, stays, goes)
    service.allow("warning: upstream app")
    with subprocess.Popen([LOSS, "--json", "-c16", "-d2", "--think=0-5", "--path=/echo", "--verify", target],
                          stdout=subprocess.PIPE) as client:
        h1.eventually(lambda: stats(goes)["requests"] > 50)
        run_app.apps[1].send_signal(signal.SIGTERM)
        assert run_app.apps[1].wait(10) == 0
        report = json.loads(client.stdout.read())
    assert report["requests"] > 100
    assert_all_good(report, report["requests"])


def stats(target):
    with h1.Connection(target.removeprefix("unix:")) as connection:
        return json.loads(connection.get("/stats").body)


def test_a_restart_of_the_gateway_refuses_nobody(service, run_app):
    """The sockets stay; who comes meanwhile waits in their queue. Each request here is on a connection of its own."""
    target = serve(service, run_app(CAPP))
    with subprocess.Popen([LOSS, "--json", "-c8", "-d3", "--per-connection=1", "--think=0-5", "--path=/echo",
                           "--verify", target], stdout=subprocess.PIPE) as client:
        for _ in range(2):
            assert service.stop() == 0
            service.start_ready()
        report = json.loads(client.stdout.read())
    assert report["lost"] == 0, report["losses"][:5]
    assert report["requests"] > 100


def test_the_loss_client_and_the_gateway_agree(service, run_app):
    """Two accounts of one story: what the gateway says at its end is what the client saw."""
    target = serve(service, run_app(CAPP))
    assert_all_good(loss(target, "-c16", "-n1000"), 1000)
    service.signal()
    assert "1000 requests" in service.wait_for_line("stopped: ")
    assert service.wait() == 0
