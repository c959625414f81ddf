"""How exposed the service is, by systemd's own account, and that the confinement holds, for it and its successors."""

import json
import re
from pathlib import Path

import service

THRESHOLD = 10  # tenths
PROBE = "/opt/sandbox_probe.py"

APP_CONFIG = """
[Upstream app]
Target={}

[Route /*rest]
Upstream=app
"""

# Out of reach without a network.
TCP_CONFIG = """
[Upstream tcp]
Target=127.0.0.1:9000
HoldSec=1s

[Route /tcp]
Upstream=tcp
"""


def test_exposure(machine):
    done = machine.run("systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}",
                       "/lib/systemd/system/holdfast.service", check=False)
    exposure = re.search(r"Overall exposure level for holdfast.service: ([0-9.]+)", done.stdout)
    assert done.returncode == 0 and float(exposure.group(1)) * 10 <= THRESHOLD, done.stdout


def test_units_are_valid(machine):
    done = machine.run("systemd-analyze", "verify", "--man=no", "holdfast.service", "holdfast.socket",
                       "holdfast-https.socket", "holdfast-admin.socket", check=False)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def in_sandbox(machine, *command):
    """What a command prints in the file system of the service, as its user."""
    uid = machine.output("id", "-u", "holdfast")
    return machine.output("nsenter", f"--target={machine.main_pid()}", "--mount", "setpriv", f"--reuid={uid}",
                          "--clear-groups", *command)


def test_only_the_state_can_be_written(machine):
    machine.systemctl("start", "holdfast.service")
    probe = ("for d in / /etc /etc/holdfast /run /run/holdfast /run/lock /usr /srv /dev /dev/shm /sys /var/log /var/lib"
             " /var/lib/holdfast /tmp /var/tmp; do touch $d/probe 2>/dev/null && echo $d && rm $d/probe; done; true")
    written = in_sandbox(machine, "sh", "-c", probe).split()
    assert set(written) <= {"/var/lib/holdfast", "/tmp", "/var/tmp", "/dev/shm"}
    assert "/var/lib/holdfast" in written
    # The private /tmp is not the machine's.
    assert service.get(machine)


def test_other_folders_are_not_there(machine):
    """And can be named in a drop-in."""
    machine.write("/files/file", "data\n")
    machine.systemctl("start", "holdfast.service")
    there = in_sandbox(machine, "ls", "/").split()
    assert not {"boot", "files", "home"} & set(there), there

    machine.drop_in("holdfast.service", "[Service]\nBindReadOnlyPaths=/files\n")
    service.configure(machine, "[Route /files/*path]\nStatic=/files\n")
    machine.systemctl("restart", "holdfast.service")
    assert service.get(machine, "/files/file") == "data"


def confinement(machine):
    """What the kernel tells of the main process."""
    status = machine.output("cat", f"/proc/{machine.main_pid()}/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {name: fields[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp",
                                                    "Seccomp_filters")}


def test_forbidden_calls(machine):
    """Tried by a program that systemd starts in the sandbox of the service."""
    machine.copy_in(Path(__file__).with_name("harness") / "sandbox_probe.py", PROBE)
    machine.drop_in("holdfast.service", f"[Service]\nExecStartPost=/usr/bin/python3 {PROBE}\n")
    machine.systemctl("start", "holdfast.service")
    outcome = json.loads(machine.path("/var/lib/holdfast/probe").read_text())
    allowed = {name for name, error in outcome.items() if error is None}
    assert allowed == {"memory", "connect", "names"}, outcome
    assert outcome["kernel's settings"] == outcome["init"] == "ENOENT"
    assert outcome["listen"] == outcome["chown"] == "EPERM"
    assert outcome["netlink"] == outcome["packet"] == "EAFNOSUPPORT"


