"""A gateway that speaks TLS, and clients that try what it should not give."""

import re
import socket
import ssl
import subprocess

import exposition
import manager

ROUTE = '[Route /hello]\nRespond=200 "hello"\n'


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
