"""TLS sessions: what they are resumed with, how long, and what they are never carried over to (CVE-2023-41337)."""

import shutil
import socket
import ssl

import pytest

import h1
import manager

ROUTE = '[Route /hello]\nRespond=200 "hello"\n'
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def certificates(tmp_path):
    return {name: manager.make_certificate(tmp_path, name) for name in ("localhost", "shop.example", "client", "other")}


@pytest.fixture(params=VERSIONS, ids=lambda v: v.name)
def version(request):
    return request.param


def section(name, certificates, names, extra=""):
    pairs = "".join(f"TLSCertificate={certificates[n][0]}\nTLSKey={certificates[n][1]}\n" for n in names)
    return f"[Listener {name}]\nProtocol=https\n{pairs}{extra}"


def start(service, certificates, names=("localhost",), extra=""):
    service.listen("https", "tcp4")
    service.listen("admin")
    configure(service, certificates, names, extra)
    return service.start_ready()


def configure(service, certificates, names=("localhost",), extra=""):
    service.write_config(f"[Gateway]\nThreads=2\n{section('https', certificates, names, extra)}{ROUTE}")


def context_of(version, client=None):
    """A client that believes everything: what is tested is the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if client:
        context.load_cert_chain(*client)
    return context


def connect(address, context, name="localhost", session=None):
    """One request; whether the session was resumed, and the session to go on with."""
    raw = socket.create_connection(address, 10)
    with context.wrap_socket(raw, server_hostname=name, session=session) as sock:
        sock.sendall(h1.format_request("GET", "/hello"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        return sock.session_reused, sock.session


def test_resumed_for_its_name_only(service, certificates, version):
    """Another certificate, and another name that the same certificate answers: both want a handshake of their own."""
    start(service, certificates, ("localhost", "shop.example"))
    context = context_of(version)
    reused, session = connect(service.address(), context)
    assert not reused
    for name, expected in [("localhost", True), ("LOCALHOST", True), ("shop.example", False), ("other.example", False), (None, False)]:
        assert connect(service.address(), context, name, session)[0] is expected, name
    _, nameless = connect(service.address(), context, None)
    assert connect(service.address(), context, None, nameless)[0]
    assert not connect(service.address(), context, "localhost", nameless)[0]
    _, shop = connect(service.address(), context, "shop.example")
    assert connect(service.address(), context, "shop.example", shop)[0]
    assert not connect(service.address(), context, "localhost", shop)[0]


def test_not_from_one_listener_to_another(service, certificates, version):
    """The same certificate, but one of the two verifies its clients."""
    verify = f"TLSClientCA={certificates['client'][0]}\nTLSClientVerify=required\n"
    service.listen("open", "tcp4")
    service.listen("guarded", "tcp4")
    service.write_config(section("open", certificates, ["localhost"]) + section("guarded", certificates, ["localhost"], verify) + ROUTE)
    service.start_ready()
    context = context_of(version)
    _, session = connect(service.address(0), context)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        connect(service.address(1), context, session=session)
    guarded = context_of(version, certificates["client"])
    _, session = connect(service.address(1), guarded)
    assert connect(service.address(1), guarded, session=session)[0]
    assert not connect(service.address(0), guarded, session=session)[0]


def test_keys_are_rotated(service, certificates, version):
    """A session lasts as long as the option says, over the change of keys, and no longer."""
    start(service, certificates, extra="TLSTicketRotateSec=2s\n")
    context = context_of(version)
    _, session = connect(service.address(), context)
    assert session.timeout == 2 or session.ticket_lifetime_hint == 2
    assert connect(service.address(), context, session=session)[0]
    h1.eventually(lambda: not connect(service.address(), context, session=session)[0])
    _, session = connect(service.address(), context)
    assert connect(service.address(), context, session=session)[0]


def test_no_tickets(service, certificates, version):
    start(service, certificates, extra="TLSTicketRotateSec=0\n")
    context = context_of(version)
    _, session = connect(service.address(), context)
    assert session is None or not session.has_ticket
    assert not connect(service.address(), context, session=session)[0] if session else True


def test_resumed_after_a_reload_and_a_restart(service, certificates, version):
    service.with_bus()
    start(service, certificates)
    context = context_of(version)
    _, session = connect(service.address(), context)
    service.reload()
    reused, session = connect(service.address(), context, session=session)
    assert reused
    service.restart()
    assert connect(service.address(), context, session=session)[0]


@pytest.mark.parametrize("what", ["certificate", "authority", "verify", "revocations"])
def test_not_resumed_when_what_is_verified_changed(service, certificates, version, what, tmp_path):
    """The files' paths stay the same: it is their contents that count."""
    authority = tmp_path / "authority.pem"
    shutil.copy(certificates["client"][0], authority)
    extra = f"TLSClientCA={authority}\nTLSClientVerify=optional\n"
    start(service, certificates, extra=extra)
    context = context_of(version, certificates["client"])
    _, session = connect(service.address(), context)
    if what == "certificate":
        certificates["localhost"] = manager.make_certificate(tmp_path, "localhost")
    elif what == "authority":
        authority.write_bytes(authority.read_bytes() + open(certificates["other"][0], "rb").read())
    elif what == "verify":
        extra = extra.replace("optional", "required")
    else:
        extra += f"TLSClientCRL={manager.make_revocations(tmp_path, certificates['client'])}\n"
    configure(service, certificates, extra=extra)
    before = service.pid
    service.reload()
    assert service.pid != before
    # For a moment the old process may still accept.
    h1.eventually(lambda: not connect(service.address(), context, session=session)[0])
    _, session = connect(service.address(), context)
    assert connect(service.address(), context, session=session)[0]


def test_certificate_that_was_replaced(service, certificates, tmp_path):
    """New connections get the new one, those that there are live on."""
    start(service, certificates)
    old = open(certificates["localhost"][0]).read()
    with h1.Connection(service.address(), tls=ssl.create_default_context(cadata=old)) as client:
        assert client.get("/hello").status == 200
        manager.make_certificate(tmp_path, "localhost")
        new = open(certificates["localhost"][0]).read()
        assert new != old
        with h1.Connection(service.address(), tls=ssl.create_default_context(cadata=old)) as other:
            assert other.get("/hello").status == 200  # nothing changes before the reload
        service.reload()
        assert client.get("/hello").status == 200
    with h1.Connection(service.address(), tls=ssl.create_default_context(cadata=new)) as client:
        assert client.get("/hello").status == 200


def test_certificate_that_is_broken_at_a_reload(service, certificates):
    """The reload fails and says why, and the old generation goes on with what it has."""
    start(service, certificates)
    context = ssl.create_default_context(cafile=certificates["localhost"][0])
    with open(certificates["localhost"][0], "w") as file:
        file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    told = service.reload_fails()
    assert "TLSCertificate" in told and certificates["localhost"][0] in told and "cannot load the certificate" in told
    with h1.Connection(service.address(), tls=context) as client:
        assert client.get("/hello").status == 200