def test_a_successor_is_confined_alike(machine):
    machine.systemctl("start", "holdfast.service")
    before = confinement(machine)
    none = "0" * 16
    assert before["CapPrm"] == before["CapEff"] == before["CapBnd"] == none
    assert before["NoNewPrivs"] == "1" and before["Seccomp"] == "2"
    first = machine.main_pid()
    machine.systemctl("reload", "holdfast.service")
    assert machine.main_pid() != first
    assert confinement(machine) == before
    # What the process learns from /proc, of which it sees only processes.
    metrics = machine.output("curl", "--silent", "--unix-socket", "/run/holdfast/admin.sock", "http://holdfast/metrics")
    for name in ("process_open_fds", "process_resident_memory_bytes", "process_threads"):
        assert int(re.search(rf"^{name} (\d+)$", metrics, re.MULTILINE).group(1)) > 0


def test_large_bodies_are_in_the_private_folder(machine, app):
    """A request waits for its app, with a body that is larger than what is kept in memory: in a file without a name, of
    which nobody else sees anything. The sandbox lets it be written and sent."""
    backend = app("capp-unix", "blue")
    machine.write(service.MAIN_CONFIG, "[Listener http]\n")
    service.configure(machine, "[Gateway]\nBodyMemorySize=64K\n" + APP_CONFIG.format(backend.address))
    machine.systemctl("start", "holdfast.service")
    backend.stop()
    size = 3_000_000
    machine.run("sh", "-c", f"head -c {size} /dev/urandom >/root/sent")

    def on_disk():
        return service.metrics(machine).sum("holdfast_request_body_disk_bytes")

    client = machine.start("curl", "--silent", "--show-error", "--fail", "--max-time", "60", "--header", "Expect:",
                           "--data-binary", "@/root/sent", "--output", "/root/received", "http://localhost/echo")
    service.wait_until(lambda: service.metrics(machine).sum("holdfast_upstream_held", upstream="app") == 1)
    assert on_disk() == size
    files = machine.output("sh", "-c", f"readlink /proc/{machine.main_pid()}/fd/*")
    assert re.search(r"^/var/tmp/#\d+ \(deleted\)$", files, re.MULTILINE), files
    assert not in_sandbox(machine, "ls", "-A", "/var/tmp")
    backend.start()
    assert client.wait(60) == 0, client.communicate()
    machine.run("cmp", "/root/sent", "/root/received")
    service.wait_until(lambda: on_disk() == 0)


def test_without_a_network(machine, app, loss_client):
    """The drop-in for apps that all have Unix sockets: clients over TCP are served, over reload and restart."""
    backend = app("capp-unix", "blue")
    machine.write(service.MAIN_CONFIG, "[Listener http]\n")
    service.configure(machine, APP_CONFIG.format(backend.address))
    commands = re.findall(r"(?m)^#   (.*?)(?:  +\(.*)?$",
                          machine.path("/usr/share/holdfast/private-network.conf").read_text())
    assert len(commands) == 4
    for command in commands:
        machine.run("sh", "-c", command)
    network = f"/proc/{machine.main_pid()}/ns/net"
    assert machine.output("readlink", network) != machine.output("readlink", "/proc/1/ns/net")

    with loss_client(machine, "--path=/echo", "--verify") as client:
        for _ in range(2):
            machine.systemctl("reload", "holdfast.service")
            machine.systemctl("restart", "holdfast.service")
    assert client.report["lost"] == 0 and client.report["requests"] > 100, client.summary()

    # Another target is out of reach, though it listens.
    outside = service.start_app(machine)
    service.configure(machine, TCP_CONFIG, "tcp.conf")
    machine.systemctl("reload", "holdfast.service")
    status = machine.output("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}",
                            "--max-time", 30, "http://localhost/tcp", check=False)
    assert status in ("502", "503", "504")
    assert machine.output("curl", "--silent", "http://127.0.0.1:9000/")
    outside.kill()
    outside.communicate()
    assert service.get(machine, "/echo")
