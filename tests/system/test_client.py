"""The upstream client against servers that refuse, break off, stall and lie.

Each test plays the server's side on a socket of its own and asserts on what the client reports: the class of the
outcome, whether the request was sent, whether the connection was a pooled one, and that no descriptor is left.
"""

import contextlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import pytest

import manager

BUILD = pathlib.Path(os.environ.get("HOLDFAST_BUILD", pathlib.Path(__file__).parents[2] / "build"))
DRIVER = BUILD / "tests" / "system" / "client-driver"
TIMEOUT = 20

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Peer:
    """The server's end of a connection."""

    def __init__(self, sock, number):
        self.sock = sock
        self.number = number  # connections are numbered from 0
        self.data = bytearray()

    def read_request(self):
        """The next whole request, or None at the end of the connection."""
        while (end := self.data.find(b"\r\n\r\n")) < 0:
            if not self.read_some():
                return None
        head = bytes(self.data[:end])
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        whole = end + 4 + length
        while len(self.data) < whole:
            if not self.read_some():
                return None
        body = bytes(self.data[end + 4:whole])
        del self.data[:whole]
        return head, body

    def read_some(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            return False
        self.data += data
        return bool(data)

    def read_to_end(self):
        while self.read_some():
            pass

    def send(self, *pieces):
        """Each piece is there to be received before the next is sent."""
        for piece in pieces:
            self.sock.sendall(piece)
            if len(pieces) > 1:
                time.sleep(0.002)

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Server:
    """Runs `play(peer)` in a thread for each connection; None: nobody accepts."""

    def __init__(self, family, path, play, backlog=16):
        self.errors = []
        self.threads = []
        self.play = play
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_UNIX:
            self.listener.bind(str(path))
            self.address = f"unix:{path}"
        else:
            host, written = ("::1", "[::1]") if family == socket.AF_INET6 else ("127.0.0.1", "127.0.0.1")
            self.listener.bind((host, 0))
            self.address = f"{written}:{self.listener.getsockname()[1]}"
        self.listener.listen(backlog)
        self.accepted = 0
        if play:
            self.acceptor = threading.Thread(target=self.accept, daemon=True)
            self.acceptor.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(TIMEOUT)
            thread = threading.Thread(target=self.run, args=(Peer(sock, self.accepted),), daemon=True)
            self.accepted += 1
            self.threads.append(thread)
            thread.start()

    def run(self, peer):
        try:
            self.play(peer)
        except (ConnectionError, OSError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
        finally:
            peer.sock.close()

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(TIMEOUT)
        assert not self.errors


class Driver:
    def __init__(self, address, **options):
        words = [f"{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen([*manager.UNDER, DRIVER, *words, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.descriptors = self.ask("state")["descriptors"]

    def ask(self, line):
        self.write(line)
        return self.read()

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self):
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return json.loads(line)

    def get(self, words=""):
        return self.ask(("get " + words).strip())

    def get_many(self, count, words=""):
        self.write(f"get count={count} {words}".strip())
        return [self.read() for _ in range(count)]

    def state(self):
        return self.ask("state")

    def turn(self, milliseconds=5000):
        """Until the number of idle connections changes."""
        return self.ask(f"turn {milliseconds}")

    def finish(self):
        """Everything must be given back, and a sanitizer have nothing to say."""
        state = self.ask("drain")
        assert (state["idle"], state["active"]) == (0, 0)
        assert state["descriptors"] == self.descriptors
        _, errors = self.process.communicate(timeout=TIMEOUT)
        assert (self.process.returncode, errors) == (0, "")


@pytest.fixture(params=["unix", "tcp", "tcp6"])
def start(request, tmp_path):
    """start(play, **options) gives a driver for a server that plays so."""
    family = {"unix": socket.AF_UNIX, "tcp": socket.AF_INET, "tcp6": socket.AF_INET6}[request.param]
    servers, drivers = [], []

    def start_both(play, backlog=16, **options):
        server = Server(family, tmp_path / f"socket{len(servers)}", play, backlog)
        servers.append(server)
        driver = Driver(server.address, **options)
        driver.server = server
        drivers.append(driver)
        return driver

    start_both.family = family
    yield start_both
    for driver in drivers:
        driver.finish()
    for server in servers:
        server.stop()


def answering(*pieces, then=Peer.close):
    """Reads a request, sends the pieces, and does `then`."""

    def play(peer):
        if peer.read_request() is None:
            return
        peer.send(*pieces)
        then(peer)

    return play


def serving(*responses):
    """Answers one request after the other on each connection; the last answer stands for all further ones."""

    def play(peer):
        left = list(responses)
        while peer.read_request() is not None:
            peer.send(left[0])
            if len(left) > 1:
                left.pop(0)

    return play


def check(outcome, error, **expected):
    assert outcome["error"] == error, outcome
    for name, value in expected.items():
        assert outcome[name] == value, (name, outcome)


# Connecting


def test_nobody_listens(tmp_path):
    driver = Driver(f"unix:{tmp_path}/nothing")
    check(driver.get(), "connect_failed", os_error="ENOENT", sent=False, reused=False, response_began=False)
    driver.finish()


def test_refused(start):
    driver = start(None)
    driver.server.listener.close()
    check(driver.get(), "connect_failed", os_error="ECONNREFUSED", sent=False, reused=False)
    for outcome in driver.get_many(20):
        check(outcome, "connect_failed", os_error="ECONNREFUSED", sent=False)


def test_unreachable_address_times_out():
    # TEST-NET-1 has no route here, or one that swallows everything; both are failures to connect
    driver = Driver("192.0.2.1:9", connect_ms=150)
    outcome = driver.get()
    assert outcome["error"] in ("connect_timeout", "connect_failed")
    assert not outcome["sent"]
    driver.finish()


def fill_backlog(listener):
    """Connects until nobody more can without being accepted."""
    waiting = []
    while True:
        sock = socket.socket(listener.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        waiting.append(sock)
        try:
            sock.connect(listener.getsockname())
        except BlockingIOError:
            return waiting


def test_full_backlog_times_out(tmp_path):
    server = Server(socket.AF_UNIX, tmp_path / "socket", None, backlog=1)
    waiting = fill_backlog(server.listener)
    driver = Driver(server.address, connect_ms=100)
    outcome = driver.get()
    check(outcome, "connect_timeout", sent=False, reused=False)
    assert 90 <= outcome["ms"] < 2000
    driver.get("cancel=start")
    driver.finish()
    for sock in waiting:
        sock.close()
    server.stop()


def test_full_backlog_is_waited_for(tmp_path):
    server = Server(socket.AF_UNIX, tmp_path / "socket", None, backlog=1)
    waiting = fill_backlog(server.listener)
    driver = Driver(server.address, connect_ms=5000)
    driver.write("get")
    server.play = serving(OK)
    for sock in waiting:
        sock.close()
    threading.Thread(target=server.accept, daemon=True).start()
    check(driver.read(), "ok", body="hello")
    driver.finish()
    server.stop()


# Whole responses, and the pool


def test_connection_is_reused(start):
    driver = start(serving(OK))
    check(driver.get(), "ok", status=200, body="hello", pieces=1, final=True, sent=True, reused=False,
          response_began=True, content_length=5, os_error=None)
    for _ in range(10):
        check(driver.get(), "ok", body="hello", reused=True)
    assert driver.state()["idle"] == 1
    assert driver.server.accepted == 1
    check(driver.get("fresh"), "ok", reused=False)
    assert driver.state()["idle"] == 2


def test_next_exchange_from_on_done_takes_the_same_connection(start):
    driver = start(serving(OK))
    outcomes = driver.get_many(50, "chain")
    assert [o["reused"] for o in outcomes] == [False] + [True] * 49
    assert driver.server.accepted == 1


def test_pool_is_bounded(start):
    driver = start(serving(OK), pool_size=3)
    for outcome in driver.get_many(10):
        check(outcome, "ok", reused=False)
    assert driver.state()["idle"] == 3
    assert driver.ask("drain")["idle"] == 0
    check(driver.get(), "ok", reused=False)
    assert driver.state()["idle"] == 1


def test_pool_size_zero(start):
    driver = start(serving(OK), pool_size=0)
    for _ in range(2):
        check(driver.get(), "ok", reused=False)
    assert driver.state()["idle"] == 0


def test_idle_connection_ages(start):
    driver = start(serving(OK), idle_ms=50)
    driver.get()
    assert driver.state()["idle"] == 1
    assert driver.turn()["idle"] == 0


def test_idle_connection_ages_as_the_target_says(start):
    driver = start(serving(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=1\r\n\r\n", 1)))
    driver.get()
    assert driver.state()["idle"] == 0  # a second less a second's margin
    driver = start(serving(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=2\r\n\r\n", 1)))
    driver.get()
    assert driver.state()["idle"] == 1
    assert driver.turn()["idle"] == 0


@pytest.mark.parametrize("response", [
    OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
    OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    OK + b"!",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
])
def test_connection_is_not_reused(start, response):
    driver = start(serving(response))
    for _ in range(2):
        check(driver.get(), "ok", reused=False)
    assert driver.state()["idle"] == 0
    assert driver.server.accepted == 2


def test_http_1_0_with_keep_alive_is_reused(start):
    driver = start(serving(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"))
    check(driver.get(), "ok", reused=False)
    check(driver.get(), "ok", reused=True)


def test_responses_without_body(start):
    driver = start(serving(b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                           b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                           b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
                           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    check(driver.get(), "ok", status=204, has_body=False, pieces=0, content_length=0)
    check(driver.get(), "ok", status=304, has_body=False, pieces=0, reused=True)
    check(driver.get(), "ok", status=200, has_body=False, pieces=0, reused=True)
    check(driver.get("head"), "ok", status=200, has_body=False, pieces=0, reused=True)
    check(driver.get("head"), "ok", status=200, has_body=False, pieces=0, reused=True)
    assert driver.state()["idle"] == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n7\r\n, world\r\n0\r\nA: b\r\n\r\n"


@pytest.mark.parametrize("split", [1, 2, 3, 7, 20, 50])
def test_chunked_in_odd_splits(start, split):
    pieces = [CHUNKED[i:i + split] for i in range(0, len(CHUNKED), split)]

    def play(peer):
        while peer.read_request() is not None:
            peer.send(*pieces)

    driver = start(play)
    check(driver.get(), "ok", body="hello, world", content_length=None)
    check(driver.get(), "ok", body="hello, world", reused=True)


def test_empty_chunked_body(start):
    driver = start(serving(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
    check(driver.get(), "ok", body="", has_body=True, pieces=1, final=True)
    check(driver.get(), "ok", reused=True)


def test_body_until_close(start):
    driver = start(answering(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"))
    check(driver.get(), "ok", body="hello", content_length=None, final=True)
    assert driver.state()["idle"] == 0


def test_large_bodies(start):
    size = 3_000_000
    length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"y" * size
    chunks = b"".join(b"%x\r\n%s\r\n" % (n, b"z" * n) for n in [size // 4 - 1000, 1000] * 4)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    driver = start(serving(length, chunked))
    check(driver.get(), "ok", body_size=size)
    check(driver.get(), "ok", body_size=size, reused=True)
    for outcome in driver.get_many(5, "body=200000"):
        check(outcome, "ok", body_size=size)


def test_back_pressure_bounds_what_is_read(start):
    taken = []

    def play(peer):
        peer.read_request()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.sock.settimeout(0.3)
        total = 0
        with contextlib.suppress(TimeoutError):
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            while total < 100_000_000:
                total += peer.sock.send(b"x" * 65536)
        taken.append(total)

    # the one piece handed out is held for longer than the server waits
    driver = start(play)
    check(driver.get("hold_ms=1000"), "ok", final=True)
    # two buffers of ours, and what the kernel keeps on both sides
    assert taken[0] < 131072 + (1 << 20 if start.family == socket.AF_UNIX else 8 << 20)


def test_slow_consumer_gets_everything(start):
    size = 700_000
    driver = start(serving(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"y" * size), between_ms=150)
    # longer in all than the time between bytes, which does not count while the client itself does not read
    outcome = driver.get("hold_ms=50")
    check(outcome, "ok", body_size=size)
    assert outcome["pieces"] > 5
    check(driver.get(), "ok", reused=True)


def test_connection_is_free_before_the_last_piece_is_given_back(start):
    driver = start(serving(OK))
    driver.write("get count=2 chain hold_ms=100")
    first, second = driver.read(), driver.read()
    check(first, "ok")
    check(second, "ok", reused=True)
    # the time is that of the exchange, not of the consumer
    assert first["ms"] < 80


# Interim responses and upgrades


def test_interim_responses(start):
    driver = start(serving(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                           b"HTTP/1.1 102 Processing\r\n\r\n" + OK))
    check(driver.get(), "ok", status=200, informational=[103, 102], body="hello")
    check(driver.get(), "ok", reused=True)


def test_interim_responses_without_end(start):
    def play(peer):
        peer.read_request()
        while True:
            peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n", b"")

    driver = start(play, first_byte_ms=200)
    check(driver.get(), "first_byte_timeout", response_began=True, sent=True)


def test_upgrade(start):
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"
    driver = start(answering(switch + b"first words", then=Peer.read_to_end))
    check(driver.get("upgrade"), "stolen", status=101, body="first words")
    check(driver.get("upgrade cancel=head"), "cancelled", status=101)
    check(driver.get(), "bad_response", status=0)


@pytest.mark.parametrize("words", [b"", b"first words"])
def test_upgrade_taken_later(start, words):
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"
    driver = start(answering(switch + words, then=Peer.read_to_end), first_byte_ms=300, between_ms=300)
    check(driver.get("upgrade hold_ms=600"), "stolen", status=101, body=words.decode())
    check(driver.get("upgrade hold_ms=600 cancel=held"), "cancelled", status=101)


def test_upgrade_declined(start):
    driver = start(serving(OK))
    check(driver.get("upgrade"), "ok", status=200, body="hello")


# Endings that are not whole


@pytest.mark.parametrize("then", [Peer.close, Peer.reset])
def test_closed_without_reading(start, then):
    driver = start(then)
    outcome = driver.get()
    # over TCP, a reset may come before it was seen that the connection was made
    assert outcome["error"] in ("closed_early", "send_failed", "connect_failed")
    assert not outcome["response_began"] and not outcome["reused"]


@pytest.mark.parametrize("then", [Peer.close, Peer.reset])
def test_closed_instead_of_a_response(start, then):
    driver = start(answering(then=then))
    check(driver.get(), "closed_early", sent=True, reused=False, response_began=False)


@pytest.mark.parametrize("size", [1, 5, 17, 30, 37])
def test_closed_within_the_head(start, size):
    driver = start(answering(OK[:size]))
    check(driver.get(), "closed_early", sent=True, response_began=True, status=0, os_error=None)


@pytest.mark.parametrize("response, body", [
    (OK[:-1], "hell"),
    (OK[:-5], ""),
    (CHUNKED[:-1], "hello, world"),
    (CHUNKED[:-10], "hello, world"),
    (CHUNKED.split(b"7\r\n")[0], "hello"),
    (CHUNKED.split(b"orld")[0], "hello, w"),
])
@pytest.mark.parametrize("hold", ["", "hold_ms=30"])
def test_closed_within_the_body(start, response, body, hold):
    driver = start(answering(response))
    # all that came of it is handed out
    check(driver.get(hold), "truncated", status=200, body=body, final=False, response_began=True, os_error=None)


def test_reset_within_the_body(start):
    reset = Peer.reset if start.family != socket.AF_UNIX else Peer.close
    driver = start(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x" * 10, then=reset))
    check(driver.get(), "truncated", os_error="ECONNRESET" if start.family != socket.AF_UNIX else None, final=False)
    if start.family != socket.AF_UNIX:
        # without a length, an orderly end is the end of the body; a reset is not
        driver = start(answering(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10, then=reset))
        check(driver.get(), "truncated", os_error="ECONNRESET", final=False)


@pytest.mark.parametrize("garbage", [
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"\x15\x03\x03\x00\x02\x02\x46",
    b"HTTP/1.1 200 OK\n\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70000,
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 129 + b"\r\n",
])
def test_not_http(start, garbage):
    driver = start(answering(garbage, then=Peer.read_to_end))
    outcome = driver.get()
    check(outcome, "bad_response", sent=True, response_began=True, status=0)
    assert outcome["detail"]


@pytest.mark.parametrize("chunks", [b"x\r\n", b"5\r\nhelloX", b"ffffffffffffffff\r\n", b"5;" + b"e" * 2000])
def test_malformed_chunks(start, chunks):
    driver = start(answering(CHUNKED.split(b"5;")[0] + chunks, then=Peer.read_to_end))
    check(driver.get(), "bad_response", status=200, final=False)
    check(driver.get("hold_ms=20"), "bad_response", status=200, final=False)


# Stalls


def test_stall_before_the_head(start):
    driver = start(answering(then=Peer.read_to_end), first_byte_ms=100)
    outcome = driver.get()
    check(outcome, "first_byte_timeout", sent=True, response_began=False)
    assert 95 <= outcome["ms"] < 2000
    outcome = driver.get("first_byte_ms=300")
    check(outcome, "first_byte_timeout")
    assert outcome["ms"] >= 295


def test_what_came_while_the_loop_was_held_up_is_no_stall(start):
    driver = start(serving(OK), first_byte_ms=50, connect_ms=50)
    check(driver.get("block_ms=200"), "ok", body="hello")
    check(driver.get("block_ms=200"), "ok", body="hello", reused=True)


def test_stall_within_the_head(start):
    driver = start(answering(OK[:20], then=Peer.read_to_end), first_byte_ms=100)
    check(driver.get(), "first_byte_timeout", sent=True, response_began=True)


def test_head_in_drops(start):
    def play(peer):
        peer.read_request()
        for byte in OK * 1000:
            peer.send(bytes([byte]))
            time.sleep(0.02)

    driver = start(play, first_byte_ms=200)
    check(driver.get(), "first_byte_timeout", response_began=True)


@pytest.mark.parametrize("response", [OK[:-1], OK[:-5], CHUNKED[:-3], b"HTTP/1.1 200 OK\r\n\r\nhello"])
def test_stall_within_the_body(start, response):
    driver = start(answering(response, then=Peer.read_to_end), between_ms=100)
    check(driver.get(), "between_bytes_timeout", status=200, final=False)
    check(driver.get("hold_ms=150"), "between_bytes_timeout", status=200, final=False)


def test_body_in_drops_is_no_stall(start):
    def play(peer):
        peer.read_request()
        peer.send(OK[:-5])
        for byte in OK[-5:]:
            time.sleep(0.1)
            peer.send(bytes([byte]))

    driver = start(play, between_ms=400, first_byte_ms=400)
    check(driver.get(), "ok", body="hello")


def test_stall_while_sending(start):
    driver = start(lambda peer: time.sleep(1), first_byte_ms=100)
    check(driver.get("body=20000000"), "first_byte_timeout", sent=True, response_began=False)


# Requests that are answered before they are sent


@pytest.mark.parametrize("then", [Peer.close, Peer.read_to_end])
def test_early_response(start, then):
    answered = threading.Event()

    def play(peer):
        peer.read_some()
        peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        # what was sent meanwhile must be read, or closing destroys the response on its way
        if then is Peer.close:
            peer.sock.shutdown(socket.SHUT_WR)
        else:
            answered.wait(20)  # until then the request cannot have been sent as a whole
        peer.read_to_end()

    driver = start(play)
    check(driver.get("body=50000000"), "ok", status=413, body="large", reused=False)
    assert driver.state()["idle"] == 0
    answered.set()


def test_early_response_of_a_target_that_reads_on(start):
    def play(peer):
        peer.read_some()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert len(peer.read_request()[1]) == 50_000_000
        peer.send(b"0\r\n\r\n")
        peer.read_to_end()

    driver = start(play)
    # more than the kernel takes: the response's head is there before all is sent
    check(driver.get("body=50000000"), "ok", status=200, body="hello")


def test_who_takes_the_request_has_not_stalled(start):
    """A target that has begun to answer takes the rest of a large body in its own time: that is progress, too."""
    def play(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # or the kernel takes most of it at once
        peer.read_some()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        for _ in range(10):
            left = 4_000_000
            while left > 0 and (data := peer.sock.recv(left)):
                left -= len(data)
            time.sleep(0.3)
        peer.send(b"0\r\n\r\n")
        peer.read_to_end()

    driver = start(play, between_ms=int(1500 * manager.PATIENCE))
    check(driver.get("body=50000000"), "ok", status=200, body="hello")


def test_response_before_closing_on_an_unread_request(start):
    def play(peer):
        peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        peer.close()

    driver = start(play)
    outcome = driver.get("body=20000000")
    if start.family == socket.AF_UNIX:
        check(outcome, "ok", status=413)
    else:  # over TCP a reset may overtake the response; then no response is made up
        assert outcome["error"] in ("ok", "send_failed", "closed_early"), outcome


def test_a_reset_over_the_request_is_no_end_of_the_response(start):
    """What only the end of the connection delimits is not whole, also when it is a write that meets the reset."""
    def play(peer):
        peer.read_some()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 400_000)
        time.sleep(0.1)  # by then, nothing of it is read any more: the caller holds a piece
        peer.read_some()
        peer.close()

    driver = start(play)
    check(driver.get("body=50000000 hold_ms=300"), "truncated", status=200, final=False)


@pytest.mark.parametrize("then", [Peer.close, Peer.reset])
def test_closed_while_sending(start, then):
    def play(peer):
        peer.read_some()
        then(peer)

    driver = start(play)
    outcome = driver.get("body=20000000")
    check(outcome, "send_failed", sent=True, response_began=False)
    # an orderly close may be seen as such before a write fails of it
    assert outcome["os_error"] in ("EPIPE", "ECONNRESET") or (then is Peer.close and outcome["os_error"] is None)


# Pooled connections that went stale


@pytest.mark.parametrize("then", [Peer.close, Peer.reset])
def test_idle_connection_closed_by_the_target(start, then):
    driver = start(answering(OK, then=then))
    check(driver.get(), "ok")
    # the loop sees it, without any request
    state = driver.state()
    if state["idle"] == 1:
        state = driver.turn()
    assert state["idle"] == 0
    check(driver.get(), "ok", reused=False)


def test_idle_connection_closed_unseen_by_the_loop(start):
    closed = threading.Event()

    def play(peer):
        peer.read_request()
        peer.send(OK)
        driver.answered.wait(TIMEOUT)
        peer.close()
        closed.set()

    driver = start(play)
    driver.answered = threading.Event()
    check(driver.get(), "ok")
    driver.answered.set()
    assert closed.wait(TIMEOUT)
    # the driver's loop does not turn between the close and the next request
    check(driver.get(), "ok", reused=False)
    assert driver.server.accepted == 2


def test_idle_connection_with_stray_bytes(start):
    def play(peer):
        peer.read_request()
        peer.send(OK)
        if peer.number == 0:
            driver.answered.wait(TIMEOUT)
            peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            driver.strayed.set()
        peer.read_to_end()

    driver = start(play)
    driver.answered, driver.strayed = threading.Event(), threading.Event()
    check(driver.get(), "ok")
    driver.answered.set()
    driver.strayed.wait(TIMEOUT)
    # never taken for the answer to the next request
    check(driver.get(), "ok", status=200, reused=False)
    assert driver.state()["idle"] == 1


@pytest.mark.parametrize("then", [Peer.close, Peer.reset])
def test_reused_connection_closed_on_the_request(start, then):
    def play(peer):
        peer.read_request()
        peer.send(OK)
        peer.read_request()
        then(peer)

    driver = start(play)
    check(driver.get(), "ok")
    check(driver.get(), "closed_early", sent=True, reused=True, response_began=False)
    check(driver.get("fresh"), "ok", reused=False)


# Cancelling


@pytest.mark.parametrize("where", ["start", "informational", "head", "body", "held"])
def test_cancel(start, where):
    gone = threading.Event()

    def play(peer):
        if peer.read_request() is not None:
            with contextlib.suppress(ConnectionError):
                if where != "start":
                    peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x" * 1000)
            peer.read_to_end()
        gone.set()

    driver = start(play)
    for _ in range(3):
        gone.clear()
        check(driver.get(f"cancel={where} hold_ms=5"), "cancelled")
        assert driver.state()["active"] == 0
    # the target hears of it
    driver.turn(1)
    assert gone.wait(TIMEOUT)


def test_cancel_of_a_whole_response(start):
    driver = start(serving(OK))
    for where in ("body", "held"):
        check(driver.get(f"cancel={where} hold_ms=5"), "cancelled", body="hello", final=True)
        # its connection was free already
        assert driver.state()["idle"] == 1


def test_cancel_while_sending(start):
    driver = start(lambda peer: time.sleep(0.2))
    check(driver.get("cancel=start body=20000000"), "cancelled")


# Many at once


def test_many_at_once(start):
    def play(peer):
        while True:
            request = peer.read_request()
            if request is None:
                return
            if peer.number % 3 == 2:
                peer.send(CHUNKED[:30])
                peer.reset()
                return
            peer.send(OK if peer.number % 3 else CHUNKED)

    driver = start(play, backlog=128, pool_size=20)
    for words in ("", "hold_ms=3", "body=100000", "chain"):
        outcomes = driver.get_many(60, words)
        assert {o["error"] for o in outcomes} <= {"ok", "closed_early"}
        assert sum(o["error"] == "ok" for o in outcomes) >= 20
    assert driver.state()["idle"] <= 20
