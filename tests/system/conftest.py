"""Fixtures for tests of holdfastd as a process, with a service manager that the tests play themselves.

The binary is $HOLDFASTD, or holdfastd in $BUILD; tests that need its test hooks are skipped where it has none.
"""

import pytest

import h1
import manager


@pytest.fixture
def new_service(request):
    """Makes services: each with a directory, sockets and a process of its own. At the end of the test they are stopped,
    and it fails for a sanitizer's report, a warning nobody expected, or another exit status than expected."""
    services = []

    def make(**options):
        if not manager.find_holdfastd().exists():
            pytest.fail(f"there is no {manager.find_holdfastd()}: set HOLDFASTD or BUILD")
        services.append(manager.Service(**options))
        return services[-1]

    yield make
    problems = []
    for service in services:
        try:
            service.close()
        except AssertionError as problem:
            problems.append(str(problem))
        print(service.text())  # shown when the test fails
    assert not problems, "\n".join(problems)


@pytest.fixture
def service(new_service):
    """One service, not started yet."""
    return new_service()


@pytest.fixture
def gateway(service):
    """A running gateway: one Unix socket "http" (index 0), one "admin" (1), and GET /hello."""
    service.listen("http")
    service.listen("admin")
    service.configure('[Route /hello]\nRespond=200 "hello"\n')
    return service.start_ready()


@pytest.fixture
def upstream(service):
    """An app on a Unix socket, played by the test."""
    app = h1.Upstream(service.directory / "app.sock")
    yield app
    app.close()


def pytest_configure(config):
    config.addinivalue_line("markers", "hooks: needs a holdfastd built with -Dhooks=true")
    config.addinivalue_line("markers", "costs: judges time or memory, so it is for the program as it is, and nobody else's")


def pytest_runtest_setup(item):
    if item.get_closest_marker("hooks") and not manager.has_hooks():
        pytest.skip("holdfastd was built without -Dhooks=true")


def pytest_collection_modifyitems(config, items):
    if manager.is_instrumented():
        out = [item for item in items if item.get_closest_marker("costs")]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
