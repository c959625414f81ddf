"""A service manager for one service: what holdfastd sees of systemd, without systemd.

It opens listening sockets and passes them as descriptors 3 and up to a freshly executed holdfastd, with their names in
LISTEN_FDNAMES; it listens on NOTIFY_SOCKET and keeps every message with the time it came at; it keeps stderr, and knows
which lines of it nobody expected. Everything a test waits for is waited for as an event, with a timeout.

As systemd with NotifyAccess=main it listens to the main process alone, and follows it when that names another by
MAINPID=: whatever a process says that is not the main one is a fault, which the test fails for at its end. Successors
are children of the manager, as they are of systemd.

It has a store for descriptors (FDSTORE=1), whose contents go to the next process; and where restart() is called, a bus
on which it says what job the unit has.
"""

import array
import contextlib
import dataclasses
import fcntl
import functools
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import h1
import own_unit

SANITIZER = re.compile(r"(Address|Leak|Memory|Thread|UndefinedBehavior)Sanitizer|runtime error: |^==\d+== ")
# Where stderr is no terminal and not the journal, a record is a line "notice: message (field=value …)".
ORDINARY = re.compile(r"(\d\d:\d\d:\d\d\.\d{3} )?(notice|info|debug): ")
# Without a real systemd there is no bus to ask.
NO_BUS = r"warning: cannot ask systemd for (TimeoutStopSec=|the state of units)"

# What the programs are run under (valgrind and its options), and how much longer than usual they are waited for then.
UNDER = shlex.split(os.environ.get("HOLDFAST_UNDER", ""))
PATIENCE = h1.PATIENCE

SD_LISTEN_FDS_START = 3
HIGH = 200  # descriptors are parked from here on, out of the way of those that are passed


def find_holdfastctl():
    """Beside the holdfastd that is tested, or where a build has it."""
    build = find_holdfastd().parent
    return next(path for path in (build / "src/ctl/holdfastctl", build / "holdfastctl") if path.exists())


def children():
    """The processes that this one has started, or that were made its own, ended or not, and their command lines."""
    found = {}
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for pid in (task / "children").read_text().split():
                with contextlib.suppress(OSError):
                    found[int(pid)] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def find_holdfastd():
    """$HOLDFASTD, or the one in the build directory $BUILD (or $HOLDFAST_BUILD, or build/)."""
    if "HOLDFASTD" in os.environ:
        return pathlib.Path(os.environ["HOLDFASTD"])
    default = pathlib.Path(__file__).parents[2] / "build"
    return pathlib.Path(os.environ.get("BUILD") or os.environ.get("HOLDFAST_BUILD") or default) / "holdfastd"


class Failure(AssertionError):
    """What a test waited for did not come."""


@dataclasses.dataclass
class Message:
    """One datagram to NOTIFY_SOCKET."""

    at: float  # time.monotonic()
    pid: int
    lines: list

    def __contains__(self, assignment):
        return assignment in self.lines

    def value(self, name):
        for line in self.lines:
            if line.startswith(name + "="):
                return line.partition("=")[2]
        return None


class Log:
    """A growing list that can be waited on."""

    def __init__(self):
        self.items = []
        self.closed = False
        self.changed = threading.Condition()

    def add(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def snapshot(self):
        with self.changed:
            return list(self.items)

    def wait(self, wanted, timeout, after=0):
        """The first item from index `after` on for which wanted(item); None when time is up or no more can come."""
        deadline = time.monotonic() + timeout
        with self.changed:
            at = after
            while True:
                for item in self.items[at:]:
                    if wanted(item):
                        return item
                at = len(self.items)
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    return None
                self.changed.wait(left)


def listen(kind="unix", directory=None, backlog=4096):
    """A listening socket: "unix", "tcp4", "tcp6", or a path for a Unix socket there. Ports are the kernel's choice."""
    if kind == "tcp4" or kind == "tcp6":
        family, address = (socket.AF_INET, "127.0.0.1") if kind == "tcp4" else (socket.AF_INET6, "::1")
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, 0))
    else:
        path = kind if kind != "unix" else f"{directory}/{len(os.listdir(directory))}.sock"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(path))
    sock.listen(backlog)
    return sock


