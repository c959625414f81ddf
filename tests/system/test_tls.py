"""TLS: versions, names, client certificates, ALPN."""

import contextlib
import signal
import socket
import ssl
import subprocess

import pytest

import h1
import h2
import manager
from targets import begin_without_length

ROUTE = '[Route /hello]\nRespond=200 "hello"\n'


@pytest.fixture
def certificates(tmp_path):
    return {name: manager.make_certificate(tmp_path, name) for name in ("localhost", "shop.example", "client")}


def start(service, certificates, names=("localhost",), extra=""):
    service.listen("https", "tcp4")
    pairs = "".join(f"TLSCertificate={certificates[n][0]}\nTLSKey={certificates[n][1]}\n" for n in names)
    service.write_config(f"[Gateway]\nThreads=1\n[Listener https]\nProtocol=https\n{pairs}{extra}{ROUTE}")
    return service.start_ready()


def client_context(certificates, name="localhost", version=None):
    context = ssl.create_default_context(cafile=certificates[name][0])
    if version:
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(service, certificates, version):
    start(service, certificates)
    with h1.Connection(service.address(), tls=client_context(certificates, version=version)) as client:
        assert client.sock.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        for _ in range(3):
            assert client.get("/hello").body == b"hello"


def test_http2_by_alpn(service, certificates):
    start(service, certificates)
    with h2.Connection(service.address(), tls=client_context(certificates)) as client:
        assert client.sock.selected_alpn_protocol() == "h2"
        assert client.get("/hello").body == b"hello"


def test_old_versions_are_refused(service, certificates):
    start(service, certificates)
    for option in ("-tls1", "-tls1_1"):
        done = subprocess.run(["openssl", "s_client", option, "-cipher", "ALL@SECLEVEL=0", "-connect", f"127.0.0.1:{service.address()[1]}"],
                              input=b"", capture_output=True, timeout=10)
        assert done.returncode != 0, option


def test_minimum_version(service, certificates):
    start(service, certificates, extra="TLSMinimumVersion=1.3\n")
    with pytest.raises(ssl.SSLError):
        h1.Connection(service.address(), tls=client_context(certificates, version=ssl.TLSVersion.TLSv1_2))
    with h1.Connection(service.address(), tls=client_context(certificates)) as client:
        assert client.get("/hello").status == 200


def test_certificates_by_name(service, certificates):
    start(service, certificates, ("localhost", "shop.example"))
    for name in ("localhost", "shop.example"):
        with h1.Connection(service.address(), tls=client_context(certificates, name), server_name=name) as client:
            assert client.get("/hello").status == 200
    # A name that no certificate has gets the first.
    context = client_context(certificates)
    context.check_hostname = False
    with h1.Connection(service.address(), tls=context, server_name="other.example") as client:
        assert ("DNS", "localhost") in client.sock.getpeercert()["subjectAltName"]


@pytest.mark.parametrize("verify", ["optional", "required"])
def test_client_certificates(service, certificates, verify):
    start(service, certificates, extra=f"TLSClientCA={certificates['client'][0]}\nTLSClientVerify={verify}\n")
    context = client_context(certificates)
    context.load_cert_chain(*certificates["client"])
    with h1.Connection(service.address(), tls=context) as client:
        assert client.get("/hello").status == 200
    if verify == "optional":
        with h1.Connection(service.address(), tls=client_context(certificates)) as client:
            assert client.get("/hello").status == 200
    else:
        with pytest.raises((ssl.SSLError, ConnectionError, h1.Closed)):
            with h1.Connection(service.address(), tls=client_context(certificates)) as client:
                client.get("/hello")
    stranger = client_context(certificates)
    stranger.load_cert_chain(*certificates["shop.example"])
    with pytest.raises((ssl.SSLError, ConnectionError, h1.Closed)):
        with h1.Connection(service.address(), tls=stranger) as client:
            client.get("/hello")


