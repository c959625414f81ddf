"""holdfastctl against an admin server that says what the test wants: what people see, what machines see, and what
becomes of answers that are none. Needs no gateway."""

import copy
import http.server
import json
import os
import pathlib
import pty
import re
import shutil
import socket
import socketserver
import subprocess
import threading

import pytest

BUILD = pathlib.Path(os.environ.get("BUILD") or os.environ.get("HOLDFAST_BUILD") or pathlib.Path(__file__).parents[2] / "build")
CTL = BUILD / "src" / "ctl" / "holdfastctl"

CLASSES = {"aborted": 1, "1xx": 0, "2xx": 40, "3xx": 0, "4xx": 2, "5xx": 0}
STATUS = {
    "state": "running",
    "status": "Running, 3 connections",
    "version": "1.2.3",
    "generation": 7,
    "pid": 4242,
    "started_usec": 1700000000000000,
    "uptime_usec": 93_784_000_000,
    "drain_left_usec": None,
    "totals": {"requests": 43, "in_flight": 1, "connections": 3, "cut": 0, "by_class": CLASSES, "journal_dropped": 0},
    "workers": [{"worker": 0, "accepting": True, "connections": 3, "idle": 2, "in_flight": 1, "turns": 99}],
    "listeners": [
        {
            "name": "http",
            "protocol": "http",
            "addresses": ["0.0.0.0:80", "[::]:80"],
            "connections": {"http1": 2, "http2": 1, "tunnel": 0},
            "accepted": {"http1": 10, "http2": 4, "tunnel": 0},
        }
    ],
    "routes": [
        {
            "route": "/api/orders/:id",
            "methods": ["GET"],
            "upstream": "orders",
            "requests": 43,
            "by_class": CLASSES,
            "bytes_in": 0,
            "bytes_out": 1000,
            "mean_usec": 500,
            "p50_usec": 412,
            "p99_usec": 12345,
        },
        {"route": "/", "methods": ["*"], "static": "/srv/www", "requests": 0, "by_class": {}},
        {"route": None, "requests": 0, "by_class": {}},
    ],
    "upstreams": [
        {
            "name": "orders",
            "targets": [
                {
                    "address": "127.0.0.1:9001",
                    "weight": 1,
                    "observed": "down",
                    "tries": 43,
                    "by_outcome": {"ok": 41, "cancelled": 1, "truncated": 1},
                    "reused": 40,
                    "idle": 2,
                    "mean_usec": 1,
                    "p50_usec": 400,
                    "p99_usec": 12000,
                }
            ],
        }
    ],
}
BUSY = {
    "address": "127.0.0.1:9001",
    "origin": "configured",
    "ready": True,
    "why": "",
    "wanted": "ready",
    "observed": "up",
    "breaker": {"state": "closed", "calls": 43, "failed": 1, "slow": 0, "failure_rate": 2.3, "slow_rate": 0.0},
    "unit": {"name": "orders@1.service", "state": "active"},
    "weight": 3,
    "active": 4,
    "connections": 9,
    "tries": 43,
    "by_outcome": {"ok": 41, "cancelled": 1, "truncated": 1},
    "idle": 5,
    "p50_usec": 400,
    "p99_usec": 12000,
}
SICK = {
    **BUSY,
    "address": "unix:/run/orders/green.sock",
    "origin": "added",
    "ready": False,
    "why": "the operator drains it",
    "wanted": "drain",
    "observed": "unknown",
    "breaker": None,
    "unit": None,
    "weight": 1,
    "tries": 0,
    "by_outcome": {},
}
UPSTREAMS = {
    "upstreams": [
        {"name": "orders", "paused": False, "held": 0, "held_bytes": 0, "targets": [BUSY, SICK]},
        {"name": "users", "paused": True, "held": 1, "held_bytes": 2048, "targets": []},
        {"name": "mail", "paused": False, "held": 7, "held_bytes": 0, "targets": [{**BUSY, "breaker": {"state": "open"}}]},
    ]
}
HEALTH = {"live": True, "ready": True, "state": "running", "generation": 7, "uptime_usec": 5_000_000}
METRICS = "# HELP a b\n# TYPE a counter\na 1\n"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass

    def do_POST(self):
        self.do_GET()

    def do_GET(self):
        status, kind, body = self.server.answers[self.path]
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.seen.append((self.path, dict(self.headers)))
        if body is None:  # never
            self.server.closing.wait()
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Admin:
    """The fake server: answers may be replaced."""

    def __init__(self, path):
        self.path = str(path)
        self.server = Server(self.path, Handler)
        self.server.answers, self.server.seen, self.server.asked = {}, [], []
        self.server.closing = threading.Event()
        self.answer("/v1/status", 200, STATUS)
        self.answer("/v1/health", 200, HEALTH)
        self.answer("/v1/upstreams", 200, UPSTREAMS)
        self.answer("/metrics", 200, METRICS)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path, status, body):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        self.server.answers[path] = (status, "application/json", body)

    def close(self):
        self.server.closing.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def admin(tmp_path):
    server = Admin(tmp_path / "admin.sock")
    yield server
    server.close()


