"""How TLS is spoken, as a client sees it that tries what it should not get: versions, suites, groups, renegotiation,
compression, ALPN, names, stapled responses; and what clients do that only costs time."""

import ctypes
import ctypes.util
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess

import pytest

import exposition
import h1
import manager

ROUTE = '[Route /hello]\nRespond=200 "hello"\n'
INTERMEDIATE = {"ECDHE-{}-AES128-GCM-SHA256", "ECDHE-{}-AES256-GCM-SHA384", "ECDHE-{}-CHACHA20-POLY1305"}
SUITES_1_3 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(params=["ec", "rsa"])
def kind(request):
    return request.param


def start(service, tmp_path, kind="ec", extra="", **options):
    certificate, key = manager.make_certificate(tmp_path, kind=kind, **options)
    service.listen("https", "tcp4")
    service.listen("admin")
    service.write_config(f"[Gateway]\nThreads=1\n[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n{extra}{ROUTE}")
    service.start_ready()
    return certificate


def s_client(service, *arguments, data=b""):
    """What openssl says of a handshake; its status is 0 when there was one."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{service.address()[1]}", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=20)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def shaken(service, *arguments):
    """The suite that was chosen, or None."""
    status, text = s_client(service, *arguments)
    found = re.search(r"^New, TLSv1\.[23], Cipher is (\S+)$", text, re.M) or re.search(r"Cipher is ([A-Z]\S+)", text)
    return found[1] if status == 0 and found and found[1] != "(NONE)" else None


def faults(service, fault):
    m = exposition.Exposition(service.admin("GET", "/metrics").text)
    return m.value("holdfast_client_faults_total", listener="https", fault=fault)


def all_suites():
    listed = subprocess.run(["openssl", "ciphers", "-s", "-v", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if line.split()[1] != "TLSv1.3"]


def client_context(**options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    for name, value in options.items():
        setattr(context, name, value)
    return context


def handshake(service, context, name="localhost"):
    sock = context.wrap_socket(socket.create_connection(service.address(), 10), server_hostname=name)
    with sock:
        return sock.version(), sock.cipher()[0], sock.selected_alpn_protocol()


def test_every_suite(service, tmp_path, kind):
    """Each that the library has, alone: with the profile's a handshake succeeds, with any other (NULL, anonymous, CBC, RSA
    key exchange, DHE, PSK, CCM, Camellia, ARIA …) it does not."""
    start(service, tmp_path, kind)
    expected = {suite.format({"ec": "ECDSA", "rsa": "RSA"}[kind]) for suite in INTERMEDIATE}
    accepted, tried = set(), all_suites()
    for suite in tried:
        context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(f"{suite}:@SECLEVEL=0")
        try:
            accepted.add(handshake(service, context)[1])
        except (ssl.SSLError, ConnectionError):
            pass
    assert len(tried) > 60 and accepted == expected
    assert faults(service, "handshake-failed") >= len(tried) - len(expected) - 20  # some need more of the client


def test_suites_of_1_3(service, tmp_path):
    start(service, tmp_path)
    for suite in SUITES_1_3:
        assert shaken(service, "-tls1_3", "-ciphersuites", suite) == suite
    assert shaken(service, "-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256") is None


def test_the_client_has_its_choice(service, tmp_path):
    start(service, tmp_path)
    for suite in sorted(SUITES_1_3):
        assert shaken(service, "-tls1_3", "-ciphersuites", ":".join([suite, *sorted(SUITES_1_3 - {suite})])) == suite


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"])
def test_versions(service, tmp_path, version):
    start(service, tmp_path)
    status, text = s_client(service, version, "-cipher", "ALL:@SECLEVEL=0")
    assert (status == 0) is (version in ("-tls1_2", "-tls1_3"))
    assert status == 0 or "alert protocol version" in text


def client_hello(version, record=b"\3\1"):
    """One of SSL 3.0's days, which openssl makes no more: one suite, no extensions."""
    body = version + bytes(32) + b"\0" + b"\0\2\0\x2f" + b"\1\0"
    message = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16" + record + struct.pack(">H", len(message)) + message


def answer_to(service, data, timeout=5):
    """What comes back until the end."""
    with socket.create_connection(service.address(), timeout) as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
        return received


def test_ssl3_and_sslv2_are_refused(service, tmp_path):
    start(service, tmp_path)
    assert answer_to(service, client_hello(b"\3\0", b"\3\0"))[:6] == b"\x15\3\0\0\2\2"  # a fatal alert
    sslv2 = b"\x80\x2e\1\0\2\0\x15\0\0\0\x10\1\0\x80\2\0\x80\3\0\x80\4\0\x80\5\0\x80\6\0\x40\7\0\xc0" + bytes(16)
    assert b"\x16" not in answer_to(service, sslv2)[:1]


