"""Fixtures: the package, a root with it installed, and a booted machine for each test."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import apps, package, root
from harness.loss import LossClient
from harness.machine import Machine, why_not

SOURCE = package.SOURCE


def pytest_addoption(parser):
    parser.addoption("--deb", default=os.environ.get("HOLDFAST_DEB"), help="the package; built when not given")
    parser.addoption("--loss", default=os.environ.get("HOLDFAST_LOSS"), help="the loss client; built when not given")


def pytest_collection_modifyitems(items):
    reason = why_not()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="no machine can be booted here: " + reason))


@pytest.fixture(scope="session")
def directory():
    """Where the layers of machines are: on disk, since an overlay wants a real file system beneath."""
    path = Path(tempfile.mkdtemp(prefix="holdfast-machine-", dir="/var/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def deb(request):
    given = request.config.getoption("--deb")
    return Path(given).resolve() if given else package.build(progress=print)


@pytest.fixture(scope="session")
def built(directory):
    """A function that builds a program of the tests, such as tests/tools/loss, and returns its path."""
    build = Path(os.environ.get("HOLDFAST_BUILD") or directory / "build")
    environment = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin")

    def program(target):
        if not (build / "build.ninja").exists():
            subprocess.run(["meson", "setup", build, SOURCE], check=True, stdout=subprocess.DEVNULL, env=environment)
        subprocess.run(["ninja", "-C", build, target], check=True, stdout=subprocess.DEVNULL, env=environment)
        return build / target

    return program


@pytest.fixture(scope="session")
def loss_binary(request, built):
    given = request.config.getoption("--loss")
    return Path(given).resolve() if given else built("tests/tools/loss")


@pytest.fixture(scope="session")
def base_root(deb):
    return root.base_root(deb, progress=print)


@pytest.fixture(scope="session")
def installed(base_root, deb, directory):
    """The layers of a root where apt has installed the package, uppermost first."""
    with Machine([base_root], directory) as machine:
        install(machine, deb)
        machine.power_off()
        layer = directory / "installed"
        machine.layer.rename(layer)
    return [layer, base_root]


def install(machine, deb):
    """Installs or upgrades by apt, as an administrator does. The machine has no network: nothing is downloaded."""
    machine.copy_in(deb, "/root/holdfast.deb", mode=0o644)
    return machine.run("apt-get", "install", "--yes", "--allow-downgrades", "/root/holdfast.deb")


@pytest.fixture
def bare_machine(base_root, directory):
    """Booted, without the package."""
    with Machine([base_root], directory) as machine:
        yield machine


@pytest.fixture
def machine(installed, directory):
    """Booted, with the package as installed: the sockets listen, the service has not been started."""
    with Machine(installed, directory) as machine:
        yield machine


@pytest.fixture
def loss_client(loss_binary):
    """A function that makes a loss client for a machine."""
    return lambda machine, *options, **more: LossClient(machine, loss_binary, *options, **more)


@pytest.fixture
def app(machine, built):
    """A function that starts one of the apps of tests/apps as a service: app("capp", port, start_delay=milliseconds)."""
    def start(kind, instance, **more):
        name = apps.KINDS[kind][1]
        program = apps.SOURCE / name if name == "pyapp.py" else built(f"tests/apps/{name}")
        return apps.App(machine, kind, program, instance, **more)

    return start


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The journal of the machine goes into the report of a test that failed, while the machine still is there."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for name in ("machine", "bare_machine"):
        box = item.funcargs.get(name)
        if box is not None and box.leader is not None:
            journal = box.output("journalctl", "--lines=60", "--output=short-precise", check=False)
            report.sections.append((f"journal of {name}", journal))