class Service:
    """One holdfastd, its sockets, and what it said. Made by the fixture `service`; start() runs it.

    The listening sockets outlive the process, as they do with systemd, so start() may be called again after it ended.
    """

    def __init__(self, binary=None):
        self.binary = binary or find_holdfastd()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hf-"))  # short: paths of Unix sockets are
        self.config_path = self.directory / "holdfast.conf"
        self.sockets = []  # of (name, socket)
        self.allowed = [NO_BUS, r"--\d+-- "]  # so valgrind tells of a system call that it does not know
        self.expected_status = 0
        self.environment = {}
        self.pid = None  # of the main process
        self.status = None  # its exit status; negative: the signal that ended it
        self.stored = []  # of (name, descriptor)
        self.store_max = 8  # FileDescriptorStoreMax=
        self.on_store = None  # called with the name when a descriptor was stored, before its sender knows that
        self.unit = None  # what the bus tells of it
        self.faults = []  # what was said by somebody who has no say
        self.former = {}  # generations that were replaced: their exit statuses by pid, None while they live
        self._pidfd = None
        self._former_pidfds = {}
        self._following = threading.Lock()
        self._threads = []
        self.notifications = Log()
        self.stderr = Log()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._notify.bind(str(self.directory / "notify"))
        self._notify_end, self._notify_end_write = os.pipe()
        self._notify_thread = threading.Thread(target=self._read_notifications, daemon=True)
        self._notify_thread.start()

    # What it is started with

    def listen(self, name="http", kind="unix"):
        """Opens a socket that is passed under a name. Returns it."""
        sock = listen(kind, self.directory)
        self.pass_socket(name, sock)
        return sock

    def pass_socket(self, name, sock):
        self.sockets.append((name, sock))

    def configure(self, text, listeners=("http",), gateway="Threads=2"):
        """Writes the configuration: `text` and, if any, a section for each listener and [Gateway]."""
        sections = [f"[Listener {name}]\n" for name in listeners]
        if gateway:
            sections.insert(0, f"[Gateway]\n{gateway}\n")
        self.write_config("".join(sections) + text)

    def write_config(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.config_path.write_bytes(data)

    def drop_in(self, name, text):
        (self.directory / "conf.d").mkdir(exist_ok=True)
        (self.directory / "conf.d" / name).write_text(text)

    def allow(self, *patterns):
        """Lines on stderr that begin with one of these are no surprise."""
        self.allowed += patterns

    # Running it

    def start(self, *arguments, watchdog=None, notify=True, channel=None, descriptors=None):
        """Executes it. `watchdog`: seconds, for WATCHDOG_USEC; `channel`: to a predecessor that the test plays."""
        assert self._pidfd is None, "it runs already"
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "HOME") or k.endswith("SAN_OPTIONS")}
        suppressions = f"suppressions={pathlib.Path(__file__).with_name('lsan.supp')}:print_suppressions=0"
        environment.setdefault("LSAN_OPTIONS", suppressions)
        environment["STATE_DIRECTORY"] = str(self.directory / "state")
        environment["DBUS_SYSTEM_BUS_ADDRESS"] = self.unit.address if self.unit else "unix:path=/nonexistent"
        if self.unit:
            environment["INVOCATION_ID"] = self.unit.invocation.hex()
        (self.directory / "state").mkdir(exist_ok=True)
        if notify:
            environment["NOTIFY_SOCKET"] = str(self.directory / "notify")
        if watchdog:
            environment["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        passed = [(name, sock.fileno()) for name, sock in self.sockets] + self.stored
        if passed:
            environment["LISTEN_FDS"] = str(len(passed))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in passed)
        if channel:
            environment["HOLDFAST_SUCCESSION_FD"] = str(SD_LISTEN_FDS_START + len(passed))
        environment.update(self.environment)

        self.status = None
        self.notifications = Log()
        self.stderr = Log()
        read, write = os.pipe()
        # LISTEN_PID is the process itself; a shell that executes it is the simplest way to know it beforehand.
        limit = f"ulimit -n {descriptors}; " if descriptors else ""
        command = ["/bin/sh", "-c", limit + 'LISTEN_PID=$$ exec "$0" "$@"', *UNDER, str(self.binary)]
        command += [str(a) for a in (arguments or ("--config", self.config_path))]
        with contextlib.ExitStack() as parked:
            fds = []
            for fd in [fd for _, fd in passed] + ([channel.fileno()] if channel else []):
                fds.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH))
                parked.callback(os.close, fds[-1])
            actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, write, 2)]
            actions.append((os.POSIX_SPAWN_DUP2, 2, 1))
            actions += [(os.POSIX_SPAWN_DUP2, fd, SD_LISTEN_FDS_START + i) for i, fd in enumerate(fds)]
            with self._following:  # it may speak before its number is known here
                self.pid = os.posix_spawn(command[0], command, environment, file_actions=actions,
                                          setsigdef=[signal.SIGPIPE])
                self._pidfd = os.pidfd_open(self.pid)
        os.close(write)
        self._reap_former()
        self.former = {pid: status for pid, status in self.former.items() if status is None}  # these still drain
        thread = threading.Thread(target=self._read_stderr, args=(read, self.stderr), daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def start_ready(self, *arguments, timeout=20, **options):
        self.start(*arguments, **options)
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=20):
        return self.wait_for("READY=1", timeout)

    def wait_for(self, assignment, timeout=10, after=0):
        """The first notification, from index `after` on, that has a line which begins so. Fails when the process ends
        first."""

        def wanted(message):
            return any(line.startswith(assignment) for line in message.lines)

        deadline = time.monotonic() + timeout * PATIENCE
        while True:
            running = self.is_running()
            found = self.notifications.wait(wanted, min(0.1, max(0, deadline - time.monotonic())), after)
            if found:
                return found
            if not running or time.monotonic() >= deadline:
                state = "no such message in time" if running else f"it ended with {self.wait(1)} before"
                raise Failure(f"waiting for {assignment}: {state}\n{self.text()}")

    def wait_for_several(self, assignment, count, timeout=10):
        """The first `count` notifications that have this line."""
        deadline = time.monotonic() + timeout
        found, after = [], 0
        while len(found) < count:
            found.append(self.wait_for(assignment, deadline - time.monotonic(), after))
            after = next(i for i, m in enumerate(self.notifications.snapshot()) if m is found[-1]) + 1
        return found

    def wait_for_line(self, pattern, timeout=10, after=0):
        """The first line on stderr that the pattern is found in, which is then no surprise either."""
        self.allow(".*" + pattern)
        found = self.stderr.wait(re.compile(pattern).search, timeout * PATIENCE, after)
        if found is None:
            raise Failure(f"waiting for a line /{pattern}/\n{self.text()}")
        return found

    def assert_silent(self, assignment, seconds):
        """No such notification comes within the time."""
        after = len(self.notifications.snapshot())
        found = self.notifications.wait(lambda m: any(l.startswith(assignment) for l in m.lines), seconds, after)
        assert found is None, f"{assignment} came all the same"

    def is_running(self):
        return self._pidfd is not None and not select.select([self._pidfd], [], [], 0)[0]

    def signal(self, number=signal.SIGTERM):
        """To the main process."""
        signal.pidfd_send_signal(self._pidfd, number)

    def signal_all(self, number):
        """To every generation that is left."""
        self._signal_former(number)
        if self._pidfd is not None:
            self.signal(number)

    def wait(self, timeout=10):
        """Waits for the end of the main process. Its exit status; negative when a signal ended it."""
        if self._pidfd is None:
            return self.status
        if not select.select([self._pidfd], [], [], timeout * PATIENCE)[0]:
            raise Failure(f"it did not end within {timeout} s\n{self.text()}")
        with self._following:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self._pidfd)
            self._pidfd = None
        self._reap_former()
        if not self._former_pidfds:
            for thread in self._threads:
                thread.join(5)
            self._threads.clear()
        return self.status

    def stop(self, timeout=20):
        """As KillMode=control-group: every generation is told, and waited for. The main one's exit status."""
        self.signal_all(signal.SIGTERM)
        self.wait_former(timeout)
        return self.wait(timeout)

    def begin_restart(self):
        """systemctl restart, as far as the process sees it that is to end."""
        self.unit.job = "restart"
        self.signal(signal.SIGTERM)

    def restart(self, timeout=20):
        """systemctl restart. """
        self.begin_restart()
        assert self.wait(timeout) == 0, self.text()
        self.start_again()

    def start_again(self):
        """The second half of a restart. What the process before has said is looked through, since it is forgotten."""
        assert not self.surprises() and not self.sanitizer_reports(), self.text()
        self.start_ready()
        self.unit.job = None

    def with_bus(self):
        """Before it starts: it can ask what job its unit has."""
        self.unit = own_unit.OwnUnit()
        return self

    # The store

    def store(self, name, fd):
        """Stores a duplicate, as if a process before had done that."""
        self.stored.append((name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)))

    def _keep(self, message, fds):
        for fd in fds:
            if "FDSTORE=1" in message and len(self.stored) < self.store_max:
                assert "FDPOLL=0" in message, "it would be dropped when the other end closes"
                self.stored.append((message.value("FDNAME") or "stored", fd))
                if self.on_store:
                    self.on_store(self.stored[-1][0])
            else:
                os.close(fd)  # a barrier, to which that is the answer; or more than is kept, which nobody is told

    def _drop(self, name):
        for item in [item for item in self.stored if item[0] == name]:
            self.stored.remove(item)
            os.close(item[1])

    # Generations

    def _follow(self, pid):
        """The main process has named another."""
        with self._following:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                self.faults.append(f"MAINPID={pid}, which does not exist")
                return
            if self._pidfd is not None:
                self._former_pidfds[self.pid] = self._pidfd
                self.former[self.pid] = None
            self.pid, self._pidfd = pid, pidfd

    def _reap_former(self):
        with self._following:
            for pid, pidfd in list(self._former_pidfds.items()):
                if select.select([pidfd], [], [], 0)[0]:
                    self.former[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    os.close(self._former_pidfds.pop(pid))

    def _signal_former(self, number):
        with self._following:
            for pidfd in self._former_pidfds.values():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, number)

    def draining(self):
        """The pids of the generations that were replaced and still live."""
        self._reap_former()
        return [pid for pid, status in self.former.items() if status is None]

    def wait_former(self, timeout=10, but=0):
        """Waits until all but so many of the replaced generations have ended."""
        deadline = time.monotonic() + timeout * PATIENCE
        while len(self.draining()) > but:
            left = deadline - time.monotonic()
            with self._following:
                pidfds = list(self._former_pidfds.values())
            if left <= 0 or not select.select(pidfds, [], [], left)[0]:
                raise Failure(f"replaced generations {self.draining()} did not end within {timeout} s\n{self.text()}")

    def admin_address(self):
        return next(sock.getsockname() for name, sock in self.sockets if name == "admin")

    def ctl(self, *arguments, timeout=30):
        """Runs holdfastctl on the admin socket."""
        command = [find_holdfastctl(), "--admin", self.admin_address(), *arguments]
        return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout * PATIENCE)

    def reload(self, timeout=30):
        """A reload that must succeed; the pid of the new main process."""
        before = self.pid
        result = self.ctl("reload", timeout=timeout)
        if result.returncode != 0:
            raise Failure(f"the reload failed: {result.stderr}\n{self.text()}")
        assert self.pid != before, "the main process is the same"
        return self.pid

    def reload_fails(self, timeout=30):
        """A reload that must fail; what holdfastctl says on stderr."""
        self.allow(".*")
        before = self.pid
        result = self.ctl("reload", timeout=timeout)
        assert result.returncode == 1, f"exit status {result.returncode}: {result.stdout}{result.stderr}\n{self.text()}"
        assert self.pid == before and self.is_running(), self.text()
        return result.stderr

    def run(self, *arguments, timeout=20, **options):
        """Starts it and waits for its end, for starts that are to fail. Every line on stderr is expected."""
        self.allow(".*")
        self.expected_status = None
        return self.start(*arguments, **options).wait(timeout)

    # Talking to it

    def address(self, index=0):
        return self.sockets[index][1].getsockname()

    def connect(self, index=0, timeout=10, **options):
        """A connection to a passed socket."""
        return h1.Connection(self.address(index), timeout, **options)

    def get(self, path="/", headers=(), index=0, timeout=10):
        """One request on a connection of its own."""
        with self.connect(index, timeout) as connection:
            return connection.get(path, headers)

    def admin(self, method, path, headers=(), body=None, host="holdfast"):
        """One request to the admin API."""
        index = next(i for i, (name, _) in enumerate(self.sockets) if name == "admin")
        with self.connect(index) as connection:
            connection.request(method, path, headers, body, host)
            return connection.read_response(is_head=method == "HEAD")

    # What it said

    def lines(self):
        return self.stderr.snapshot()

    def text(self):
        """Everything it said, for messages about a failure."""
        told = [f"  {m.at:.3f} {' '.join(m.lines)}" for m in self.notifications.snapshot()]
        return "\n".join(["stderr:", *("  " + l for l in self.lines()), "notifications:", *told])

    def surprises(self):
        allowed = re.compile("|".join(f"(?:{p})" for p in self.allowed))
        return [line for line in self.lines() if not ORDINARY.match(line) and not allowed.match(line)]

    def sanitizer_reports(self):
        return [line for line in self.lines() if SANITIZER.search(line)]

    # Ends of things

    def close(self):
        """Ends the process, and fails for whatever went unnoticed."""
        left = {}
        try:
            if self._pidfd is not None:
                self._signal_former(signal.SIGTERM)
                with contextlib.suppress(ProcessLookupError):
                    self.signal(signal.SIGTERM)
                try:
                    self.wait_former(30)
                    self.wait(30)
                except Failure:
                    self._signal_former(signal.SIGKILL)
                    self.signal(signal.SIGKILL)
                    self.wait(10)
                    raise
            self._signal_former(signal.SIGKILL)
            self.wait_former(10)
            left = self._clear_children()
        finally:
            os.close(self._notify_end_write)
            self._notify_thread.join(5)
            os.close(self._notify_end)
            self._notify.close()
            for _, sock in self.sockets:
                sock.close()
            for _, fd in self.stored:
                os.close(fd)
            if self.unit:
                self.unit.close()
            shutil.rmtree(self.directory, ignore_errors=True)
        assert not left, f"processes were left behind: {left}"
        assert not self.faults, "said by somebody who has no say:\n" + "\n".join(self.faults) + "\n" + self.text()
        assert all(status == 0 for status in self.former.values()), f"{self.former}\n{self.text()}"
        assert not self.sanitizer_reports(), "a sanitizer has something to say\n" + self.text()
        assert not self.surprises(), "unexpected on stderr:\n" + "\n".join(self.surprises())
        if self.expected_status is not None and self.status is not None:
            assert self.status == self.expected_status, f"exit status {self.status}\n{self.text()}"

    def _clear_children(self):
        """Reaps what has ended; what has not, and was started with our configuration, ought to have: it is ended."""
        left = {}
        for pid, command in children().items():
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0 and str(self.directory) in command:
                    left[pid] = command
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        return left

    def _read_stderr(self, fd, log):
        with open(fd, "rb") as pipe:
            for line in pipe:
                log.add(line.decode(errors="backslashreplace").rstrip("\n"))
        log.close()

    def _read_notifications(self):
        while True:
            readable, _, _ = select.select([self._notify, self._notify_end], [], [])
            if self._notify not in readable:
                return
            data, ancillary, _, _ = self._notify.recvmsg(8192, 2048, socket.MSG_CMSG_CLOEXEC)
            at, pid, fds = time.monotonic(), 0, []
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid = array.array("i", payload[:12])[0]
                elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds += array.array("i", payload)
            message = Message(at, pid, data.decode().splitlines())
            self._keep(message, fds)
            if "FDSTOREREMOVE=1" in message:
                self._drop(message.value("FDNAME"))
            with self._following:
                main = self.pid
            if pid != main and message.lines != ["BARRIER=1"]:  # that one anybody may ask for
                self.faults.append(f"{at:.3f} from {pid}, while {main} is the main process: {message.lines}")
            elif message.value("MAINPID"):
                self._follow(int(message.value("MAINPID")))
            self.notifications.add(message)


