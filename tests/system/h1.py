"""HTTP/1.1 on a socket, for tests: what is sent is what the test says, byte for byte, and what is received is read
strictly. Nothing is retried, nothing is repaired.

Connection is a client's end. Upstream is an app that the test plays itself: it accepts when the test says so, reads one
request, and answers with the bytes that the test chooses. So a test reads from top to bottom, as it happens.
"""

import dataclasses
import json as jsonlib
import os
import re
import socket
import ssl
import time

# Programs under valgrind take their time: every timeout is that much longer.
PATIENCE = float(os.environ.get("HOLDFAST_PATIENCE", "1"))

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\x20-\x7e]*)")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.1")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.S)
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(;[^\r\n]*)?")


class ProtocolError(Exception):
    """What came is not HTTP/1.1 as RFC 9112 has it."""


class Closed(Exception):
    """The peer closed in an orderly way where more had to come; `received` is what had come of it."""

    def __init__(self, received):
        super().__init__(f"closed after {len(received)} bytes: {bytes(received[:200])!r}")
        self.received = bytes(received)


class Fields(list):
    """Header fields in order, as (name, value) of str."""

    def get(self, name, default=None):
        """The value of a field that may be there once; a repeated one is the test's failure."""
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError(f"{name} came {len(values)} times")
        return values[0] if values else default

    def all(self, name):
        return [value for n, value in self if n.lower() == name.lower()]

    def __contains__(self, name):
        return bool(self.all(name))


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    headers: Fields
    body: bytes = b""
    informational: list = dataclasses.field(default_factory=list)  # the 1xx responses before it
    trailers: Fields = dataclasses.field(default_factory=Fields)

    @property
    def text(self):
        return self.body.decode()


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: Fields
    body: bytes = b""
    head: bytes = b""  # as it came


def format_request(method, target, headers=(), body=None, host="test"):
    """A well-formed request. Content-Length is added when there is a body and no field that says otherwise."""
    headers = list(headers)
    names = {name.lower() for name, _ in headers}
    if "host" not in names and host is not None:
        headers.insert(0, ("Host", host))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        headers.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def format_response(status, body=b"", headers=(), reason="OK"):
    """A well-formed response with a Content-Length."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    if not {name.lower() for name, _ in headers} & {"content-length", "transfer-encoding"} and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Peer:
    """One end of a connection."""

    def __init__(self, sock, timeout):
        self.sock = sock
        self.buffer = bytearray()
        self.sock.settimeout(timeout and timeout * PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def shutdown_write(self):
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.sock.sendall(data)

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def read_exactly(self, size):
        while len(self.buffer) < size:
            self._fill()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def read_line(self, limit=65536):
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > limit:
                raise ProtocolError("a line without end")
            self._fill()
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        if b"\n" in line or b"\r" in line or b"\0" in line:
            raise ProtocolError(f"a bare CR, LF or NUL in {line!r}")
        return line

    def read_fields(self):
        fields = Fields()
        while line := self.read_line():
            match = FIELD.fullmatch(line)
            if not match:
                raise ProtocolError(f"not a field: {line!r}")
            fields.append((match[1].decode(), match[2].decode("latin-1")))
        return fields

    def _framing(self, headers):
        """(length or None, chunked) as the fields say, which must not contradict each other."""
        lengths, encodings = headers.all("content-length"), headers.all("transfer-encoding")
        if lengths and encodings:
            raise ProtocolError("both Content-Length and Transfer-Encoding")
        if len(lengths) > 1 or len(encodings) > 1:
            raise ProtocolError("framing is said twice")
        if lengths and not re.fullmatch("[0-9]+", lengths[0]):
            raise ProtocolError(f"Content-Length: {lengths[0]}")
        if encodings and encodings[0].lower() != "chunked":
            raise ProtocolError(f"Transfer-Encoding: {encodings[0]}")
        return (int(lengths[0]) if lengths else None), bool(encodings)

    def read_chunk(self):
        """The next chunk; b"" is the last one, after which trailers follow."""
        line = self.read_line()
        match = CHUNK.fullmatch(line)
        if not match:
            raise ProtocolError(f"not a chunk: {line!r}")
        size = int(match[1], 16)
        data = self.read_exactly(size)
        if size > 0 and self.read_exactly(2) != b"\r\n":
            raise ProtocolError("no CRLF after a chunk")
        return data

    def read_chunked(self):
        body = bytearray()
        while chunk := self.read_chunk():
            body += chunk
        return bytes(body), self.read_fields()

    def read_to_end(self):
        try:
            while True:
                self._fill()
        except Closed:
            data = bytes(self.buffer)
            self.buffer.clear()
            return data

    def assert_closed(self):
        """The peer closes now, in an orderly way, and sends nothing before."""
        rest = self.read_to_end()
        assert rest == b"", f"unexpected: {rest[:200]!r}"

    def is_quiet(self, seconds):
        """Nothing comes within the time, neither a byte nor an end."""
        if self.buffer:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
            self.buffer += data
            return False
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        finally:
            self.sock.settimeout(before)


class Connection(Peer):
    """A client's connection. `address` is what getsockname() of the listener says; `tls` an ssl.SSLContext; `source` the
    IPv4 address that it comes from; `before` is sent before all else, TLS too."""

    def __init__(self, address, timeout=10, tls=None, server_name="localhost", source=None, before=b""):
        family = socket.AF_UNIX if isinstance(address, (str, bytes)) else None
        if family is None:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout * PATIENCE)
        if source:
            sock.bind((source, 0))
        # A Unix socket whose queue is full says so at once to a socket with a timeout, instead of waiting.
        deadline = time.monotonic() + timeout * PATIENCE
        while True:
            try:
                sock.connect(address)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
        if before:
            sock.sendall(before)
        if tls:
            sock = tls.wrap_socket(sock, server_hostname=server_name)
        super().__init__(sock, timeout)

    def request(self, method="GET", target="/", headers=(), body=None, host="test"):
        self.send(format_request(method, target, headers, body, host))

    def get(self, target="/", headers=()):
        self.request("GET", target, headers)
        return self.read_response()

    def read_head(self):
        """The next response's head, 1xx or not, as a Response without a body."""
        line = self.read_line()
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise ProtocolError(f"not a status line: {line!r}")
        return Response(int(match[1]), match[2].decode(), self.read_fields())

    def read_response(self, is_head=False):
        """One final response with its body, and the 1xx responses before it."""
        informational = []
        while (response := self.read_head()).status < 200 and response.status != 101:
            informational.append(response)
        response.informational = informational
        length, chunked = self._framing(response.headers)
        if is_head or response.status in (101, 204, 304):
            if response.status == 204 and (length is not None or chunked):
                raise ProtocolError("a 204 with a body's framing")
            return response
        if chunked:
            response.body, response.trailers = self.read_chunked()
        elif length is not None:
            response.body = self.read_exactly(length)
        else:
            response.body = self.read_to_end()
        return response