def test_sessions_are_resumed(service, certificates):
    start(service, certificates)
    context = client_context(certificates, version=ssl.TLSVersion.TLSv1_2)
    with h1.Connection(service.address(), tls=context) as client:
        client.get("/hello")
        session = client.sock.session
    raw = socket.create_connection(service.address())
    again = context.wrap_socket(raw, server_hostname="localhost", session=session)
    assert again.session_reused
    again.close()


def test_what_is_not_tls_is_closed(service, certificates):
    start(service, certificates)
    with h1.Connection(service.address()) as client:
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises((h1.Closed, ConnectionError)):
            client.read_exactly(1000)
    with h1.Connection(service.address(), tls=client_context(certificates)) as client:
        assert client.get("/hello").status == 200


@pytest.mark.parametrize("broken, told", [("key", "does not match"), ("missing", "cannot load"), ("swapped", "cannot load")])
def test_certificates_that_cannot_be_used(service, certificates, broken, told, tmp_path):
    certificate, key = certificates["localhost"]
    if broken == "key":
        key = certificates["client"][1]
    elif broken == "missing":
        certificate = f"{tmp_path}/none.crt"
    else:
        certificate, key = key, certificate
    service.listen("https", "tcp4")
    service.write_config(f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n{ROUTE}")
    service.allow("error")
    assert service.run() == 78
    assert told in service.text() or "no such file" in service.text().lower()
    assert "holdfast.conf:" in service.text()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_end_that_is_none_is_not_told_as_one(service, upstream, certificates, version):
    """To a client of HTTP/1.0 the end of the connection is that of the body: what breaks off must not end as if it were
    whole, with a close_notify."""
    start(service, certificates, extra=f"[Upstream app]\nTarget={upstream.target}\n[Route /app/*rest]\nUpstream=app\n")
    service.allow("warning: upstream")
    with h1.Connection(service.address(), tls=client_context(certificates, version=version)) as client:
        client.sock.suppress_ragged_eofs = False
        app = begin_without_length(client, upstream, "localhost")
        app.close()
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            client.sock.recv(1)
            pytest.fail("it ended as if it were whole")


def http1_clients(service, certificates):
    for size in range(100_000, 400_000, 8_000):
        client = h1.Connection(service.address(), tls=client_context(certificates))
        client.request("GET", "/file", [("Connection", "close"), ("Range", f"bytes=0-{size}")])
        yield client


def http2_clients(service, certificates):
    """Their windows hold all that is to come; each is answered a little more than the one before. They are ended when
    they have been idle."""
    clients = []
    for _ in range(100):
        client = h2.Connection(service.address(), tls=client_context(certificates), settings=[(4, 1 << 20)])
        client.send_frame(h2.WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big"))
        client.request("GET", "/file", [("range", "bytes=0-160000")])
        clients.append(client)
    for first in range(1, len(clients)):
        for client in clients[first:]:
            with contextlib.suppress(OSError):  # it may be over for one that has been slow already
                client.request("GET", "/none")
    return clients


@pytest.mark.parametrize("begin", [http1_clients, http2_clients])
@pytest.mark.parametrize("then", ["timeout", "drain"])
def test_a_goodbye_that_is_not_taken(service, certificates, tmp_path, then, begin):
    """Where a response just fits into the kernel's buffer, the close_notify behind it does not."""
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    service.listen("https", "unix")
    service.listen("admin")
    service.write_config(f"[Gateway]\nThreads=1\nDrainSec=1s\nSendTimeoutSec={'1s' if then == 'timeout' else '1min'}\n"
                         f"[Listener https]\nProtocol=https\nIdleTimeoutSec={int(2 * manager.PATIENCE)}s\nTLSCertificate={certificates['localhost'][0]}\n"
                         f"TLSKey={certificates['localhost'][1]}\n[Route /]\nStatic={tmp_path}\n")
    service.allow("info: turned away", "warning: cut", "warning: drained", "warning: [0-9]+ journal records? w(as|ere) lost")
    service.start_ready()
    clients = list(begin(service, certificates))
    if then == "timeout":
        h1.eventually(lambda: h1.json(service.admin("GET", "/v1/status"))["totals"]["connections"] == 0)
    else:
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    for client in clients:
        client.close()