def environment(**extra):
    inherited = {k: v for k, v in os.environ.items() if k not in ("HOLDFAST_ADMIN", "NO_COLOR", "http_proxy")}
    return {**inherited, "LC_ALL": "C.UTF-8", "TERM": "xterm", **extra}


def run(*args, admin=None, env=None, **options):
    command = [str(CTL)] + (["--admin", admin.path] if admin else []) + [str(a) for a in args]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, env=env or environment(), **options)


def run_on_terminal(*args, admin, **extra):
    """What a terminal would be sent."""
    controller, terminal = pty.openpty()
    command = [str(CTL), "--admin", admin.path, *args]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment(**extra)) as process:
        os.close(terminal)
        output = b""
        while True:
            try:
                data = os.read(controller, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if not data:
                break
            output += data
        process.wait(timeout=20)
    os.close(controller)
    return process.returncode, output.decode().replace("\r\n", "\n")


# status


def test_status_is_tab_separated_without_a_terminal(admin):
    result = run("status", admin=admin)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "holdfast 1.2.3: running, generation 7, pid 4242, up 1d 2h 3min"
    assert "Status: Running, 3 connections" in lines
    assert "Requests: 43 done, 1 in flight, 0 cut" in lines
    assert "http\thttp\t0.0.0.0:80,[::]:80\t3\t14" in lines
    assert "0\tyes\t3\t2\t1" in lines
    assert "/api/orders/:id\tupstream orders\t43\t40\t0\t2\t0\t1\t412us\t12ms" in lines
    assert "orders\t127.0.0.1:9001\tdown\t1\t43\t1\t40\t2\t400us\t12ms" in lines
    assert "/\tstatic /srv/www\t0\t0\t0\t0\t0\t0\t-\t-" in lines
    assert not any(line.startswith("(none)") for line in lines)
    assert "\033" not in result.stdout


def test_status_is_aligned_and_coloured_on_a_terminal(admin):
    code, output = run_on_terminal("status", admin=admin)
    assert code == 0
    assert "\033[32mrunning\033[0m" in output
    plain = re.sub(r"\033\[[0-9;]*m", "", output).splitlines()
    assert "\t" not in "".join(plain)
    head = next(line for line in plain if line.startswith("ROUTE"))
    rows = [line for line in plain if line.startswith("/")]
    assert len(rows) == 2
    for title in ("REQUESTS", "2XX", "P99"):
        end = head.index(title) + len(title)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows)


def test_no_colours_where_they_are_not_wanted(admin):
    assert "\033" not in run_on_terminal("status", admin=admin, NO_COLOR="1")[1]
    assert "\033" not in run_on_terminal("status", admin=admin, TERM="dumb")[1]
    assert "\033" in run_on_terminal("status", admin=admin, NO_COLOR="")[1]


def test_status_json_is_what_the_gateway_said(admin):
    result = run("status", "--json", admin=admin)
    assert result.returncode == 0
    assert json.loads(result.stdout) == STATUS


def test_status_while_draining(admin):
    admin.answer("/v1/status", 200, {**STATUS, "state": "draining", "drain_left_usec": 12_300_000})
    assert "what is still running is cut in 12s" in run("status", admin=admin).stdout


def test_requests_without_a_route_are_shown_once_there_are_any(admin):
    status = copy.deepcopy(STATUS)
    status["routes"][2]["requests"] = 5
    admin.answer("/v1/status", 200, status)
    assert "(none)\t-\t5" in run("status", admin=admin).stdout


