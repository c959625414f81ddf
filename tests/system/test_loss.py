"""The loss client, judged by servers that misbehave in one known way each.

Every promise of the gateway is judged by this client, so here it is shown that each way to lose a request is
seen, and that what loses nothing is not counted as lost.
"""

import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading

import pytest

BUILD = pathlib.Path(os.environ.get("HOLDFAST_BUILD", pathlib.Path(__file__).parents[2] / "build"))
LOSS = BUILD / "tests" / "tools" / "loss"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A server's end of one connection, for scripts that read like a dialogue."""

    def __init__(self, sock, number):
        self.sock, self.number, self.buffer = sock, number, b""

    def request(self):
        """One request, head and body; None when the client has closed."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(rest) < length:
            data = self.sock.recv(65536)
            if not data:
                return None
            rest += data
        self.buffer = rest[length:]
        return head, rest[:length]

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_closed(self):
        while self.sock.recv(65536):
            pass


class Server:
    """Runs `script(peer)` for each connection in a thread of its own, and closes the connection after it."""

    def __init__(self, script, address=("127.0.0.1", 0), family=socket.AF_INET, backlog=128):
        self.script = script
        self.listener = socket.socket(family)
        self.listener.bind(address)
        self.listener.listen(backlog)
        name = self.listener.getsockname()
        if family == socket.AF_UNIX:
            self.target = f"unix:{name}"
        else:
            self.target = f"[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
        self.accepted = 0
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(Peer(sock, self.accepted),), daemon=True).start()

    def _serve(self, peer):
        try:
            self.script(peer)
        except OSError:
            pass
        finally:
            peer.sock.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.fixture
def serve():
    servers = []

    def start(script, **kwargs):
        servers.append(Server(script, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def loss(target, *options, connections=1, expect=None):
    """Runs the client and returns its report; its exit status must agree with it."""
    done = subprocess.run([LOSS, "--json", f"-c{connections}", *options, target], capture_output=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert (report["lost"] > 0) == (done.returncode == 1)
    assert sum(report["outcomes"].values()) == report["requests"]
    assert report["lost"] == sum(n for name, n in report["outcomes"].items() if name not in ("2xx", "3xx", "4xx"))
    if expect is not None:
        assert {name: n for name, n in report["outcomes"].items() if n} == expect
    return report


def always(response):
    def script(peer):
        while peer.request():
            peer.send(response)
    return script


def answer_once_then(action):
    """The first connection answers one request and does `action` at the second; the others are good."""
    def script(peer):
        if peer.number > 1:
            always(OK)(peer)
        elif peer.request():
            peer.send(OK)
            if peer.request():
                action(peer)
    return script


def test_complete_responses(serve):
    report = loss(serve(always(OK)).target, "-n40", connections=4, expect={"2xx": 40})
    assert report["statuses"] == {"200": 40}
    assert report["connects"] == 4
    assert report["forced_reconnects_announced"] == report["forced_reconnects_unannounced"] == 0
    assert report["body_bytes"] == 80


@pytest.mark.parametrize("family, address", [(socket.AF_INET6, ("::1", 0)), (socket.AF_UNIX, None)])
def test_address_families(serve, tmp_path, family, address):
    server = serve(always(OK), family=family, address=address or str(tmp_path / "socket"))
    loss(server.target, "-n4", expect={"2xx": 4})


@pytest.mark.parametrize("response", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\nX: y\r\nZ: z\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK,
])
@pytest.mark.parametrize("bytewise", [False, True])
def test_framings(serve, response, bytewise):
    def script(peer):
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while peer.request():
            for piece in [response[i:i + 1] for i in range(len(response))] if bytewise else [response]:
                peer.send(piece)
    report = loss(serve(script).target, "-n3", expect={"2xx": 3})
    assert report["connects"] == 1
    assert report["body_bytes"] == 6


@pytest.mark.parametrize("status, outcome", [(204, "2xx"), (304, "3xx"), (404, "4xx"), (500, "5xx"), (503, "5xx")])
def test_statuses(serve, status, outcome):
    length = b"" if status in (204, 304) else b"Content-Length: 0\r\n"
    response = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, length)
    report = loss(serve(always(response)).target, "-n3", expect={outcome: 3})
    assert report["statuses"] == {str(status): 3}
    assert report["connects"] == 1


def test_head_has_no_body(serve):
    report = loss(serve(always(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")).target, "-n3", "--method=HEAD",
                  expect={"2xx": 3})
    assert report["connects"] == 1


def test_refused():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        report = loss("127.0.0.1:%d" % unused.getsockname()[1], "-n3", expect={"refused": 3})
    assert report["losses"][0]["reused"] is False


def test_no_such_socket(tmp_path):
    loss(f"unix:{tmp_path}/none", "-n2", expect={"refused": 2})


def test_connect_timeout_of_a_full_unix_queue(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(tmp_path / "socket"))
            loss(f"unix:{tmp_path}/socket", "-n1", "--connect-timeout=0.1", expect={"connect_timeout": 1})


def test_full_unix_queue_that_moves_on_loses_nothing(serve, tmp_path):
    server = serve(always(OK), family=socket.AF_UNIX, address=str(tmp_path / "socket"), backlog=1)
    loss(server.target, "-n200", "--per-connection=1", connections=32, expect={"2xx": 200})


def test_connect_timeout_of_a_full_tcp_queue():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with socket.socket() as first:
            first.connect(address)
            loss("%s:%d" % address, "-n1", "--connect-timeout=0.1", expect={"connect_timeout": 1})


def test_eof_before_response(serve):
    report = loss(serve(lambda peer: peer.request()).target, "-n3", expect={"eof": 3})
    assert report["connects"] == 3
    assert report["forced_reconnects_unannounced"] == 0


def test_connection_that_never_took_a_request_is_lost_too(serve):
    """The client had begun: a new connection that dies is not a forced reconnect."""
    report = loss(serve(lambda peer: None).target, "-n3")
    assert report["lost"] == 3
    assert report["outcomes"]["eof"] + report["outcomes"]["reset"] == 3


def test_reset_before_response(serve):
    def script(peer):
        peer.request()
        peer.reset()
    loss(serve(script).target, "-n3", expect={"reset": 3})


def test_interim_response_is_not_a_response(serve):
    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    loss(serve(script).target, "-n1", expect={"eof": 1})


@pytest.mark.parametrize("part", [
    b"H",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
])
@pytest.mark.parametrize("reset", [False, True])
def test_truncated(serve, part, reset):
    def script(peer):
        peer.request()
        peer.send(part)
        if reset:
            # The client reads what came before the reset only if it is given the time to.
            peer.sock.settimeout(0.1)
            try:
                peer.sock.recv(1)
            except TimeoutError:
                pass
            peer.reset()
    loss(serve(script).target, "-n2", expect={"truncated": 2})


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"])
def test_timeout(serve, part):
    def script(peer):
        peer.request()
        peer.send(part)
        peer.wait_closed()
    report = loss(serve(script).target, "-n2", "--timeout=0.1", expect={"timeout": 2})
    assert 100_000 <= report["stall_us"] < 5_000_000


@pytest.mark.parametrize("response", [
    b"hello\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 999 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
])
def test_bad_response(serve, response):
    loss(serve(always(response)).target, "-n1", expect={"bad_response": 1})


@pytest.mark.parametrize("response", [
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n\r\nok",
])
def test_announced_close_is_a_forced_reconnect(serve, response):
    def script(peer):
        peer.request()
        peer.send(response)
    report = loss(serve(script).target, "-n3", expect={"2xx": 3})
    assert report["forced_reconnects_announced"] == 3
    assert report["forced_reconnects_unannounced"] == 0
    assert report["connects"] == 3


@pytest.mark.parametrize("reset", [False, True])
def test_unannounced_close_while_idle_is_a_forced_reconnect(serve, reset):
    def script(peer):
        if peer.request():
            peer.send(OK)
        if reset:
            peer.reset()
    # The end of the connection is there long before the next request is due.
    report = loss(serve(script).target, "-n3", "--think=100", expect={"2xx": 3})
    # The last one may or may not be seen before the client ends.
    assert report["forced_reconnects_unannounced"] in (2, 3)
    assert report["forced_reconnects_announced"] == 0
    assert report["connects"] == 3


def test_eof_after_the_request_on_a_kept_connection_is_lost(serve):
    report = loss(serve(answer_once_then(lambda peer: None)).target, "-n4", expect={"2xx": 3, "eof": 1})
    assert report["losses"][0]["reused"] is True
    assert report["forced_reconnects_unannounced"] == 0


def test_reset_after_the_request_on_a_kept_connection_is_lost(serve):
    report = loss(serve(answer_once_then(Peer.reset)).target, "-n4", expect={"2xx": 3, "reset": 1})
    assert report["losses"][0]["reused"] is True


def test_nothing_is_retried(serve):
    seen = []

    def script(peer):
        request = peer.request()
        while request:
            seen.append(request[0].lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode())
            if len(seen) % 3 == 0:
                return
            peer.send(OK)
            request = peer.request()
    report = loss(serve(script).target, "-n30", "--method=POST", "--body=100", expect={"2xx": 20, "eof": 10})
    assert len(seen) == len(set(seen)) == 30
    assert {one["id"] for one in report["losses"]} == set(seen[2::3])


def test_unsolicited_bytes_end_the_connection(serve):
    report = loss(serve(always(OK + OK)).target, "-n2", expect={"2xx": 2})
    assert report["unsolicited"] == 2
    assert report["connects"] == 2


def test_early_answer_to_half_an_upload(serve):
    def script(peer):
        peer.sock.recv(1000)
        peer.send(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.sock.shutdown(socket.SHUT_WR)
        peer.wait_closed()
    loss(serve(script).target, "-n2", "--body=20000000", expect={"4xx": 2})


def test_verify_finds_the_answer_to_another_request(serve):
    def echo_id(peer):
        request = peer.request()
        while request:
            body = request[1][:28]
            if peer.number == 2:
                body = b"x" * len(body)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            request = peer.request()
    report = loss(serve(echo_id).target, "--verify", "-n6", "--body=64", "--per-connection=2")
    assert report["outcomes"]["2xx"] == 4
    assert report["outcomes"]["mismatch"] == 2


@pytest.mark.parametrize("spoil, expect", [
    (lambda body: body, "2xx"),
    (lambda body: body[:-1] + b"?", "mismatch"),
    (lambda body: body[:-1], "mismatch"),
    (lambda body: body + b"x", "mismatch"),
])
def test_verify_echo(serve, spoil, expect):
    def script(peer):
        request = peer.request()
        while request:
            body = spoil(request[1])
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            request = peer.request()
    loss(serve(script).target, "--verify-echo", "-n2", "--body=200000", expect={expect: 2})


def test_ledger_has_the_ids_that_were_answered(serve, tmp_path):
    answered = []

    def script(peer):
        request = peer.request()
        while request:
            identity = request[1].decode()
            answered.append(identity)
            status = 500 if len(answered) % 2 else 200
            if status == 500:
                answered[-1] = None
            peer.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
            request = peer.request()
    loss(serve(script).target, "-n10", "--body=28", f"--ledger={tmp_path}/ledger", expect={"2xx": 5, "5xx": 5})
    assert (tmp_path / "ledger").read_text().split() == [one for one in answered if one]


def test_outcomes_has_every_request(serve, tmp_path):
    """What became of each, in the order in which they ended, and on which connection."""
    def script(peer):
        for response in (OK, OK.replace(b"200", b"503"), b""):
            peer.request()
            peer.send(response)
    loss(serve(script).target, "-n6", f"--outcomes={tmp_path}/outcomes", expect={"2xx": 2, "5xx": 2, "eof": 2})
    lines = [line.split(" ") for line in (tmp_path / "outcomes").read_text().splitlines()]
    assert [line[1] for line in lines] == ["200", "503", "eof"] * 2
    assert len({line[0] for line in lines}) == 6
    assert all(int(took) < 60_000_000 and connection == "0" for _, _, took, connection in lines)


@pytest.mark.parametrize("body", [0, 200000])
def test_idempotency_key_is_the_id_in_quotes(serve, body):
    def script(peer):
        while request := peer.request():
            fields = dict(line.split(b": ", 1) for line in request[0].split(b"\r\n")[1:])
            key = b'"%s"' % fields[b"X-Request-ID"]
            good = fields[b"Idempotency-Key"] == key and len(request[1]) == body
            peer.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (200 if good else 400))
    loss(serve(script).target, "-n3", "--idempotency-key", f"--body={body}", expect={"2xx": 3})


def test_rate_and_duration(serve):
    report = loss(serve(always(OK)).target, "--rate=200", "-d1", connections=8)
    assert report["lost"] == 0
    assert 0.9 < report["duration_s"] < 5
    assert 150 <= report["requests"] <= 210


def test_latency_and_stall(serve):
    def script(peer):
        count = 0
        while peer.request():
            count += 1
            if count == 50:
                threading.Event().wait(0.25)
            peer.send(OK)
    report = loss(serve(script).target, "-n100", expect={"2xx": 100})
    latency = report["latency_us"]
    assert latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert 250_000 <= latency["max"] == report["stall_us"] <= report["gap_us"] + 1000
    assert latency["p90"] < 250_000


def test_idle_connections_that_stay(serve):
    with subprocess.Popen([LOSS, "--json", "--idle=100", serve(always(OK)).target],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert b"100 connections are idle" in client.stderr.readline()
        client.send_signal(signal.SIGUSR1)
        report = json.loads(client.stdout.read())
    assert client.returncode == 0
    assert report["idle"] == {"still_open": 100, "answered_reused": 100, "answered_reconnected": 0}
    assert report["requests"] == 200 and report["connects"] == 100


def test_idle_connections_that_are_closed(serve):
    close = threading.Event()

    def script(peer):
        peer.request()
        peer.send(OK)
        if peer.number <= 10:
            close.wait()
        else:
            always(OK)(peer)
    server = serve(script)
    with subprocess.Popen([LOSS, "--json", "--idle=30", server.target],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert b"30 connections are idle" in client.stderr.readline()
        close.set()
        while threading.active_count() > 2 + 20:
            pass
        client.send_signal(signal.SIGUSR1)
        report = json.loads(client.stdout.read())
    assert client.returncode == 0
    assert report["idle"]["answered_reused"] == 20
    assert report["idle"]["answered_reconnected"] == 10
    assert report["forced_reconnects_unannounced"] == 10


def test_idle_connections_that_ask_at_once(serve):
    """More than it otherwise has in progress at a time: none is answered before all have asked."""
    everybody = threading.Barrier(100)

    def script(peer):
        peer.request()
        peer.send(OK)
        peer.request()
        everybody.wait(20)
        peer.send(OK)
    with subprocess.Popen([LOSS, "--json", "--idle=100", "--at-once", serve(script).target],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert b"100 connections are idle" in client.stderr.readline()
        client.send_signal(signal.SIGUSR1)
        report = json.loads(client.stdout.read())
    assert client.returncode == 0
    assert report["idle"]["answered_reused"] == 100


def test_sigterm_finishes_what_is_in_progress(serve):
    go = threading.Event()
    begun = threading.Event()

    def script(peer):
        while peer.request():
            begun.set()
            go.wait()
            peer.send(OK)
    with subprocess.Popen([LOSS, "--json", "-c1", "-d60", serve(script).target], stdout=subprocess.PIPE) as client:
        begun.wait()
        client.send_signal(signal.SIGTERM)
        go.set()
        report = json.loads(client.stdout.read())
    assert client.returncode == 0
    assert report["lost"] == 0 and report["requests"] >= 1


@pytest.mark.parametrize("arguments", [
    [], ["nowhere"], ["127.0.0.1:1", "127.0.0.1:2"], ["-c0", "127.0.0.1:1"], ["--think=5-1", "127.0.0.1:1"],
    ["--path=x", "127.0.0.1:1"], ["--header=x", "127.0.0.1:1"], ["--idle=3", "-n5", "127.0.0.1:1"],
    ["--at-once", "127.0.0.1:1"], ["--nonsense", "127.0.0.1:1"],
])
def test_usage(arguments):
    done = subprocess.run([LOSS, *arguments], capture_output=True, timeout=10)
    assert done.returncode == 2
    assert b"loss" in done.stderr
    assert done.stdout == b""
