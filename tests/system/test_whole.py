"""A whole gateway and a client that is wrong in every way (tests/fuzz/whole): mutated HTTP/1, HTTP/2 and TLS over real
sockets, to routes of every kind and to the admin API. It lives, serves, and has given back what it took.

$HOLDFAST_FUZZ_INPUTS says how many [5000], $HOLDFAST_FUZZ_SEED which [1]. What a failure names is played again with
`whole … --seed N --script N`, and written out with --dump.
"""

import os
import signal
import subprocess

import h1
import manager
from process import resident_bytes

BUILD = manager.find_holdfastd().parent
WHOLE = BUILD / "tests/fuzz/whole/whole"
CAPP = BUILD / "tests/apps/capp"
INPUTS = int(os.environ.get("HOLDFAST_FUZZ_INPUTS", "5000"))
SEED = int(os.environ.get("HOLDFAST_FUZZ_SEED", "1"))

PROXIED = """/echo /sink /headers /chunked /big /until-close /trailers /early-hints /close /status/:code /abort /reset
/truncated /truncated-chunk /ws""".split()

# After the first tenth of the inputs everything has been seen once; from then on no more than this is taken, which is
# for what sanitizers and allocators keep.
GROWTH_MAX = 24 << 20


def configuration(directory, certificate, key):
    (directory / "www/sub").mkdir(parents=True)
    (directory / "www/page.html").write_text("<p>" + "hello " * 100)
    (directory / "www/data.bin").write_bytes(bytes(100_000))
    routes = "".join(f"[Route {path}]\nUpstream=app\n" for path in PROXIED)
    return f"""[Gateway]
Threads=2
[Listener http]
[Listener unix]
[Listener https]
Protocol=https
TLSCertificate={certificate}
TLSKey={key}
[Upstream app]
Target=unix:{directory}/app.sock
MaxFailures=0
[Upstream spare]
Target=127.0.0.1:9
{routes}[Route /small]
Upstream=app
MaxBodySize=20
[Route /hello]
Respond=200 "hello"
[Route /redirect/*rest]
Redirect=302 https://example.com/
[Route /static/]
Static={directory}/www
[Route /users/:id/orders/*rest]
Respond=404 "no such order"
"""


class App:
    """capp, on a socket of the service's directory."""

    def __init__(self, directory):
        self.path = str(directory / "app.sock")
        self.process = subprocess.Popen([CAPP, "--listen", f"unix:{self.path}"], stdout=subprocess.DEVNULL)
        h1.eventually(lambda: os.path.exists(self.path))

    def close(self):
        assert self.process.poll() is None, f"the app has ended: {self.process.returncode}"
        self.process.terminate()
        self.process.wait(10)


class Usage:
    """What a process has of the kernel."""

    def __init__(self, pid):
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        self.memory = resident_bytes(pid)


def start(service):
    # Of freed memory a sanitizer keeps a quarter of a gigabyte, behind which a leak would hide.
    options = os.environ.get("ASAN_OPTIONS", "")
    service.environment["ASAN_OPTIONS"] = f"{options}:quarantine_size_mb=8:malloc_context_size=12".lstrip(":")
    service.listen("http", "tcp4")
    service.listen("unix")
    service.listen("https", "tcp4")
    service.listen("admin")
    service.write_config(configuration(service.directory, *manager.make_certificate(service.directory)))
    service.allow("warning: ", "skipping frame")  # which libh2o says of types that it does not know
    return service.start_ready()


def fuzz(service):
    """Runs the client; yields the number of inputs after each thousand."""
    (_, http), path, (_, https), admin = (service.address(i) for i in range(4))
    command = [WHOLE, "--http-port", http, "--https-port", https, "--http", path, "--admin", admin]
    command += ["--seed", SEED, "--inputs", INPUTS]
    client = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    try:
        told = []
        for line in client.stdout:
            told.append(line)
            if line.startswith("inputs "):
                yield int(line.split()[1])
            if not service.is_running():
                client.send_signal(signal.SIGTERM)
        assert client.wait(10) == 0 and service.is_running(), "".join(told[-80:])
    finally:
        client.kill()
        client.wait()


def idle(service, descriptors):
    """Waits until no connection is left; what is taken then."""
    h1.eventually(lambda: Usage(service.pid).descriptors <= descriptors, timeout=60)
    return Usage(service.pid)


def test_whole(service):
    app = App(service.directory)
    start(service)
    before = Usage(service.pid)
    warm = None
    for n in fuzz(service):
        if n >= INPUTS // 10 and not warm:
            warm = Usage(service.pid)
    # Connections to the app and pipes of the loops are kept.
    after = idle(service, before.descriptors + 40)
    print(f"memory: {before.memory >> 20} MB, {warm.memory >> 20} MB when warm, {after.memory >> 20} MB at the end")
    print(f"descriptors: {before.descriptors} before, {after.descriptors} after")
    assert after.memory - warm.memory < GROWTH_MAX
    app.close()
    assert service.stop(60) == 0
