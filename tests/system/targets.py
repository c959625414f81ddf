"""Targets of an upstream that answer by themselves, and a gateway in front of them.

h1.Upstream is an app whose every step is the test's. Where there are several, or many requests, App is easier: it takes
what comes, keeps count of it, and answers at once, or when the test lets it.
"""

import contextlib
import select
import socket
import threading

import exposition
import h1
import manager


class App:
    """An app on a Unix socket at `path`, or on a port (0: any) of a loopback address. `answer` is called with the connection
    (an h1.UpstreamConnection) and the request, on a thread of the connection's; without it, 200 with the app's name.

    With closed=True requests come in, but wait for open()."""

    def __init__(self, path=None, port=0, name="app", answer=None, closed=False, host="127.0.0.1"):
        self.path, self.host, self.name, self.answer = path, host, name, answer
        self.requests = manager.Log()  # in the order in which they came
        self.connections = []
        self.lock = threading.Lock()
        self.active = self.most_active = 0  # requests
        self.most_open = 0  # connections
        self.places = threading.Semaphore(0)
        self.is_open = not closed
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_STREAM)
        if path:
            self.sock.bind(str(path))
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind((host, port))
        self.port = None if path else self.sock.getsockname()[1]
        self.sock.listen(512)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def target(self):
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    @property
    def count(self):
        return len(self.requests.snapshot())

    @property
    def seen(self):
        return [request.target for request in self.requests.snapshot()]

    def wait(self, n, timeout=10):
        """Until so many requests have come in all."""
        h1.eventually(lambda: self.count >= n, timeout)

    def open(self):
        """Answers everything that waits, and whatever comes."""
        self.is_open = True
        for _ in range(1000):
            self.places.release()

    def shut(self):
        """From now on what comes waits again."""
        self.places = threading.Semaphore(0)
        self.is_open = False

    def let(self, n=1):
        """Answers so many."""
        for _ in range(n):
            self.places.release()

    def close(self):
        """Nobody listens any more, and every connection is closed."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        if self.path:
            self.path.unlink(missing_ok=True)
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
        self.places.release(1000)
        self.thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = h1.UpstreamConnection(self.sock.accept()[0], 60)
                with self.lock:
                    self.connections.append(connection)
                    self.most_open = max(self.most_open, sum(map(is_open, self.connections)))
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        try:
            with contextlib.suppress(OSError, h1.Closed, h1.ProtocolError):
                while True:
                    request = connection.read_request()
                    with self.lock:
                        self.active += 1
                        self.most_active = max(self.most_active, self.active)
                    self.requests.add(request)
                    if not self.is_open:
                        self.places.acquire()
                    with self.lock:
                        self.active -= 1  # before the answer: the next may come as soon as that is out
                    if self.answer:
                        self.answer(connection, request)
                    else:
                        connection.respond(200, self.name.encode())
        finally:
            with self.lock:
                self.connections.remove(connection)
            connection.close()


def is_open(connection):
    """Whether neither end has closed it, as the kernel knows."""
    if connection.sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLRDHUP)
    return not poll.poll(0)


def expect_either(one, two):
    """The next connection to one of two h1.Upstreams and its first request: (connection, request, the other app)."""
    ready, _, _ = select.select([one.sock, two.sock], [], [], one.timeout)
    assert ready, "neither got a connection"
    app, other = (one, two) if one.sock in ready else (two, one)
    return *app.expect(), other


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def configure(service, targets, upstream="", route="", gateway="Threads=1", more=""):
    """[Upstream app] with these targets, and everything goes there."""
    lines = "".join(f"Target={target}\n" for target in targets)
    service.configure(
        f"[Upstream app]\n{lines}{upstream}\n[Route /*rest]\nUpstream=app\nUpstreamHeaders=yes\n{route}\n{more}", gateway=gateway
    )


def serve(service, targets, upstream="", route="", gateway="Threads=1", more=""):
    """Starts it, on "http" (0) and "admin" (1)."""
    service.listen("http")
    service.listen("admin")
    configure(service, targets, upstream, route, gateway, more)
    service.allow("warning: upstream")
    return service.start_ready()


def metric(service, name, **labels):
    return exposition.Exposition(service.admin("GET", "/metrics").text).sum(f"holdfast_{name}", **labels)


def counted(service):
    """Connections that have a place of MaxConnections=."""
    return exposition.Exposition(service.admin("GET", "/metrics").text).value("holdfast_connections_counted")


def wait_held(service, n, timeout=10):
    """Until so many requests wait for a target."""
    h1.eventually(lambda: metric(service, "upstream_held", upstream="app") == n, timeout)


def send(service, path, method="GET", headers=(), body=None):
    """A request on a connection of its own, which is returned."""
    client = service.connect()
    client.request(method, path, headers, body)
    return client


def records(service, what):
    """How many records say so."""
    return sum(what in line for line in service.lines())


def begin_without_length(client, upstream, host="test"):
    """To an HTTP/1.0 client, a response that only the connection's end delimits, of which "hello" has come. Returns the
    app's connection."""
    client.send(f"GET /app/x HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    app = upstream.accept()
    app.read_request()
    app.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    client.read_head()
    assert client.read_exactly(5) == b"hello"
    return app
