"""One booted machine, and what a test does with it."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BOOT = Path(__file__).with_name("boot")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}


def why_not():
    """Why no machine can be booted here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("systemd-nspawn", "mmdebstrap", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    probe = "mount -t tmpfs none /mnt && mkdir /mnt/cgroup && mount -t cgroup2 cgroup2 /mnt/cgroup"
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "sh", "-c", probe],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return "namespaces or the cgroup2 file system are not available: " + done.stderr.strip()
    return None


class Timeout(AssertionError):
    """Something that a test waited for did not happen."""


class CommandFailed(AssertionError):
    def __init__(self, command, done):
        super().__init__(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        self.status = done.returncode


class Inside(subprocess.Popen):
    """A command in a machine. nsenter has it in a child of its own, which must end with it: it holds the pipes."""

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def send_inside(self, number):
        """Sends a signal to the command itself: nsenter would die of it and leave the command be."""
        children = subprocess.run(["pgrep", f"--parent={self.pid}"], capture_output=True, text=True).stdout.split()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)


class Machine:
    """`lower` are folders, the uppermost first, that the machine's root is made of; what it changes goes to a folder
    of its own, `layer`, that another machine can be made from. A context manager; all ends with it."""

    _count = 0

    def __init__(self, lower, directory, options=("--private-network",)):
        Machine._count += 1
        self.name = f"hf{os.getpid()}-{Machine._count}"
        self.directory = Path(tempfile.mkdtemp(prefix=self.name + "-", dir=directory))
        self.lower = [str(path) for path in lower]
        self.layer = self.directory / "upper"
        self.options = list(options)
        self.leader = None
        self.process = None

    def __enter__(self):
        self.boot()
        return self

    def __exit__(self, *exception):
        self.end()

    # Life

    def boot(self, timeout=60):
        for name in ("root", "upper", "work"):
            (self.directory / name).mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            notify = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            path = self.directory / "notify"
            path.unlink(missing_ok=True)
            notify.bind(str(path))
            console = stack.enter_context(open(self.directory / "console", "ab"))
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation=private", str(BOOT), self.name, self.directory / "root",
                 ":".join(self.lower), self.layer, self.directory / "work", *self.options],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                env={"PATH": ENVIRONMENT["PATH"], "NOTIFY_SOCKET": str(path)})
            deadline = time.monotonic() + timeout
            ready = False
            while not ready:
                notify.settimeout(0.5)
                try:
                    message = notify.recv(65536).decode()
                except socket.timeout:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        self.end()
                        raise Timeout(f"{self.name} did not boot:\n{self.console()[-4000:]}")
                    continue
                fields = dict(line.split("=", 1) for line in message.splitlines() if "=" in line)
                if "X_NSPAWN_LEADER_PID" in fields:
                    self.leader = int(fields["X_NSPAWN_LEADER_PID"])
                ready = fields.get("READY") == "1"

    def console(self):
        return (self.directory / "console").read_text(errors="replace")

    def power_off(self, timeout=40):
        """As an administrator would; the layer is consistent afterwards."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout)
        self.leader = None

    def fail(self, timeout=20):
        """As when the power fails: nobody in it is told."""
        os.kill(self.leader, signal.SIGKILL)
        self.process.wait(timeout)
        self.leader = None

    def end(self):
        if self.process is not None and self.process.poll() is None:
            if self.leader is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.leader, signal.SIGKILL)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.leader = None
        self._remove_cgroup()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _remove_cgroup(self):
        if Path("/run/systemd/system").is_dir():
            return
        script = 'mount -t cgroup2 none /mnt && [ ! -d "/mnt/$0" ] || find "/mnt/$0" -depth -type d -exec rmdir {} +'
        subprocess.run(["unshare", "--mount", "sh", "-c", script, self.name], capture_output=True)

    # Commands

    def enter(self, *command):
        """The command line that runs `command` inside."""
        environment = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
        return ["nsenter", f"--target={self.leader}", "--all", "env", "-i", "--chdir=/", *environment,
                *[str(word) for word in command]]

    def run(self, *command, check=True, timeout=60, stdin=None):
        """Runs a command inside; its output is text."""
        try:
            done = subprocess.run(self.enter(*command), capture_output=True, text=True, timeout=timeout,
                                  input=stdin if stdin is not None else "")
        except subprocess.TimeoutExpired:
            raise Timeout(f"{' '.join(map(str, command))}: still running after {timeout} s") from None
        if check and done.returncode != 0:
            raise CommandFailed([str(word) for word in command], done)
        return done

    def output(self, *command, **options):
        return self.run(*command, **options).stdout.strip()

    def start(self, *command, **options):
        """Starts a command inside and returns its Popen; its output is text, in pipes."""
        return Inside(self.enter(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                      text=True, start_new_session=True, **options)

    def path(self, path):
        """A path of the machine, as seen from outside."""
        return Path(f"/proc/{self.leader}/root") / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def copy_in(self, source, path, mode=0o755):
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(mode)

    # systemd

    def systemctl(self, *words, **options):
        return self.run("systemctl", *words, **options)

    def show(self, unit, property):
        return self.output("systemctl", "show", "--value", f"--property={property}", unit)

    def main_pid(self, unit="holdfast.service"):
        """As seen inside; 0 when there is none."""
        return int(self.show(unit, "MainPID"))

    def drop_in(self, unit, text):
        self.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.systemctl("daemon-reload")

    # The journal

    def journal(self, *matches):
        """All records that match FIELD=value, as dictionaries, oldest first."""
        self.run("journalctl", "--sync")
        lines = self.output("journalctl", "--quiet", "--output=json", "--all", *matches).splitlines()
        return [json.loads(line) for line in lines]

    def wait_for_record(self, *matches, count=1, where=lambda record: True, timeout=20):
        """Waits until `count` matching records are in the journal; returns the last of them."""
        follow = self.start("journalctl", "--quiet", "--follow", "--lines=all", "--output=json", "--all", *matches)
        deadline = time.monotonic() + timeout
        try:
            buffered = ""
            os.set_blocking(follow.stdout.fileno(), False)
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([follow.stdout], [], [], left)[0]:
                    raise Timeout(f"no record {' '.join(matches)} within {timeout} s; the journal ends with:\n"
                                  + self.output("journalctl", "--lines=40"))
                text = follow.stdout.read()
                if not text and follow.poll() is not None:
                    raise Timeout("journalctl --follow has ended: " + follow.stderr.read())
                buffered += text or ""
                *lines, buffered = buffered.split("\n")
                for line in lines:
                    record = json.loads(line)
                    if where(record):
                        count -= 1
                        if count == 0:
                            return record
        finally:
            follow.kill()
            follow.communicate()
