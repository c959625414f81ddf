"""What goes with a certificate: stapled responses, and what an operator is told of it."""

import ssl
import subprocess

import pytest

import exposition
import manager
from tls_peer import ROUTE, s_client, start


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
