"""Certificates of clients: who is let in, and what the app is told."""

import base64
import hashlib
import ssl
import subprocess

import pytest

import h1
import h2
import manager

FIELDS = {"x-client-cert-verified", "x-client-cert-subject", "x-client-cert-issuer", "x-client-cert-serial",
          "x-client-cert-fingerprint", "client-cert"}


@pytest.fixture
def certificates(tmp_path):
    made = {"localhost": manager.make_certificate(tmp_path), "authority": manager.make_certificate(tmp_path, "authority")}
    made["alice"] = manager.make_certificate(tmp_path, "alice", issuer=made["authority"], extensions=["basicConstraints=CA:FALSE"])
    made["mallory"] = manager.make_certificate(tmp_path, "mallory")
    return made


def start(service, certificates, upstream, verify="optional", listener="", route=""):
    """https asks for certificates, http cannot."""
    certificate, key = certificates["localhost"]
    asks = f"TLSClientCA={certificates['authority'][0]}\nTLSClientVerify={verify}\n" if verify else ""
    service.listen("https", "tcp4")
    service.listen("http", "tcp4")
    service.listen("admin")
    service.write_config(
        f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={key}\n{asks}{listener}[Listener http]\n"
        f"[Upstream app]\nTarget={upstream.target}\n[Route /]\nUpstream=app\n{route}"
        '[Route /guarded]\nRespond=200 "in"\nRequireClientCertificate=yes\n[Route /open]\nRespond=200 "open"\n'
    )
    return service.start_ready()


def context_of(certificates, name=None, version=None):
    context = ssl.create_default_context(cafile=certificates["localhost"][0])
    if name:
        context.load_cert_chain(*certificates[name])
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def told(upstream, client, headers=(), path="/"):
    """What the app hears of the client: the fields by their names in lower case, in whatever spelling."""
    client.request("GET", path, headers)
    app, request = upstream.expect()
    app.respond(200, b"ok", [("Connection", "close")])
    app.close()
    assert client.read_response().status == 200
    return {name.lower(): value for name, value in request.headers if "cert" in name.lower()}


def der_of(path):
    return ssl.PEM_cert_to_DER_cert(open(path).read())


FORGED = [("Client-Cert", ":AAAA:"), ("client-cert-chain", ":AAAA:"), ("X-Client-Cert-Verified", "yes"),
          ("X-CLIENT-CERT-SUBJECT", "CN=root"), ("X_Client_Cert_Subject", "CN=root"), ("x-client_cert.verified", "yes"),
          ("Client_Cert", ":AAAA:"), ("X-Client-Certificate", "root")]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda v: v.name)
def test_app_is_told(service, upstream, certificates, version):
    start(service, certificates, upstream, route="ClientCertificateFields=all\n")
    der = der_of(certificates["alice"][0])
    context = context_of(certificates, "alice", version)
    session = None
    for resumed in (False, True):  # a resumed session has shown it before
        with h1.Connection(service.address(), tls=None) as raw:
            sock = context.wrap_socket(raw.sock, server_hostname="localhost", session=session)
            raw.sock = sock
            assert sock.session_reused is resumed
            fields = told(upstream, raw, FORGED)
            session = sock.session
        assert set(fields) == FIELDS
        assert fields["x-client-cert-verified"] == "yes"
        assert fields["x-client-cert-subject"] == "CN=alice" and fields["x-client-cert-issuer"] == "CN=authority"
        serial = subprocess.run(["openssl", "x509", "-in", certificates["alice"][0], "-noout", "-serial"], capture_output=True, text=True)
        assert serial.stdout.strip() == f"serial={fields['x-client-cert-serial']}"
        assert fields["x-client-cert-fingerprint"] == hashlib.sha256(der).hexdigest()
        assert fields["client-cert"].startswith(":") and fields["client-cert"].endswith(":")
        assert base64.b64decode(fields["client-cert"][1:-1], validate=True) == der


def test_how_much_is_told(service, upstream, certificates):
    start(service, certificates, upstream)
    with h1.Connection(service.address(), tls=context_of(certificates, "alice")) as client:
        assert set(told(upstream, client)) == FIELDS - {"client-cert"}
    with h1.Connection(service.address(), tls=context_of(certificates)) as client:
        assert told(upstream, client, FORGED) == {"x-client-cert-verified": "no"}


def test_nothing_is_told(service, upstream, certificates):
    start(service, certificates, upstream, route="ClientCertificateFields=none\n")
    with h1.Connection(service.address(), tls=context_of(certificates, "alice")) as client:
        assert told(upstream, client, FORGED) == {}


