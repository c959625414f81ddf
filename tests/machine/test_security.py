"""How exposed the service is, by systemd's own account, and that the confinement holds."""

import re

import service

THRESHOLD = 15  # tenths


def test_exposure(machine):
    done = machine.run("systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}",
                       "/lib/systemd/system/holdfast.service", check=False)
    exposure = re.search(r"Overall exposure level for holdfast.service: ([0-9.]+)", done.stdout)
    assert done.returncode == 0 and float(exposure.group(1)) * 10 <= THRESHOLD, done.stdout


def test_units_are_valid(machine):
    done = machine.run("systemd-analyze", "verify", "--man=no", "holdfast.service", "holdfast.socket",
                       "holdfast-https.socket", "holdfast-admin.socket", check=False)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def test_only_the_state_can_be_written(machine):
    machine.systemctl("start", "holdfast.service")
    probe = ("for d in /etc/holdfast /run/holdfast /usr /var/log /var/lib /var/lib/holdfast /tmp; do"
             " touch $d/probe 2>/dev/null && echo $d && rm $d/probe; done; true")
    pid = machine.main_pid()
    uid = machine.output("id", "-u", "holdfast")
    written = machine.output("nsenter", f"--target={pid}", "--mount", "setpriv", f"--reuid={uid}", "--clear-groups",
                             "sh", "-c", probe).split()
    assert written == ["/var/lib/holdfast", "/tmp"]
    # The private /tmp is not the machine's.
    assert service.get(machine)