class UpstreamConnection(Peer):
    """What the gateway opened to the app."""

    def read_request_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head = bytes(self.buffer[: self.buffer.index(b"\r\n\r\n") + 4])
        line = self.read_line()
        match = REQUEST_LINE.fullmatch(line)
        if not match:
            raise ProtocolError(f"not a request line: {line!r}")
        return Request(match[1].decode(), match[2].decode("latin-1"), self.read_fields(), head=head)

    def read_request(self):
        """One request with its body."""
        request = self.read_request_head()
        length, chunked = self._framing(request.headers)
        if chunked:
            request.body, _ = self.read_chunked()
        elif length is not None:
            request.body = self.read_exactly(length)
        return request

    def respond(self, status=200, body=b"", headers=(), reason="OK"):
        self.send(format_response(status, body, headers, reason))


class Upstream:
    """An app's listening socket: on a Unix socket at `path`, or on a port of 127.0.0.1. `target` is for Target=."""

    def __init__(self, path=None, timeout=10):
        self.path, self.timeout = path, timeout
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_STREAM)
        if path:
            self.sock.bind(str(path))
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(128)
        self.sock.settimeout(timeout)
        self.connections = []

    @property
    def target(self):
        return f"unix:{self.path}" if self.path else "127.0.0.1:%d" % self.sock.getsockname()[1]

    def accept(self):
        """The next connection."""
        connection = UpstreamConnection(self.sock.accept()[0], self.timeout)
        self.connections.append(connection)
        return connection

    def expect(self):
        """The next connection and the first request on it."""
        connection = self.accept()
        return connection, connection.read_request()

    def is_quiet(self, seconds):
        """Nobody connects within the time."""
        self.sock.settimeout(seconds)
        try:
            self.connections.append(UpstreamConnection(self.sock.accept()[0], self.timeout))
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(self.timeout)

    def close(self):
        """Ends the app: the socket and every connection."""
        self.sock.close()
        for connection in self.connections:
            connection.close()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)


def json(response):
    """The JSON of a response, which must be one that succeeded."""
    assert response.status == 200, f"{response.status} {response.text}"
    return jsonlib.loads(response.body)


def eventually(condition, timeout=10, every=0.01):
    """Waits for a condition that has no event of its own. Fails when it does not come true."""
    deadline = time.monotonic() + timeout * PATIENCE
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout} s: {condition}")
        time.sleep(every)
    return result