def test_control_characters_never_reach_the_terminal(admin):
    evil = "\033]0;owned\a\u009b31m\nx"
    status = copy.deepcopy(STATUS)
    status.update(state=evil, status=evil, version=evil)
    status["routes"][0].update(route=evil, upstream=evil)
    status["listeners"][0]["addresses"] = [evil]
    admin.answer("/v1/status", 200, status)
    result = run("status", admin=admin)
    assert result.returncode == 0
    assert "\033" not in result.stdout and "\a" not in result.stdout and "\u009b" not in result.stdout
    assert "?]0;owned" in result.stdout


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": 3, "totals": [], "workers": {}, "routes": "x", "listeners": [1, None], "upstreams": [{"targets": 7}]},
        {"routes": [{"by_class": 4, "requests": -1, "p50_usec": "x"}, [], {"route": "/", "respond": 204}]},
        {"generation": 9223372036854775807, "uptime_usec": 9223372036854775807, "upstreams": [{"targets": [{}]}]},
    ],
)
def test_an_answer_of_another_shape_is_shown_as_far_as_it_goes(admin, body):
    admin.answer("/v1/status", 200, body)
    result = run("status", admin=admin)
    assert (result.returncode, result.stderr) == (0, "")


# upstreams


def test_upstreams(admin):
    result = run("upstreams", admin=admin)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "UPSTREAM TARGET READY WANTED OBSERVED BREAKER WEIGHT ACTIVE IDLE TRIES FAILED P50 P99 WHY".replace(" ", "\t"),
        "orders\t127.0.0.1:9001\tyes\tready\tup\tclosed\t3\t4\t5\t43\t1\t400us\t12ms\t-",
        "orders\tunix:/run/orders/green.sock\tno\tdrain\tunknown\t-\t1\t4\t5\t0\t0\t-\t-\tthe operator drains it",
        "mail\t127.0.0.1:9001\tyes\tready\tup\topen\t3\t4\t5\t43\t1\t400us\t12ms\t-",
        "users is paused: 1 request waits",
        "mail: 7 requests wait",
    ]
    assert json.loads(run("upstreams", "--json", admin=admin).stdout) == UPSTREAMS


def test_upstreams_on_a_terminal(admin):
    code, output = run_on_terminal("upstreams", admin=admin)
    assert code == 0
    assert "\033[33musers is paused: 1 request waits\033[0m" in output
    assert "\033[33mdrain\033[0m" in output and "\033[33mopen\033[0m" in output and "\033[33mready" not in output
    plain = re.sub(r"\033\[[0-9;]*m", "", output).splitlines()
    assert all(line.index("ready") == plain[0].index("WANTED") for line in plain if "yes" in line)


@pytest.mark.parametrize(
    "body", [{}, {"upstreams": 3}, {"upstreams": [None, 3, {}, {"targets": [{}, 1, {"why": 3, "breaker": 7}], "held": -1}]}]
)
def test_upstreams_of_another_shape_are_shown_as_far_as_it_goes(admin, body):
    admin.answer("/v1/upstreams", 200, body)
    result = run("upstreams", admin=admin)
    assert (result.returncode, result.stderr) == (0, "")


TARGET = "/v1/upstreams/target?upstream=orders&address="


@pytest.mark.parametrize(
    "args,path",
    [
        (["127.0.0.1:9001", "drain"], "127.0.0.1:9001&verb=drain"),
        (["127.0.0.1:9001", "add", "weight=3"], "127.0.0.1:9001&verb=add&weight=3"),
        (["127.0.0.1:9001", "weight=0", "ready"], "127.0.0.1:9001&weight=0&verb=ready"),
        (["[::1]:80", "weight=5"], "%5B::1%5D:80&weight=5"),
        (["unix:/run/a b&c?d=%.sock", "remove"], "unix:/run/a%20b%26c%3Fd%3D%25.sock&verb=remove"),
        (["ä", "dwon"], "%C3%A4&verb=dwon"),  # what there is to do is the gateway's to know
    ],
)
def test_target(admin, args, path):
    admin.answer(TARGET + path, 200, {**SICK, "upstream": "orders"})
    result = run("target", "orders", *args, admin=admin)
    assert (result.returncode, result.stderr) == (0, "")
    assert admin.server.asked == ["POST " + TARGET + path]
    assert result.stdout == (
        "orders unix:/run/orders/green.sock: wanted drain, weight 1, unknown, takes no requests (the operator drains it)\n"
    )
    assert json.loads(run("target", "orders", *args, "--json", admin=admin).stdout)["wanted"] == "drain"


