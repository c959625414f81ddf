"""What clients do with TLS that only costs time."""

import ctypes
import ctypes.util
import socket
import ssl
import struct

import pytest

import h1
from process import cpu_seconds
from tls_peer import client_context, faults, handshake, start


def still_serves(service):
    with h1.Connection(service.address(), tls=client_context()) as client:
        return client.get("/hello").status == 200


def record(kind, data, version=b"\3\3"):
    return bytes([kind]) + version + struct.pack(">H", len(data)) + data


def opening(size=None):
    """A hello of a real client, or one of this size."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()[5:]
    if size:
        body, extensions = hello[4:], None
        at = 34 + 1 + body[34]
        at += 2 + struct.unpack(">H", body[at:at + 2])[0]
        at += 1 + body[at]
        extensions = body[at + 2:]
        extensions += struct.pack(">HH", 0xFDE8, size - len(hello) - 4) + bytes(size - len(hello) - 4)
        body = body[:at] + struct.pack(">H", len(extensions)) + extensions
        hello = b"\1" + struct.pack(">I", len(body))[1:] + body
    return hello


FLOODS = {
    "garbage": b"\x00\xff\x13" * 100_000,
    "plaintext": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 5000,
    "empty records": record(22, b"") * 50_000,
    "warnings": record(21, b"\1\x5a") * 50_000,
    "change cipher spec": record(20, b"\1") * 50_000,
    "a hello without end": record(22, b"\1\xff\xff\xff" + bytes(16000)) + record(22, bytes(16384)) * 100,
    "a record that is too long": b"\x16\3\3\xff\xff" + bytes(65535),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_before_the_handshake(service, tmp_path, name):
    """Each ends at once, with no time to speak of spent on it."""
    start(service, tmp_path)
    before = cpu_seconds(service.pid)
    for _ in range(5):
        with socket.create_connection(service.address(), 10) as sock:
            try:
                sock.sendall(FLOODS[name])
                while sock.recv(65536):
                    pass
            except (ConnectionError, BrokenPipeError):
                pass
    assert cpu_seconds(service.pid) - before < 0.5
    assert faults(service, "handshake-failed") == 5
    assert still_serves(service)


@pytest.mark.parametrize("size, piece", [(None, 1), (16000, 1000), (16000, 100)])
def test_hello_in_pieces(service, tmp_path, size, piece):
    """Records of one byte, and a hello that is as large as they come, are odd and no fault."""
    start(service, tmp_path)
    hello = opening(size)
    with socket.create_connection(service.address(), 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(hello), piece):
            sock.sendall(record(22, hello[at:at + piece]))
        assert sock.recv(5)[:3] == b"\x16\3\3"
    assert still_serves(service)


def test_many_names(service, tmp_path):
    start(service, tmp_path)
    before = cpu_seconds(service.pid)
    for i in range(100):
        handshake(service, client_context(), f"host-{i}." + "a" * 60 + ".example")
    assert cpu_seconds(service.pid) - before < 3  # as handshakes take it, and no more


class Libssl:
    """What Python's ssl cannot: OpenSSL itself, on a blocking socket."""

    def __init__(self, address):
        self.lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
        for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(self.lib, function).restype = ctypes.c_void_p
        self.sock = socket.create_connection(address, 10)
        self.sock.setblocking(True)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 10, 0))
        self.context = ctypes.c_void_p(self.lib.SSL_CTX_new(ctypes.c_void_p(self.lib.TLS_client_method())))
        self.ssl = ctypes.c_void_p(self.lib.SSL_new(self.context))
        assert self.lib.SSL_set_fd(self.ssl, self.sock.fileno()) == 1 and self.lib.SSL_connect(self.ssl) == 1

    def update_keys(self, both):
        """Wants new keys for its own direction, or of the server, too."""
        return self.lib.SSL_key_update(self.ssl, int(both)) == 1 and self.lib.SSL_do_handshake(self.ssl) == 1

    def request(self):
        data = h1.format_request("GET", "/hello")
        if self.lib.SSL_write(self.ssl, data, len(data)) != len(data):
            return b""
        buffer = ctypes.create_string_buffer(65536)
        size = self.lib.SSL_read(self.ssl, buffer, 65536)
        return buffer.raw[:max(0, size)]

    def close(self):
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.context)
        self.sock.close()


@pytest.mark.parametrize("both", [False, True], ids=["own", "both"])
def test_new_keys_now_and_then(service, tmp_path, both):
    """A client may renew keys (RFC 8446 4.6.3), and loses no request for it."""
    start(service, tmp_path)
    client = Libssl(service.address())
    for _ in range(20):
        assert client.update_keys(both)
        assert client.request().startswith(b"HTTP/1.1 200")
    client.close()


@pytest.mark.parametrize("both", [False, True], ids=["own", "both"])
def test_new_keys_all_the_time(service, tmp_path, both):
    start(service, tmp_path)
    client = Libssl(service.address())
    before = cpu_seconds(service.pid)
    for _ in range(2000):
        if not client.update_keys(both):
            break
    assert not client.request().startswith(b"HTTP/1.1 200")
    client.close()
    if not both:  # otherwise libh2o ends it at the second, since there is an answer to be written while it reads
        service.wait_for_line("it wants new TLS keys all the time")
        assert faults(service, "key-updates") == 1
    assert cpu_seconds(service.pid) - before < 0.5
    assert still_serves(service)
