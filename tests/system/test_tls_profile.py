"""How TLS is spoken, as a client sees it that tries what it should not get: versions, suites, groups, renegotiation,
compression, ALPN, names."""

import json
import os
import re
import socket
import ssl
import struct
import subprocess

import pytest

import h1
from tls_peer import client_context, faults, handshake, s_client, shaken, start

INTERMEDIATE = {"ECDHE-{}-AES128-GCM-SHA256", "ECDHE-{}-AES256-GCM-SHA384", "ECDHE-{}-CHACHA20-POLY1305"}
SUITES_1_3 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(params=["ec", "rsa"])
def kind(request):
    return request.param


def all_suites():
    listed = subprocess.run(["openssl", "ciphers", "-s", "-v", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if line.split()[1] != "TLSv1.3"]


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


# It takes minutes, so it is there for those who ask for it.
if "TESTSSL" in os.environ:
    WEIGHTY = ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL")

    def test_testssl(service, tmp_path):
        """testssl.sh finds nothing of weight."""
        certificate = start(service, tmp_path)
        report = tmp_path / "report.json"
        command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--openssl-timeout", "5", "-p", "-s", "-f", "-R",
                   "-C", "-B", "-I", "-F", "-J", "-D"]
        subprocess.run([*command, "--ip", "127.0.0.1", "--jsonfile", report,
                        f"localhost:{service.address()[1]}"], timeout=900, capture_output=True, stdin=subprocess.DEVNULL)
        found = json.loads(report.read_text())
        assert len(found) > 20 and certificate
        weighty = {f["id"]: f["finding"] for f in found if f["severity"] in WEIGHTY}
        assert weighty == {}