def test_target_that_is_removed(admin):
    answer = {"upstream": "orders", "address": "127.0.0.1:9001", "removed": True}
    admin.answer(TARGET + "127.0.0.1:9001&verb=remove", 200, answer)
    assert run("target", "orders", "127.0.0.1:9001", "remove", admin=admin).stdout == "orders 127.0.0.1:9001: removed\n"


def test_pause_and_resume(admin):
    for verb, outcome in (("pause", "is paused: 2 requests wait"), ("resume", "is not paused")):
        waiting = {"paused": True, "held": 2} if verb == "pause" else {"paused": False, "held": 0}
        admin.answer(f"/v1/upstreams/{verb}?upstream=or%2Bders", 200, {"name": "or+ders", **waiting})
        result = run(verb, "or+ders", admin=admin)
        assert (result.returncode, result.stdout) == (0, f"or+ders {outcome}\n")
        assert json.loads(run(verb, "or+ders", "--json", admin=admin).stdout)["paused"] == (verb == "pause")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_a_change_that_is_refused(admin, status):
    admin.answer("/v1/upstreams/pause?upstream=ordres", status, {"detail": "did you mean 'orders'?"})
    for options in ([], ["--json"]):
        result = run("pause", "ordres", *options, admin=admin)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"holdfastctl: refused with status {status}: did you mean 'orders'?\n"


# health


def test_healthy(admin):
    result = run("health", admin=admin)
    assert (result.returncode, result.stdout) == (0, "healthy: running, generation 7, up 5s\n")
    assert json.loads(run("health", "--json", admin=admin).stdout)["healthy"] is True


def test_not_ready_is_unhealthy(admin):
    admin.answer("/v1/health", 503, {**HEALTH, "ready": False, "state": "draining"})
    result = run("health", admin=admin)
    assert (result.returncode, result.stdout) == (1, "unhealthy: draining, generation 7, up 5s\n")
    result = run("--json", "health", admin=admin)
    assert (result.returncode, json.loads(result.stdout)["healthy"]) == (1, False)


def test_no_answer_in_time_is_unhealthy(admin):
    admin.answer("/v1/health", 200, None)
    result = run("health", "--timeout", "200ms", admin=admin)
    assert result.returncode == 1
    assert result.stdout == f"unhealthy: no answer from {admin.path} within 200ms\n"


@pytest.mark.parametrize("status,body", [(200, {}), (200, "ok"), (200, []), (200, ""), (404, {"detail": "x"}), (200, "{")])
def test_what_is_no_health_is_unhealthy(admin, status, body):
    admin.answer("/v1/health", status, body)
    result = run("health", admin=admin)
    assert result.returncode == 1
    assert result.stdout.startswith("unhealthy: ") and result.stdout.count("\n") == 1


# metrics


def test_metrics_are_passed_on_as_they_are(admin):
    result = run("metrics", admin=admin)
    assert (result.returncode, result.stdout) == (0, METRICS)


