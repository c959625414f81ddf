"""Sockets that systemd holds, and the service that they start."""

import subprocess

import service
from harness.events import match


def test_first_request_starts_the_service(machine):
    assert machine.show("holdfast.socket", "ActiveState") == "active"
    assert machine.show("holdfast.service", "ActiveState") == "inactive"
    assert "Holdfast is running" in service.get(machine)
    assert machine.show("holdfast.service", "ActiveState") == "active"
    assert len(machine.journal(match("ready"))) == 1


def test_both_address_families(machine):
    assert "Holdfast is running" in service.get(machine, "/", "-4")
    assert "Holdfast is running" in service.get(machine, "/", "-6")


def test_admin_request_starts_the_service(machine):
    """The admin socket is the group's: holdfast may use it, others may not."""
    mode, owner, group = machine.output("stat", "--format=%a %U %G", "/run/holdfast/admin.sock").split()
    assert (mode, owner, group) == ("660", "root", "holdfast")
    machine.run("holdfastctl", "status")
    assert machine.show("holdfast.service", "ActiveState") == "active"
    # Neither a start nor a stop of the service changes whose it is.
    machine.systemctl("restart", "holdfast.service")
    assert machine.output("stat", "--format=%a %U %G", "/run/holdfast/admin.sock") == "660 root holdfast"
    denied = machine.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                         "curl", "--silent", "--unix-socket", "/run/holdfast/admin.sock",
                         "http://holdfast/v1/status", check=False)
    assert denied.returncode != 0


def test_start_by_hand_brings_the_sockets(machine):
    machine.systemctl("stop", "holdfast.socket", "holdfast-admin.socket", "holdfast.service")
    machine.systemctl("start", "holdfast.service")
    assert machine.show("holdfast.socket", "ActiveState") == "active"
    assert machine.show("holdfast-admin.socket", "ActiveState") == "active"
    assert machine.show("holdfast-https.socket", "ActiveState") == "inactive"
    assert "Holdfast is running" in service.get(machine)


def test_https_socket_is_added_by_a_restart(machine):
    """As holdfast-https.socket says it: enable, restart."""
    make_certificate(machine)
    machine.drop_in("holdfast.service", "[Service]\nLoadCredential=tls.crt:/root/tls.crt\n"
                                        "LoadCredential=tls.key:/root/tls.key\n")
    service.get(machine)
    service.configure(machine, "[Listener https]\nProtocol=https\nTLSCertificate=tls.crt\nTLSKey=tls.key\n")
    machine.systemctl("enable", "holdfast-https.socket")
    machine.systemctl("restart", "holdfast.service")
    assert machine.show("holdfast-https.socket", "ActiveState") == "active"
    page = machine.output("curl", "--silent", "--show-error", "--insecure", "--include", "https://localhost/")
    assert page.startswith("HTTP/2 200")
    assert "Holdfast is running" in service.get(machine)


def make_certificate(machine):
    """A self-signed one, made outside: the machine has no tool for that."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-keyout", machine.path("/root/tls.key"),
                    "-out", machine.path("/root/tls.crt")], check=True, capture_output=True)
