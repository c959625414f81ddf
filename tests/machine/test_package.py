"""The package by apt: install, upgrade, remove, purge."""

import pytest

import service
from conftest import install
from harness import package
from harness.events import match


def test_install_starts_the_sockets_and_serves(bare_machine, deb):
    done = install(bare_machine, deb)
    assert "rror" not in done.stdout + done.stderr, done.stdout + done.stderr
    for unit in ("holdfast.socket", "holdfast-admin.socket"):
        assert bare_machine.show(unit, "UnitFileState") == "enabled"
        assert bare_machine.show(unit, "ActiveState") == "active"
    assert bare_machine.show("holdfast-https.socket", "UnitFileState") == "disabled"
    assert bare_machine.show("holdfast.service", "ActiveState") == "inactive"
    assert "Holdfast is running" in service.get(bare_machine)
    assert bare_machine.output("getent", "passwd", "holdfast").endswith(":/usr/sbin/nologin")


def test_upgrade_leaves_what_the_administrator_stopped(machine, deb, directory):
    newer = package.with_version(deb, "9.0.1", directory)
    machine.systemctl("disable", "--now", "holdfast.socket", "holdfast-admin.socket")
    machine.systemctl("stop", "holdfast.service")
    install(machine, newer)
    assert machine.show("holdfast.service", "ActiveState") == "inactive"
    assert machine.show("holdfast.socket", "ActiveState") == "inactive"
    assert machine.show("holdfast.socket", "UnitFileState") == "disabled"


def test_upgrade_to_a_version_that_refuses_the_configuration(machine, deb, directory):
    """The running process stays, and the upgrade says so, and why."""
    newer = package.with_version(deb, "9.0.2", directory)
    service.get(machine)
    before = machine.main_pid()
    service.configure(machine, "[Gateway]\nThreads=many\n")
    done = install(machine, newer)
    assert "this version has not taken over" in done.stdout + done.stderr
    assert "Threads=many" in machine.journal(match("reload-failed"))[-1]["HOLDFAST_REASON"]
    assert machine.main_pid() == before
    assert "Holdfast is running" in service.get(machine)


def test_changed_configuration_survives_an_upgrade(machine, deb, directory):
    def edit(tree):
        with open(tree / "etc/holdfast/holdfast.conf", "a") as file:
            file.write("# a later version's default\n")

    newer = package.with_version(deb, "9.0.3", directory, edit)
    file = machine.path(service.MAIN_CONFIG)
    file.write_text(file.read_text() + "# the administrator's\n")
    machine.copy_in(newer, "/root/holdfast.deb", mode=0o644)
    machine.run("apt-get", "install", "--yes", "-o", "Dpkg::Options::=--force-confold",
                "/root/holdfast.deb")
    assert file.read_text().endswith("# the administrator's\n")


@pytest.mark.parametrize("purge", [False, True], ids=["remove", "purge"])
def test_removal(machine, purge):
    service.get(machine)
    service.configure(machine, "# an administrator's own\n", name="own.conf")
    machine.run("apt-get", "purge" if purge else "remove", "--yes", "holdfast")

    assert machine.run("curl", "--silent", "http://localhost/", check=False).returncode == 7  # refused
    assert not machine.output("systemctl", "list-units", "--all", "--no-legend", "--plain", "holdfast*",
                              "--state=active,failed,activating")
    assert not machine.path("/usr/sbin/holdfastd").exists()
    assert not machine.path("/run/holdfast/admin.sock").exists()
    assert machine.path("/var/lib/holdfast").exists() != purge
    assert machine.path(service.MAIN_CONFIG).exists() != purge
    # Not the package's, so not its to delete.
    assert machine.path("/etc/holdfast/conf.d/own.conf").exists()
    links = machine.output("sh", "-c", "find /etc/systemd /var/lib/systemd/deb-systemd-helper-* -name '*holdfast*'")
    assert bool(links) != purge, links
    assert match("ready") and machine.journal(match("ready")), "the journal is the administrator's record: it stays"


def test_purge_leaves_no_file_of_its_own(machine):
    machine.run("apt-get", "purge", "--yes", "holdfast")
    left = machine.output("sh", "-c", "find /etc /usr /var/lib /run -xdev -path '*holdfast*'"
                                      " -not -path '/var/lib/systemd/*' -not -path '/var/lib/dpkg/*'")
    assert not left, left


def test_reinstall_after_purge(machine, deb):
    machine.run("apt-get", "purge", "--yes", "holdfast")
    install(machine, deb)
    assert "Holdfast is running" in service.get(machine)
