"""The apps of tests/apps as plain services in a machine: each opens a socket of its own at its start, so that while it
restarts nobody listens there."""

from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "apps"
FOLDER = "/usr/lib/holdfast-tests"

# What there is of each: its unit, its program, the folder of its ledger, how it is told to start slowly, where it listens.
KINDS = {
    "capp": ("capp-tcp@{}.service", "capp", "capp", "--start-delay={}", "127.0.0.1:{}"),
    "capp-unix": ("capp@{}.service", "capp", "capp", None, "unix:/run/capp-{}/http.sock"),
    "pyapp": ("pyapp@{}.service", "pyapp.py", "pyapp", "--start-delay={}", "127.0.0.1:{}"),
    "ginapp": ("ginapp@{}.service", "ginapp", "ginapp", "-start-delay={}ms", "127.0.0.1:{}"),
}


class App:
    """One of them, started."""

    def __init__(self, machine, kind, program, instance, start_delay=0):
        """`program` is its file outside, `instance` its port or its name; `start_delay` in milliseconds."""
        template, name, self.folder, delay, address = KINDS[kind]
        self.machine, self.kind, self.instance = machine, kind, instance
        self.address = address.format(instance)
        self.unit = template.format(instance)
        if not machine.path(f"{FOLDER}/{name}").exists():
            machine.copy_in(program, f"{FOLDER}/{name}")
            unit = template.format("")
            machine.copy_in(SOURCE / unit, f"/etc/systemd/system/{unit}", mode=0o644)
            machine.systemctl("daemon-reload")
        if start_delay:
            machine.drop_in(self.unit, f'[Service]\nEnvironment="OPTIONS={delay.format(start_delay)}"\n')
        self.start()

    def start(self):
        """Returns when it is ready."""
        self.machine.systemctl("start", self.unit)

    def stop(self):
        self.machine.systemctl("stop", self.unit)

    def restart(self):
        self.machine.systemctl("restart", self.unit)

    def signal(self, name):
        self.machine.systemctl("kill", "--kill-who=main", f"--signal={name}", self.unit)

    def is_active(self):
        return self.machine.show(self.unit, "ActiveState") == "active"

    def ask(self, path, method="GET"):
        """A request that does not go through the gateway; its body."""
        return self.machine.output("curl", "--silent", "--show-error", "--fail", "--max-time", 10, "--request", method,
                                   f"http://{self.address}{path}")

    def executed(self):
        """The ids in its ledger, in the order in which they were executed."""
        ledger = self.machine.output("cat", f"/var/lib/private/{self.folder}/ledger-{self.instance}", check=False)
        return [line.partition(" ")[0] for line in ledger.splitlines()]