def test_a_full_disk_is_a_failure(admin):
    with open("/dev/full", "w") as full:
        result = subprocess.run([CTL, "--admin", admin.path, "metrics"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "No space left" in result.stderr


# the socket


def test_missing_socket_says_what_to_do(tmp_path):
    result = run("--admin", tmp_path / "none.sock", "status")
    assert result.returncode == 1
    assert "is holdfast.service running?" in result.stderr and "systemctl status holdfast" in result.stderr
    assert result.stdout == ""


def test_socket_without_a_listener(tmp_path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "dead.sock"))
    result = run("--admin", tmp_path / "dead.sock", "metrics")
    assert result.returncode == 1
    assert "nobody listens" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_no_permission_names_the_group(admin, tmp_path):
    for directory in [tmp_path, *tmp_path.parents][:-1]:
        if directory.stat().st_uid == 0 and directory != pathlib.Path("/tmp"):
            directory.chmod(directory.stat().st_mode | 0o011)
    os.chmod(admin.path, 0o600)
    copied = tmp_path / "holdfastctl"  # the build may be where others cannot go
    shutil.copy(CTL, copied)
    result = subprocess.run(
        [copied, "--admin", admin.path, "status"], capture_output=True, text=True, user=65534, group=65534
    )
    assert result.returncode == 1
    assert "no permission" in result.stderr and "members of the group root" in result.stderr


def test_path_that_is_too_long():
    result = run("--admin", "/" + "x" * 200, "status")
    assert result.returncode == 1
    assert "107 bytes" in result.stderr


def test_refusal_shows_the_reason(admin):
    admin.answer("/v1/status", 403, {"title": "Forbidden", "detail": "not for you"})
    result = run("status", admin=admin)
    assert result.returncode == 1
    assert "refused with status 403: not for you" in result.stderr


def test_admin_from_the_environment(admin):
    assert run("health", env=environment(HOLDFAST_ADMIN=admin.path)).returncode == 0
    # The command line wins.
    assert run("--admin", "/none", "health", env=environment(HOLDFAST_ADMIN=admin.path)).returncode == 1


def test_proxies_are_not_for_this(admin):
    env = environment(http_proxy="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    assert run("health", admin=admin, env=env).returncode == 0
    assert admin.server.seen[0][1]["Host"] == "holdfast"


# check


def install(directory, script):
    """holdfastctl with a holdfastd of our own beside it."""
    shutil.copy(CTL, directory / "holdfastctl")
    (directory / "holdfastd").write_text("#!/bin/sh\n" + script)
    (directory / "holdfastd").chmod(0o755)
    return directory / "holdfastctl"


@pytest.mark.parametrize("script,code", [("exit 0", 0), ("exit 78", 1), ("exit 70", 1), ("kill -9 $$", 1)])
def test_check_passes_the_outcome_on(tmp_path, script, code):
    program = install(tmp_path, 'echo "$@"; echo problem >&2; ' + script)
    result = subprocess.run([program, "check"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (code, "--check\n")
    assert result.stderr.startswith("problem\n")
    assert ("Killed" in result.stderr) == ("kill" in script)


def test_check_of_a_file(tmp_path):
    program = install(tmp_path, 'for word; do echo "$word"; done')
    result = subprocess.run([program, "check", "a file.conf"], capture_output=True, text=True)
    assert result.stdout.splitlines() == ["--check", "--config", "a file.conf"]


def test_check_finds_sbin_and_path(tmp_path):
    for name in ("usr/bin", "usr/sbin", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    program = install(tmp_path / "usr/bin", "echo beside")
    env = environment(PATH=f"/none::{tmp_path}/elsewhere")
    os.rename(tmp_path / "usr/bin/holdfastd", tmp_path / "usr/sbin/holdfastd")
    assert subprocess.run([program, "check"], capture_output=True, text=True, env=env).stdout == "beside\n"
    os.rename(tmp_path / "usr/sbin/holdfastd", tmp_path / "elsewhere/holdfastd")
    assert subprocess.run([program, "check"], capture_output=True, text=True, env=env).stdout == "beside\n"


# usage


@pytest.mark.parametrize(
    "args,reason",
    [
        ([], "no verb given"),
        (["statsu"], "did you mean 'status'?"),
        (["deploy"], "there is no verb 'deploy'"),
        ([""], "there is no verb ''"),
        (["status", "x"], "'x' is too much"),
        (["check", "a", "b"], "'b' is too much"),
        (["pause"], "pause takes NAME"),
        (["resume", "a", "b"], "'b' is too much"),
        (["target"], "target takes NAME ADDRESS WORD..."),
        (["target", "orders", "127.0.0.1:1"], "target takes NAME ADDRESS WORD..."),
        (["target", "orders", "127.0.0.1:1", "add", "drain"], "'drain': only one of add, remove, "),
        (["target", "orders", "127.0.0.1:1", "weight=1", "weight=2"], "'weight=2': only one of"),
        (["target", "orders", "127.0.0.1:1", "add", "weight=1", "x"], "'x' is too much"),
        (["metrics", "--json"], "metrics has no JSON form"),
        (["--timeout", "soon", "health"], "--timeout=soon is not a time span"),
        (["--timeout=0", "health"], "--timeout=0 is not a time span"),
        (["--admin"], "requires an argument"),
        (["--nonsense"], "unrecognized option"),
    ],
)
def test_usage_errors(args, reason):
    result = run(*args)
    assert result.returncode == 2
    assert reason in result.stderr
    assert result.stdout == ""


def test_help_and_version():
    for args in (["help"], ["--help"], ["-h"]):
        result = run(*args)
        assert result.returncode == 0
        assert "Usage: holdfastctl" in result.stdout
    result = run("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"holdfastctl \d+\.\d+\.\d+\n", result.stdout)