@functools.lru_cache
def is_instrumented():
    """Whether the program is watched by a sanitizer or valgrind: time and memory say nothing of it then."""
    program = find_holdfastd().read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program or bool(os.environ.get("HOLDFAST_UNDER"))


def has_hooks(binary=None):
    """Whether holdfastd was built with -Dhooks=true."""
    return b"/v1/test/wedge" in (binary or find_holdfastd()).read_bytes()


def make_certificate(directory, name="localhost", kind="ec", days=30, issuer=None, extensions=()):
    """A certificate, by its own key or that of `issuer`, and its key: as paths. `kind`: "ec" or "rsa"."""
    certificate, key = f"{directory}/{name}.crt", f"{directory}/{name}.key"
    algorithm = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["-newkey", "rsa:2048"]}[kind]
    command = ["openssl", "req", "-x509", *algorithm, "-nodes", "-days", str(days), "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}"]
    for extension in extensions:
        command += ["-addext", extension]
    if issuer:
        command += ["-CA", issuer[0], "-CAkey", issuer[1]]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def make_revocations(directory, authority, revoked=(), days=30):
    """A revocation list of an authority (certificate and key), as a path. `revoked`: certificates."""
    base = f"{directory}/revocations"
    with open(f"{base}.conf", "w") as file:
        file.write(f"[ca]\ndefault_ca=ours\n[ours]\ndatabase={base}.index\ndefault_md=sha256\n")
    open(f"{base}.index", "w").close()
    command = ["openssl", "ca", "-config", f"{base}.conf", "-cert", authority[0], "-keyfile", authority[1]]
    for certificate in revoked:
        subprocess.run([*command, "-revoke", certificate], check=True, capture_output=True)
    when = ["-crldays", str(days)] if days > 0 else ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z"]
    subprocess.run([*command, "-gencrl", *when, "-out", f"{base}.pem"], check=True, capture_output=True)
    return f"{base}.pem"
