"""The demonstration behind tests/demo."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("HOLDFAST_BUILD_ROOT", SOURCE / "build")) / "normal"
sys.path.insert(0, str(SOURCE / "tests/machine"))

from harness import package, root  # noqa: E402
from harness.events import match  # noqa: E402
from harness.loss import LossClient  # noqa: E402
from harness.machine import Machine, why_not  # noqa: E402

CONFIG = """[Upstream app]
Target=unix:/run/capp-demo/http.sock

[Route /app/*rest]
Upstream=app
"""
ADDRESS = "10.213.7.2"
RELOADS, RESTARTS, APP_RESTARTS = 20, 3, 10


def step(text):
    print(f"\n==> {text}", flush=True)


def show(text):
    print("    " + text.replace("\n", "\n    "), flush=True)


def build():
    """The programs beside the package: the app, the loss client, and for want of a machine the daemon itself."""
    if not (BUILD / "build.ninja").is_file():
        subprocess.run(["meson", "setup", BUILD, SOURCE, "-Dtests=enabled", "-Dhooks=true"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "holdfastd", "tests/tools/loss", "tests/apps/capp"], check=True, stdout=subprocess.DEVNULL)


def install_app(machine):
    machine.copy_in(BUILD / "tests/apps/capp", "/usr/lib/holdfast-tests/capp")
    unit = (SOURCE / "tests/apps/capp@.service").read_text().replace("capp --name", "capp --prefix=/app --name")
    machine.write("/etc/systemd/system/capp@.service", unit)
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "capp@demo.service")
    machine.write("/etc/holdfast/conf.d/app.conf", CONFIG)


def tell_report(report):
    lost = report["lost"]
    show(f"requests            {report['requests']}")
    show(f"lost                {lost}")
    show(f"reconnects          {report['forced_reconnects_announced']} announced, "
         f"{report['forced_reconnects_unannounced']} not")
    show(f"longest stall       {report['stall_us'] / 1000:.0f} ms")
    return lost


def account(machine):
    """What the gateway itself has written down."""
    requests = cut = 0
    for record in machine.journal(match("stop")):
        requests += int(record["HOLDFAST_REQUESTS"])
        cut += int(record["HOLDFAST_CUT"])
    show(machine.output("journalctl", "--quiet", "--unit=holdfast.service", "--output=cat", "--no-pager", "--lines=14"))
    show(f"together: {requests} requests answered by generations that have ended, {cut} cut")


def traffic(machine):
    with LossClient(machine, BUILD / "tests/tools/loss", "--path=/app/echo", "--method=POST", "--body=64", "--verify",
                    "--connections=64") as client:
        began = time.monotonic()
        for _ in range(RELOADS):
            time.sleep(0.2)
            machine.systemctl("reload", "holdfast.service")
        took = (time.monotonic() - began - RELOADS * 0.2) * 1000 / RELOADS
        show(f"systemctl reload holdfast, {RELOADS} times, {took:.0f} ms each")
        for number in range(1, RESTARTS + 1):
            time.sleep(1)
            began = time.monotonic()
            machine.systemctl("restart", "holdfast.service")
            show(f"systemctl restart holdfast ({number} of {RESTARTS}) took {(time.monotonic() - began) * 1000:.0f} ms")
        time.sleep(1)
    return client.report


def app_restarts(machine):
    """Requests that may be sent twice: those in the app when it ends are, and others wait until it is back."""
    with LossClient(machine, BUILD / "tests/tools/loss", "--path=/app/", "--think=0-10", "--connections=64") as client:
        for _ in range(APP_RESTARTS):
            time.sleep(0.2)
            machine.systemctl("restart", "capp@demo.service")
        time.sleep(1)
    return client.report


def connect_networks(machine):
    """A pair of interfaces between the machine and here, so that a browser can open the address."""
    subprocess.run(["ip", "link", "add", "hf-demo", "type", "veth", "peer", "name", "host0", "netns", str(machine.leader)],
                   check=True)
    subprocess.run(["ip", "address", "add", "10.213.7.1/30", "dev", "hf-demo"], check=True)
    subprocess.run(["ip", "link", "set", "hf-demo", "up"], check=True)
    for words in (["address", "add", f"{ADDRESS}/30", "dev", "host0"], ["link", "set", "host0", "up"]):
        subprocess.run(["nsenter", f"--target={machine.leader}", "--net", "ip", *words], check=True)


def in_machine(once):
    step("building the package")
    deb = package.build(progress=show)
    build()
    step("making a Debian 12 root (once; it is kept)")
    base = root.base_root(deb, progress=show)
    directory = Path(tempfile.mkdtemp(prefix="holdfast-demo-", dir="/var/tmp"))
    step("booting it under systemd-nspawn, and apt-get install ./holdfast.deb")
    try:
        with Machine([base], directory) as machine:
            machine.copy_in(deb, "/root/holdfast.deb", mode=0o644)
            machine.run("apt-get", "install", "--yes", "/root/holdfast.deb", timeout=120)
            show(machine.output("systemctl", "is-active", "holdfast.socket") + " holdfast.socket")
            install_app(machine)
            step("first request: it starts the service")
            show(machine.output("curl", "--silent", "--show-error", "--max-time", "20", "http://localhost/app/"))
            step(f"64 connections that never retry, POST, while the gateway is reloaded {RELOADS} times and "
                 f"restarted {RESTARTS} times")
            report = traffic(machine)
            lost = tell_report(report)
            step(f"64 connections that never retry, GET, while the app behind it is restarted {APP_RESTARTS} times")
            lost += tell_report(app_restarts(machine))
            show(machine.output("holdfastctl", "upstreams"))
            step("the journal's own account")
            account(machine)
            step("holdfastctl status")
            show(machine.output("holdfastctl", "status"))
            if not once:
                connect_networks(machine)
                step(f"running: open http://{ADDRESS}/ and http://{ADDRESS}/app/ (interrupt to end)")
                show(f"a shell inside: nsenter -t {machine.leader} -a")
                signal.sigwait([signal.SIGINT, signal.SIGTERM])
            return lost
    finally:
        subprocess.run(["rm", "-rf", directory], check=False)


def without_machine():
    """What systemd-socket-activate can show: activation, proxying, drain."""
    step("building")
    build()
    directory = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    (directory / "holdfast.conf").write_text("[Listener http]\n" + CONFIG.replace("/run/capp-demo/http.sock", f"{directory}/app.sock"))
    app = subprocess.Popen([BUILD / "tests/apps/capp", "--prefix=/app", f"--listen=unix:{directory}/app.sock"])
    gateway = subprocess.Popen(["systemd-socket-activate", "--listen=127.0.0.1:8080", "--fdname=http",
                                f"--setenv=STATE_DIRECTORY={directory}",
                                BUILD / "holdfastd", f"--config={directory}/holdfast.conf"])
    try:
        step("first request: it starts the gateway")
        show(subprocess.run(["curl", "--silent", "--retry", "5", "--retry-connrefused", "http://127.0.0.1:8080/app/"],
                            capture_output=True, text=True, check=True).stdout)
        step("a slow request, and SIGTERM meanwhile: it is answered before the gateway ends")
        slow = subprocess.Popen(["curl", "--silent", "--show-error", "http://127.0.0.1:8080/app/slow?ms=2000"], stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        gateway.terminate()
        answer = slow.communicate(timeout=20)[0]
        show(answer)
        gateway.wait(20)
        return 0 if slow.returncode == 0 else 1
    finally:
        gateway.kill()
        app.kill()


def main():
    parser = argparse.ArgumentParser(prog="tests/demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end the machine when everything was shown")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM] if not options.once else [])
    reason = why_not()
    if reason:
        print(f"No machine can be booted here: {reason}.\nShown instead: what works without a booted systemd.")
        return 1 if without_machine() else 0
    return 1 if in_machine(options.once) else 0


if __name__ == "__main__":
    sys.exit(main())