@pytest.mark.parametrize("index", [0, 1], ids=["https", "http"])
def test_nobody_can_forge(service, upstream, certificates, index):
    """Neither where nobody is asked for a certificate, nor where there is no TLS."""
    start(service, certificates, upstream, verify=None)
    with h1.Connection(service.address(index), tls=None if index else context_of(certificates)) as client:
        assert told(upstream, client, FORGED) == {}


def test_nobody_can_forge_by_http2(service, upstream, certificates):
    start(service, certificates, upstream)
    with h2.Connection(service.address(), tls=context_of(certificates, "alice")) as client:
        stream = client.request("GET", "/", [(name.lower(), value) for name, value in FORGED])
        app, request = upstream.expect()
        app.respond(200, b"ok")
        assert client.read_response(stream).status == 200
    fields = [(name.lower(), value) for name, value in request.headers if "cert" in name.lower()]
    assert len(fields) == 5 and dict(fields)["x-client-cert-subject"] == "CN=alice"


def test_routes_that_want_one(service, upstream, certificates):
    start(service, certificates, upstream)
    with h1.Connection(service.address(), tls=context_of(certificates)) as client:
        refused = client.get("/guarded")
        assert refused.status == 403 and "client certificate" in refused.text
        assert client.get("/open").status == 200  # the connection lives on
    with h1.Connection(service.address(), tls=context_of(certificates, "alice")) as client:
        assert client.get("/guarded").text == "in"
    with service.connect(1) as client:
        assert client.get("/guarded", FORGED).status == 403


def test_any_host_on_a_verified_connection(service, upstream, certificates):
    """What clients are asked for is up to the listener: another name brings nothing that this one does not, so that there is
    nothing to misdirect (RFC 9110 15.5.20)."""
    start(service, certificates, upstream, verify="required")
    with h1.Connection(service.address(), tls=context_of(certificates, "alice")) as client:
        assert client.get("/guarded", [("Host", "other.example")]).status == 200
    with h1.Connection(service.address(), tls=context_of(certificates)) as client:
        with pytest.raises((ssl.SSLError, ConnectionError, h1.Closed)):
            client.get("/open", [("Host", "localhost")])


def test_a_bad_certificate_where_it_is_optional(service, upstream, certificates):
    """It ends the handshake: who shows one means to be somebody. And the client is told why."""
    start(service, certificates, upstream)
    with pytest.raises(ssl.SSLError, match="unknown ca"):
        with h1.Connection(service.address(), tls=context_of(certificates, "mallory")) as client:
            client.get("/open")
    service.wait_for_line("its TLS handshake failed: self-signed certificate")
    metrics = service.admin("GET", "/metrics").text
    assert 'holdfast_client_faults_total{listener="https",fault="handshake-failed"} 1' in metrics


@pytest.mark.parametrize("days, alert", [(30, "certificate revoked"), (0, "certificate expired")])
def test_revoked(service, upstream, certificates, tmp_path, days, alert):
    """Who is in the list is refused; and with a list that is too old, everybody."""
    revoked = [certificates["alice"][0]] if days else []
    crl = manager.make_revocations(tmp_path, certificates["authority"], revoked, days)
    service.allow(".*a revocation list is too old")
    start(service, certificates, upstream, listener=f"TLSClientCRL={crl}\n")
    with pytest.raises(ssl.SSLError, match=alert):
        with h1.Connection(service.address(), tls=context_of(certificates, "alice")) as client:
            client.get("/open")
    manager.make_revocations(tmp_path, certificates["authority"])
    service.reload()
    with h1.Connection(service.address(), tls=context_of(certificates, "alice")) as client:
        assert client.get("/guarded").status == 200


@pytest.mark.parametrize("key", ["TLSClientCA", "TLSClientCRL"])
def test_files_that_cannot_be_used(service, certificates, key, tmp_path):
    certificate, secret = certificates["localhost"]
    service.listen("https", "tcp4")
    values = {"TLSClientCA": certificates["authority"][0], "TLSClientCRL": manager.make_revocations(tmp_path, certificates["authority"])}
    for broken in (secret, tmp_path / "none", tmp_path):
        lines = "".join(f"{k}={broken if k == key else v}\n" for k, v in values.items())
        service.write_config(f"[Listener https]\nProtocol=https\nTLSCertificate={certificate}\nTLSKey={secret}\nTLSClientVerify=required\n"
                             f'{lines}[Route /]\nRespond=200 "x"\n')
        assert service.run() == 78
        assert f"{key}={broken}: cannot load" in service.text()
