"""The resolver against a DNS server that changes its mind, fails, is silent and lies.

Each test plays the server and asserts on what the resolver's watches are told. TTLs of 1 s, the shortest that count,
keep the tests short.
"""

import collections
import errno
import json
import os
import pathlib
import queue
import random
import struct
import subprocess
import threading
import time

import pytest

import manager
import nameserver
from nameserver import a, aaaa, cname, srv
from process import cpu_seconds

BUILD = pathlib.Path(os.environ.get("HOLDFAST_BUILD", pathlib.Path(__file__).parents[2] / "build"))
DRIVER = BUILD / "tests" / "system" / "resolver-driver"
TIMEOUT = 20

# The names of servers and files come by test hooks.
pytestmark = pytest.mark.hooks


class Driver:
    def __init__(self, **environment):
        self.process = subprocess.Popen([*manager.UNDER, DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.done = queue.Queue()
        self.answers = {}
        self.seen = collections.Counter()  # answers for each watch
        self.ended = []  # watches, each with how many answers it had
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.descriptors = self.ask("state")["descriptors"]
        self.n_watches = 0

    def read(self):
        for text in self.process.stdout:
            line = json.loads(text)
            line["at"] = time.monotonic()
            if "done" in line:
                line["seen"] = self.seen.copy()
                self.done.put(line)
            else:
                self.seen[line["watch"]] += 1
                self.queue_of(line["watch"]).put(line)

    def queue_of(self, name):
        return self.answers.setdefault(name, queue.Queue())

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.done.get(timeout=TIMEOUT)

    def watch(self, target):
        self.n_watches += 1
        watch = Watch(self, f"w{self.n_watches}")
        self.ask(f"watch {watch.name} {target}")
        return watch

    def finish(self):
        """Nothing was told after the end, all is given back, and a sanitizer has nothing to say."""
        done = self.ask("free")
        assert done["descriptors"] == 0
        self.process.stdin.close()
        self.reader.join(TIMEOUT)
        errors = self.process.stderr.read()
        assert (self.process.wait(TIMEOUT), errors) == (0, "")
        assert self.seen == done["seen"]
        for watch, seen in self.ended:
            assert self.seen[watch.name] == seen


class Watch:
    def __init__(self, driver, name):
        self.driver = driver
        self.name = name
        self.queue = driver.queue_of(name)

    def answer(self, timeout=TIMEOUT):
        return self.queue.get(timeout=timeout)

    def addresses(self):
        """Those of the next answer, which must not be an error."""
        line = self.answer()
        assert line["error"] is None, line
        return [address for address, _ in line["addresses"]]

    def weighted(self):
        line = self.answer()
        assert line["error"] is None, line
        return dict(line["addresses"])

    def error(self, timeout=TIMEOUT):
        line = self.answer(timeout)
        assert line["error"] and not line["addresses"], line
        return line["error"]

    def until(self, addresses):
        """Answers come until one has these addresses."""
        deadline = time.monotonic() + TIMEOUT
        while self.addresses() != addresses:
            assert time.monotonic() < deadline

    def end(self):
        done = self.driver.ask(f"unwatch {self.name}")
        self.driver.ended.append((self, done["seen"][self.name]))


@pytest.fixture
def server():
    server = nameserver.Server()
    yield server
    server.stop()


@pytest.fixture
def no_hosts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("")
    return path


@pytest.fixture
def start(no_hosts, tmp_path):
    """start(*servers, **environment) gives a driver that asks these."""
    drivers = []
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("")

    def start_driver(*servers, **environment):
        defaults = {"CARES_HOSTS": str(no_hosts), "HOLDFAST_RESOLV_CONF": str(resolv_conf)}
        if servers:
            defaults["HOLDFAST_DNS_SERVERS"] = ",".join(servers)
        drivers.append(Driver(**{**defaults, **environment}))
        return drivers[-1]

    yield start_driver
    for driver in drivers:
        driver.finish()


@pytest.fixture
def driver(start, server):
    return start(server.address)


def refuse(rcode):
    return lambda query: query.reply(rcode=rcode)


def silence(query):
    return None


# Hosts


def test_both_families(driver, server):
    server.set(app_test=[aaaa("2001:db8::1"), a("192.0.2.2"), a("192.0.2.1"), a("192.0.2.2")])
    line = driver.watch("app.test:8080").answer()
    assert line["addresses"] == [["192.0.2.1:8080", 0], ["192.0.2.2:8080", 0], ["[2001:db8::1]:8080", 0]]
    assert (line["error"], line["ttl"]) == (None, 1)


@pytest.mark.parametrize("records", [[a("192.0.2.1")], [aaaa("2001:db8::1")]])
def test_one_family(driver, server, records):
    server.set(app_test=records)
    assert len(driver.watch("app.test:80").addresses()) == 1


@pytest.mark.parametrize("failure", [nameserver.SERVFAIL, nameserver.REFUSED])
@pytest.mark.parametrize("failing", [nameserver.A, nameserver.AAAA])
def test_one_family_fails(driver, server, failing, failure):
    records = [a("192.0.2.1"), aaaa("2001:db8::1")]
    server.set(app_test=lambda query: query.reply(rcode=failure) if query.type == failing
               else query.reply([r for r in records if r[0] == query.type]))
    assert len(driver.watch("app.test:80").addresses()) == 1


def test_addresses_change_when_the_ttl_is_over(driver, server):
    server.set(app_test=[a("192.0.2.1", 2)])
    watch = driver.watch("app.test:80")
    first = watch.answer()
    assert first["addresses"] == [["192.0.2.1:80", 0]] and first["ttl"] == 2
    server.set(app_test=[a("192.0.2.2", 1), a("192.0.2.3", 100)])
    second = watch.answer()
    assert second["addresses"] == [["192.0.2.2:80", 0], ["192.0.2.3:80", 0]] and second["ttl"] == 1
    assert second["at"] - first["at"] >= 1.9
    assert watch.answer()["at"] - second["at"] >= 0.9


@pytest.mark.parametrize("ttl, counts", [(0, 1), (1, 1), (77, 77), (86400, 300), (0xffffffff, 1)])
def test_ttl(driver, server, ttl, counts):
    server.set(app_test=[a("192.0.2.1", ttl)])
    assert driver.watch("app.test:80").answer()["ttl"] == counts


def test_aliases(driver, server):
    def chain(query):
        records = [a("192.0.2.1", 60)] if query.type == nameserver.A else []
        return query.reply([cname("b.test", 50), ("b.test", *cname("c.test", 40)), *(("c.test", *r) for r in records)])
    server.set(app_test=chain)
    line = driver.watch("app.test:80").answer()
    assert (line["addresses"], line["ttl"]) == ([["192.0.2.1:80", 0]], 40)


def test_truncated(driver, server):
    """An answer of more than 512 bytes comes by TCP; and more than 200 addresses do not count."""
    server.set(app_test=[a(f"192.0.{2 + i // 250}.{1 + i % 250}") for i in range(1000)])
    addresses = driver.watch("app.test:80").addresses()
    assert len(addresses) == 200
    assert addresses[0] == "192.0.2.1:80" and addresses[-1] == "192.0.2.200:80"
    assert any(query.is_tcp for query in server.queries)


def test_hosts_file(start, server, no_hosts):
    no_hosts.write_text("192.0.2.7 app.test alias\n2001:db8::7 app.test\n")
    driver = start(server.address)
    line = driver.watch("app.test:80").answer()
    assert [address for address, _ in line["addresses"]] == ["192.0.2.7:80", "[2001:db8::7]:80"]
    assert line["ttl"] == 10
    assert driver.watch("alias:80").addresses() == ["192.0.2.7:80"]
    assert not server.queries


def test_hosts_file_of_the_system(start, server):
    driver = start(server.address, CARES_HOSTS="/etc/hosts")
    assert "127.0.0.1:80" in driver.watch("localhost:80").addresses()


def test_unusable_addresses(driver, server):
    server.set(app_test=[a("0.0.0.0"), a("255.255.255.255"), a("224.0.0.1"), aaaa("::"), aaaa("fe80::1")])
    assert "no address" in driver.watch("app.test:80").error()


# Failures


@pytest.mark.parametrize("what, error", [
    (refuse(nameserver.NXDOMAIN), "no such name"), ([], "no address"), (refuse(nameserver.SERVFAIL), "all fail"),
    (refuse(nameserver.REFUSED), "all fail")])
def test_failure(driver, server, what, error):
    """It is said, tried again after a second and then two, and over with the first answer."""
    server.set(app_test=[a("192.0.2.1")])
    watch = driver.watch("app.test:80")
    assert watch.addresses() == ["192.0.2.1:80"]
    server.set(app_test=what)
    lines = [watch.answer(), watch.answer()]
    for line in lines:
        assert error in line["error"] and line["addresses"] == []
    assert [line["ttl"] for line in lines] == [1, 2]
    assert 0.9 < lines[1]["at"] - lines[0]["at"] < 1.9
    server.set(app_test=[a("192.0.2.1")])
    assert watch.addresses() == ["192.0.2.1:80"]
    server.set(app_test=what)
    assert watch.answer()["ttl"] == 1


def test_silent_once(driver, server):
    """A lost packet is asked for again."""
    seen = []

    def lose_first(query):
        seen.append(query.type)
        if seen.count(query.type) == 1:
            return None
        return query.reply([a("192.0.2.1")] if query.type == nameserver.A else [])
    server.set(app_test=lose_first)
    assert driver.watch("app.test:80").addresses() == ["192.0.2.1:80"]


def test_silent(driver, server):
    server.set(app_test=silence, other_test=[a("192.0.2.1")])
    watch = driver.watch("app.test:80")
    assert driver.watch("other.test:80").addresses() == ["192.0.2.1:80"]
    assert "answered" in watch.error()
    server.set(app_test=[a("192.0.2.2")])
    assert watch.addresses() == ["192.0.2.2:80"]


def test_no_server(start, server):
    server.stop()
    assert "reached" in start(server.address).watch("app.test:80").error()


def test_second_server(start, server):
    other = nameserver.Server({"app.test": [a("192.0.2.1")]})
    server.set(app_test=refuse(nameserver.SERVFAIL))
    assert start(server.address, other.address).watch("app.test:80").addresses() == ["192.0.2.1:80"]
    other.stop()


def garbage(rng):
    """Messages that have the right beginning, so that they are looked at."""
    def answer(query):
        good = query.reply([cname("b.test"), ("b.test", *a("192.0.2.1")), srv(1, 2, 3, "b.test"), aaaa("2001:db8::1")])
        how = rng.randrange(5)
        start_of_records = 12 + len(query.question)
        if how == 0:
            return good[:rng.randrange(len(good))]
        if how == 1:
            return good[:start_of_records] + rng.randbytes(rng.randrange(100))
        if how == 2:
            return query.reply(count=rng.choice([1, 7, 65535]))
        mutable = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            mutable[rng.randrange(start_of_records, len(good))] = rng.choice([0, 1, 0xc0, 0xff, rng.randrange(256)])
        if how == 4:
            mutable[rng.randrange(4, 12)] = rng.randrange(256)
        return bytes(mutable)
    return answer


def test_garbage(driver, server):
    """Whatever comes, the resolver goes on."""
    rng = random.Random(7)
    answer = garbage(rng)
    watches = []
    for i in range(150):
        server.set_name(f"g{i}.test", answer)
        watches.append(driver.watch(f"g{i}.test:80" if i % 2 else f"srv:g{i}.test"))
    server.set(app_test=[a("192.0.2.1")])
    for watch in watches[:60]:
        watch.answer()
    for watch in watches:
        watch.end()
    assert driver.watch("app.test:80").addresses() == ["192.0.2.1:80"]


def test_malformed(driver, server):
    server.set(app_test=lambda query: query.reply([(query.type, 1, b"\1\2")]),
               srv_test=lambda query: query.reply([(nameserver.SRV, 1, struct.pack("!HHH", 1, 1, 1) + b"\xc0\xff")]))
    driver.watch("app.test:80").error()
    assert "malformed" in driver.watch("srv:srv.test").error()


# Services


def test_service(driver, server):
    server.set(b_test=[a("192.0.2.2", 40), aaaa("2001:db8::2", 40)], a_test=[a("192.0.2.1", 50)])
    server.set_name("_http._tcp.test", [srv(10, 3, 8002, "b.test", 60), srv(10, 0, 8001, "a.test", 60)])
    line = driver.watch("srv:_http._tcp.test").answer()
    assert dict(line["addresses"]) == {"192.0.2.1:8001": 1, "192.0.2.2:8002": 3, "[2001:db8::2]:8002": 3}
    assert line["ttl"] == 40


def test_service_changes_when_its_ttl_is_over(driver, server):
    server.set(a_test=[a("192.0.2.1", 60)], srv_test=[srv(1, 5, 8001, "a.test", 1)])
    watch = driver.watch("srv:srv.test")
    assert watch.weighted() == {"192.0.2.1:8001": 5}
    server.set(srv_test=[srv(1, 7, 8001, "a.test", 1), srv(1, 1, 8002, "a.test", 1)])
    while (found := watch.weighted()) == {"192.0.2.1:8001": 5}:
        pass
    assert found == {"192.0.2.1:8001": 7, "192.0.2.1:8002": 1}


def test_service_weights_are_those_of_targets(driver, server):
    server.set(a_test=[a("192.0.2.1")], b_test=[a("192.0.2.2")],
               srv_test=[srv(1, 60000, 80, "a.test"), srv(1, 30000, 80, "b.test")])
    assert driver.watch("srv:srv.test").weighted() == {"192.0.2.1:80": 256, "192.0.2.2:80": 128}


def test_service_priorities(driver, server):
    """The next priority counts when the one before has no address."""
    server.set(c_test=[a("192.0.2.3")], b_test=[a("192.0.2.2")],
               srv_test=[srv(30, 1, 80, "c.test"), srv(20, 1, 80, "b.test"), srv(10, 1, 80, "a.test")])
    watch = driver.watch("srv:srv.test")
    assert watch.weighted() == {"192.0.2.2:80": 1}
    server.set(a_test=[a("192.0.2.1")])
    while (found := watch.weighted()) == {"192.0.2.2:80": 1}:
        pass
    assert found == {"192.0.2.1:80": 1}
    server.set(a_test=refuse(nameserver.SERVFAIL))
    while (line := watch.answer())["error"] is None:
        assert line["addresses"] == [["192.0.2.1:80", 1]]
    assert "all fail" in line["error"]


def test_service_in_part(driver, server):
    """What can be looked up counts, and the rest is soon asked for again."""
    server.set(a_test=[a("192.0.2.1", 100)], b_test=refuse(nameserver.SERVFAIL),
               srv_test=[srv(1, 1, 80, "a.test", 100), srv(1, 1, 80, "b.test", 100)])
    line = driver.watch("srv:srv.test").answer()
    assert (line["addresses"], line["ttl"]) == ([["192.0.2.1:80", 1]], 5)


def test_service_of_which_nothing_is_sure(driver, server):
    """Where a target may have addresses, the next priority does not count."""
    server.set(a_test=refuse(nameserver.SERVFAIL), c_test=[a("192.0.2.3")],
               srv_test=[srv(1, 1, 80, "a.test"), srv(1, 1, 80, "none.test"), srv(2, 1, 80, "c.test")])
    assert "all fail" in driver.watch("srv:srv.test").error()


def test_service_does_not_exist(driver, server):
    server.set(srv_test=[srv(0, 0, 0, ".")], empty_test=[], lost_test=[srv(0, 0, 80, "nowhere.test")])
    assert "does not exist" in driver.watch("srv:srv.test").error()
    assert "no SRV records" in driver.watch("srv:empty.test").error()
    assert "no such name" in driver.watch("srv:lost.test").error()
    assert "no such name" in driver.watch("srv:none.test").error()


def test_service_with_an_alias(driver, server):
    records = [cname("srv.test", 60), ("srv.test", *srv(1, 1, 80, "a.test", 90))]
    server.set(a_test=[a("192.0.2.1", 100)], alias_test=lambda query: query.reply(records))
    line = driver.watch("srv:alias.test").answer()
    assert (line["addresses"], line["ttl"]) == ([["192.0.2.1:80", 1]], 60)


def test_service_of_many(driver, server):
    """Over TCP, and no more than count."""
    for i in range(250):
        server.set_name(f"h{i:03}.test", [a(f"192.0.2.{i}"), a(f"192.0.3.{i}")])
    server.set(srv_test=[srv(1, 1, 8000 + i, f"h{i:03}.test") for i in range(250)])
    assert len(driver.watch("srv:srv.test").addresses()) == 200


# Coming and going


def test_many_watches(driver, server):
    for i in range(300):
        server.set_name(f"h{i}.test", [a(f"192.0.2.{i % 250 + 1}")])
    watches = [driver.watch(f"h{i}.test:{1000 + i}") for i in range(300)]
    for _ in range(2):
        for i, watch in enumerate(watches):
            assert watch.addresses() == [f"192.0.2.{i % 250 + 1}:{1000 + i}"]
    for watch in watches:
        watch.end()
    assert driver.ask("state")["descriptors"] <= driver.descriptors + 2  # sockets of lookups under way


def test_nothing_after_unwatch(driver, server):
    asked = threading.Event()

    def slow(query):
        asked.set()
        time.sleep(0.3)
        return query.reply([a("192.0.2.1")] if query.type == nameserver.A else [])
    server.set(app_test=slow, other_test=[a("192.0.2.2")])
    watch = driver.watch("app.test:80")
    assert asked.wait(TIMEOUT)
    watch.end()
    other = driver.watch("other.test:80")
    for _ in range(2):
        other.addresses()
    assert watch.queue.empty()


def test_come_and_go(driver, server):
    """Watches end while they are called back."""
    server.set(app_test=[a("192.0.2.1")])
    rng = random.Random(7)
    for _ in range(300):
        watch = driver.watch("app.test:80")
        time.sleep(rng.random() * 0.003)
        watch.end()
    driver.watch("app.test:80").addresses()


@pytest.mark.parametrize("target", ["app.test:80", "srv:app.test", "srv:srv.test"])
def test_free_while_asked(driver, server, target):
    server.set(app_test=silence, srv_test=[srv(1, 1, 80, "a.test"), srv(1, 1, 81, "app.test"), srv(2, 1, 82, "b.test")])
    watch = driver.watch(target)
    deadline = time.monotonic() + TIMEOUT
    while not server.count("app.test"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    driver.ask("free")
    assert time.monotonic() - began < 1
    assert watch.queue.empty()


def test_sleeps_between(driver, server):
    """While there is nothing to do, nothing is done."""
    server.set(app_test=[a("192.0.2.1", 100)])
    driver.watch("app.test:80").addresses()
    spent = [cpu_seconds(driver.process.pid) for _ in range(2) if not time.sleep(1)]
    assert spent[1] - spent[0] <= 0.01


def test_thread(driver):
    """It is named, and takes no signal."""
    tasks = pathlib.Path(f"/proc/{driver.process.pid}/task")
    task, = [task for task in tasks.iterdir() if (task / "comm").read_text() == "resolver\n"]
    status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
    assert int(status["SigBlk"], 16) & 0x7fffffff & ~(1 << 8 | 1 << 18) == 0x7fffffff & ~(1 << 8 | 1 << 18)


# resolv.conf


def server_on_port_53(names):
    """The file tells no ports, so the address is one that nobody else uses."""
    while True:
        host = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        try:
            return host, nameserver.Server(names, host, 53)
        except PermissionError:
            pytest.skip("only root can play a DNS server on port 53")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def test_resolv_conf_changes(start, tmp_path):
    """Lookups under way begin again with the new server."""
    old_host, old = server_on_port_53({"app.test": [a("192.0.2.1")], "silent.test": silence})
    new_host, new = server_on_port_53({"app.test": [a("192.0.2.2")], "silent.test": [a("192.0.2.3")]})
    resolv_conf = tmp_path / "resolv.conf"
    driver = start()
    resolv_conf.write_text(f"nameserver {old_host}\n")
    watch = driver.watch("app.test:80")
    assert watch.addresses() == ["192.0.2.1:80"]
    silent = driver.watch("silent.test:80")
    while not old.count("silent.test"):
        time.sleep(0.01)
    resolv_conf.write_text(f"nameserver {new_host}\n# another file\n")
    watch.until(["192.0.2.2:80"])
    assert silent.addresses() == ["192.0.2.3:80"]
    resolv_conf.unlink()
    resolv_conf.write_text(f"nameserver {old_host}\n")
    watch.until(["192.0.2.1:80"])
    old.stop()
    new.stop()