@pytest.mark.parametrize("group, accepted", [("X25519", True), ("P-256", True), ("P-384", True), ("P-521", False), ("X448", False),
                                             ("ffdhe2048", False), ("brainpoolP256r1", False)])
def test_groups(service, tmp_path, group, accepted):
    start(service, tmp_path)
    assert (shaken(service, "-tls1_3", "-groups", group) is not None) is accepted


def test_resumption_goes_on_with_fresh_keys(service, tmp_path):
    """No PSK without a key exchange (RFC 8446 4.2.9), and no early data."""
    start(service, tmp_path)
    _, text = s_client(service, "-tls1_3", "-ign_eof", data=b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert "Post-Handshake New Session Ticket arrived" in text
    assert set(re.findall(r"Max Early Data: (\d+)", text)) == {"0"}
    assert "TLS session ticket lifetime hint: 43200" in text


def test_no_renegotiation_and_no_compression(service, tmp_path):
    start(service, tmp_path)
    status, text = s_client(service, "-tls1_2", data=b"R\n")
    assert "Secure Renegotiation IS supported" in text and "Compression: NONE" in text
    assert "RENEGOTIATING" in text and status != 0
    assert h1.Connection(service.address(), tls=client_context()).get("/hello").status == 200


@pytest.mark.parametrize("offered, http2, chosen", [
    (["h2", "http/1.1"], "yes", "h2"), (["http/1.1", "h2"], "yes", "h2"), (["h2", "http/1.1"], "no", "http/1.1"),
    (["http/1.0"], "yes", "http/1.0"), (["ftp", "http/1.1"], "yes", "http/1.1"), ([], "yes", None),
    (["ftp"], "yes", False), (["h2"], "no", False), (["h2c"], "yes", False), (["acme-tls/1"], "yes", False),
])
def test_protocol_on_top(service, tmp_path, offered, http2, chosen):
    """With nothing in common the handshake ends (RFC 7301 3.2); a client that says nothing gets HTTP/1.1."""
    start(service, tmp_path, extra=f"HTTP2={http2}\n")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(maximum_version=version, minimum_version=version)
        if offered:
            context.set_alpn_protocols(offered)
        if chosen is False:
            with pytest.raises(ssl.SSLError, match="no application protocol"):
                handshake(service, context)
        else:
            assert handshake(service, context)[2] == chosen


@pytest.mark.parametrize("required", ["yes", "no"])
def test_names(service, tmp_path, required):
    start(service, tmp_path, extra=f"TLSRequireSNI={required}\n")
    assert handshake(service, client_context())
    for name in (None, "other.example", "localhost.example"):
        if required == "yes":
            with pytest.raises(ssl.SSLError, match="unrecognized name"):
                handshake(service, client_context(), name)
        else:
            assert handshake(service, client_context(), name)


# --- stapled responses --------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path):
    return manager.make_certificate(tmp_path, "authority")


def make_response(tmp_path, authority, certificate, days=7, revoked=False):
    """An OCSP response for a certificate, as a path."""
    serial = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-serial"], capture_output=True, text=True, check=True)
    state = "R\t301231000000Z\t250101000000Z" if revoked else "V\t301231000000Z\t"
    (tmp_path / "ocsp.index").write_text(f"{state}\t{serial.stdout.strip().partition('=')[2]}\tunknown\t/CN=localhost\n")
    response, request = tmp_path / "response.der", tmp_path / "request.der"
    base = ["openssl", "ocsp", "-issuer", authority[0], "-cert", certificate]
    subprocess.run([*base, "-no_nonce", "-reqout", request], check=True, capture_output=True)
    # One that is too old is one whose time was over when it was signed.
    when = ["-ndays", str(days)] if days else ["-nmin", "0"]
    subprocess.run(["openssl", "ocsp", "-index", tmp_path / "ocsp.index", "-CA", authority[0], "-rsigner", authority[0], "-rkey",
                    authority[1], "-reqin", request, "-respout", response, *when], check=True, capture_output=True)
    return response


def stapled(service):
    return "OCSP Response Status: successful" in s_client(service, "-status", "-servername", "localhost")[1]


def test_response_is_stapled(service, tmp_path, authority):
    """With a chain and without, and only to clients that ask."""
    certificate = start(service, tmp_path, issuer=authority)
    assert not stapled(service)
    make_response(tmp_path, authority, certificate)
    service.write_config(service.config_path.read_text().replace(ROUTE, f"TLSOCSPResponse={tmp_path}/response.der\n{ROUTE}"))
    service.reload()
    assert stapled(service)
    with open(certificate, "a") as file:
        file.write(open(authority[0]).read())
    service.reload()
    assert stapled(service)
    assert "OCSP response" not in s_client(service)[1]


def test_response_says_revoked(service, tmp_path, authority):
    certificate, key = manager.make_certificate(tmp_path, issuer=authority)
    response = make_response(tmp_path, authority, certificate, revoked=True)
    service.listen("https", "tcp4")
    service.write_config(f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\nTLSOCSPResponse={response}\n{ROUTE}")
    service.start_ready()
    service.wait_for_line("the certificate was revoked: nothing is stapled")
    assert not stapled(service)


@pytest.mark.parametrize("broken, told", [("other", "is not about the certificate"), ("text", "is no OCSP response"), ("none", "cannot be read")])
def test_response_that_is_none(service, tmp_path, authority, broken, told):
    certificate, key = manager.make_certificate(tmp_path, issuer=authority)
    path = tmp_path / "none"
    if broken == "other":
        path = make_response(tmp_path, authority, manager.make_certificate(tmp_path, "other", issuer=authority)[0])
    elif broken == "text":
        path = certificate
    service.listen("https", "tcp4")
    service.write_config(f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\nTLSOCSPResponse={path}\n{ROUTE}")
    assert service.run() == 78
    assert told in service.text() and "TLSOCSPResponse" in service.text()


# --- what an operator is warned of --------------------------------------------------------------------------------


@pytest.mark.parametrize("what, told", [
    ("soon", "the certificate expires in [45] days"), ("open", "every user of this machine may read the private key"),
    ("must-staple", "demands an OCSP response"),
])
def test_warnings(service, tmp_path, what, told):
    options = {"soon": {"days": 5}, "open": {}, "must-staple": {"extensions": ["tlsfeature=status_request"]}}[what]
    certificate, key = manager.make_certificate(tmp_path, **options)
    if what == "open":
        subprocess.run(["chmod", "0644", key], check=True)
    service.listen("https", "tcp4")
    service.write_config(f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n{ROUTE}")
    service.start_ready()
    service.wait_for_line(told)


def test_expiry_is_a_metric(service, tmp_path):
    certificate = start(service, tmp_path)
    end = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-enddate"], capture_output=True, text=True, check=True)
    expires = ssl.cert_time_to_seconds(end.stdout.strip().partition("=")[2])
    m = exposition.Exposition(service.admin("GET", "/metrics").text)
    assert m.value("holdfast_certificate_expiry_time_seconds", listener="https", certificate=certificate) == expires


# --- what only costs time -----------------------------------------------------------------------------------------


def cpu_of(service):
    with open(f"/proc/{service.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


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
    before = cpu_of(service)
    for _ in range(5):
        with socket.create_connection(service.address(), 10) as sock:
            try:
                sock.sendall(FLOODS[name])
                while sock.recv(65536):
                    pass
            except (ConnectionError, BrokenPipeError):
                pass
    assert cpu_of(service) - before < 0.5
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
    before = cpu_of(service)
    for i in range(100):
        handshake(service, client_context(), f"host-{i}." + "a" * 60 + ".example")
    assert cpu_of(service) - before < 3  # as handshakes take it, and no more


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
    before = cpu_of(service)
    for _ in range(2000):
        if not client.update_keys(both):
            break
    assert not client.request().startswith(b"HTTP/1.1 200")
    client.close()
    if not both:  # otherwise libh2o ends it at the second, since there is an answer to be written while it reads
        service.wait_for_line("it wants new TLS keys all the time")
        assert faults(service, "key-updates") == 1
    assert cpu_of(service) - before < 0.5
    assert still_serves(service)


def test_testssl(service, tmp_path):
    """testssl.sh finds nothing of weight. It takes minutes, so it runs where it is asked for: TESTSSL=1."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program or "TESTSSL" not in os.environ:
        pytest.skip("testssl.sh is not there, or TESTSSL= is not set")
    certificate = start(service, tmp_path)
    report = tmp_path / "report.json"
    command = [program, "--quiet", "--color", "0", "--warnings", "off", "--openssl-timeout", "5", "-p", "-s", "-f", "-R", "-C", "-B", "-I", "-F", "-J", "-D"]
    subprocess.run([*command, "--ip", "127.0.0.1", "--jsonfile", report, f"localhost:{service.address()[1]}"], timeout=900, capture_output=True,
                   stdin=subprocess.DEVNULL)
    found = json.loads(report.read_text())
    assert len(found) > 20 and certificate
    weighty = {f["id"]: f["finding"] for f in found if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL")}
    assert weighty == {}
