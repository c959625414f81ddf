"""The servers that are measured, each configured for the same task by the same rules.

Every peer has as many workers (threads or processes) as asked, no access log, keep-alive without a limit of
requests on both sides, what its documentation has for reloads that lose nothing, and its defaults otherwise. As
proxies all send X-Forwarded-For and X-Forwarded-Proto. Each serves "/" with a fixed text and "/proxy/" from the backend,
which may be several addresses where the peer says so: their turn comes one after the other.

The configuration is the same however the peer is started; what differs is the argument `own`: here it is run in a
folder without systemd, and ./machine runs it by Debian's unit.
"""

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import processes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import activate  # noqa: E402

BODY = "Hello, world!"
DESCRIPTORS = 65536
START_TIMEOUT = 20


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS), max(hard, DESCRIPTORS)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_limit():
    """What a peer may ask for: it cannot have more than is allowed here."""
    return min(DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def answers(port, path="/", body=BODY):
    """Whether a whole good response comes over a new connection."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while part := sock.recv(65536):
                data += part
        return data.startswith(b"HTTP/1.1 200") and body.encode() in data
    except OSError:
        return False


class Peer:
    """One server, run in a folder of its own. `backend` is unix:PATH or HOST:PORT, or several with blanks between.
    `reloadable`: run it the way in which it can be reloaded, where that is another."""

    name = package = program = None
    takes_several = False  # addresses of a backend
    version_option = "-v"
    reload_seconds = 0  # how long a reload still takes when reload() has returned

    def __init__(self, folder, workers, backend, reloadable=False):
        self.reloadable = reloadable
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.workers = workers
        self.backend = backend
        self.port = free_port()
        self.pid = None
        self.ready_after = None

    @classmethod
    def path(cls):
        """Where the program is, or None."""
        return shutil.which(cls.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")

    @classmethod
    def version(cls):
        done = subprocess.run([cls.path(), cls.version_option], capture_output=True, text=True, check=False)
        line = (done.stdout + done.stderr).strip().splitlines()[0]
        return line if cls.program in line.lower() else f"{cls.name} {line}"

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    @staticmethod
    def configuration(port, workers, backend, own):
        """The text. `own` is what depends on how it is started, in the peer's own words."""
        raise NotImplementedError

    def command(self):
        """Writes the configuration and returns the command line."""
        raise NotImplementedError

    def environment(self):
        return dict(os.environ, HOME=str(self.folder))

    def spawn(self, argv, log):
        return activate.spawn(argv, [], self.environment(), log)

    def wait_ready(self):
        deadline = time.monotonic() + START_TIMEOUT
        while not answers(self.port):
            if time.monotonic() > deadline or self.ended():
                raise RuntimeError(f"{self.name} does not answer:\n{self.log()}")
            time.sleep(0.0005)

    def start(self):
        """Starts it and waits until it is ready."""
        argv = [str(word) for word in self.command()]
        with open(self.folder / "log", "wb") as log:
            begun = time.monotonic()
            self.pid = self.spawn(argv, log)
            self.wait_ready()
            self.ready_after = time.monotonic() - begun

    def reload(self):
        """As its documentation says, and its unit in Debian does. Returns when that does."""
        os.kill(self.pid, signal.SIGHUP)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def ended(self):
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = None
        return self.pid is None

    def stop(self):
        if self.ended():
            return
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not self.ended():
            if time.monotonic() > deadline:
                for pid in reversed(processes.tree(self.pid)):  # a master that is killed leaves its workers
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self.pid = None
                return
            time.sleep(0.01)


class Holdfast(Peer):
    name = "holdfast"
    takes_several = True
    balance = None  # its default
    build = None  # the build folder, set by the command line

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.listener = self.admin = None
        self.notify = None
        self.replaced = []

    @classmethod
    def path(cls):
        program = cls.build / "holdfastd"
        return program if program.exists() else None

    @classmethod
    def version(cls):
        git = subprocess.run(["git", "-C", pathlib.Path(__file__).parent, "describe", "--always", "--dirty"],
                             capture_output=True, text=True, check=False)
        return "holdfast " + (git.stdout.strip() or "of this tree")

    @staticmethod
    def configuration(port, workers, backend, own="", balance=None):  # pylint: disable=unused-argument
        targets = "\n".join(f"Target={address}" for address in backend.split())
        # PoolSize: the connections of one worker may all be in use at once.
        return f"""{own}
[Gateway]
Threads={workers}
AccessLog=off
IdleTimeoutSec=10min

[Listener http]
Protocol=http

[Upstream app]
{targets}
PoolSize=128
{f"Balance={balance}" if balance else ""}

[Route /]
Respond=200 "{BODY}"

[Route /proxy/*rest]
Upstream=app
"""

    def command(self):
        text = self.configuration(self.port, self.workers, self.backend, balance=self.balance)
        config = self.write("holdfast.conf", text)
        return [self.path(), "--config", config]

    def environment(self):
        return dict(super().environment(), NOTIFY_SOCKET=self.notify.path, STATE_DIRECTORY=str(self.folder))

    def spawn(self, argv, log):
        self.listener = activate.bind(f"127.0.0.1:{self.port}")
        self.notify = activate.NotifySocket()
        self.admin = activate.bind(f"unix:{self.folder}/admin")
        return activate.spawn(argv, [("http", self.listener), ("admin", self.admin)], self.environment(), log)

    def wait_ready(self):
        deadline = time.monotonic() + START_TIMEOUT
        while not self.notify.wait("READY=1", 0.2):
            if time.monotonic() > deadline or self.ended():
                raise RuntimeError(f"{self.name} does not become ready:\n{self.log()}")
        # What is said from now on is heard as by a service manager: it answers barriers, and learns who is the main
        # process, each of which is a child of ours.
        threading.Thread(target=self.listen_on, daemon=True).start()

    def listen_on(self):
        with contextlib.suppress(OSError):
            while True:
                for line in self.notify.sock.recv(65536).decode().split("\n"):
                    if line.startswith("MAINPID="):
                        self.replaced.append(self.pid)
                        self.pid = int(line.partition("=")[2])

    def reload(self):
        done = subprocess.run([self.build / "src/ctl/holdfastctl", "--admin", self.folder / "admin", "reload"],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"holdfastctl reload: {done.stderr}")

    def stop(self):
        super().stop()
        for pid in self.replaced:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if self.listener:
            self.listener.close()
            self.admin.close()
            self.notify.close()


class Before(Holdfast):
    """Another build, to compare with: --before names it."""

    name = "before"

    @classmethod
    def version(cls):
        return f"before: {cls.build}"


class Nginx(Peer):
    """SIGHUP to the master, which is what `nginx -s reload` sends: new workers, and the old ones finish what they have
    begun. Idle connections they close at once, and 1.22 has nothing to say about that (keepalive_min_timeout is of
    1.27.4). No worker_shutdown_timeout: that would end what is still running."""

    name, package, program = "nginx", "nginx-light", "nginx"
    takes_several = True

    @staticmethod
    def configuration(port, workers, backend, own=("", "")):
        main, http = own
        servers = [f"server {address};" for address in backend.split()]
        # keepalive is of all servers together: as many for each as Holdfast is allowed.
        return f"""{main}
worker_processes {workers};
worker_rlimit_nofile {descriptor_limit()};
events {{ worker_connections 32768; }}
http {{
    access_log off;
    keepalive_timeout 600;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    {http}
    upstream app {{
        {" ".join(servers)}
        keepalive {128 * len(servers)};
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type text/plain;
        location = / {{ return 200 "{BODY}"; }}
        location /proxy/ {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""

    def command(self):
        user = "user root;" if os.getuid() == 0 else ""
        main = f"daemon off;\npid {self.folder}/pid;\nerror_log stderr warn;\n{user}"
        temporary = {"client_body": "body", "proxy": "proxy", "fastcgi": "fastcgi", "uwsgi": "uwsgi", "scgi": "scgi"}
        http = "\n    ".join(f"{what}_temp_path {self.folder}/{name};" for what, name in temporary.items())
        text = self.configuration(self.port, self.workers, self.backend, (main, http))
        return [self.path(), "-c", self.write("nginx.conf", text), "-p", self.folder]


class HAProxy(Peer):
    """SIGUSR2 to the master, as Debian's unit does: the next worker gets the listening sockets from the one before over
    their socket pair (which is what -x and expose-fd do without a master), so that none is closed.

    idle-close-on-response: a worker that ends answers idle connections once more, with Connection: close, where it
    would close them at once; the manual has it for clients that do not try again, as ours. No hard-stop-after: that
    would end what is still running, and no close-spread-time, since nothing is closed without a request."""

    name, package, program = "HAProxy", "haproxy", "haproxy"
    takes_several = True

    @staticmethod
    def configuration(port, workers, backend, own=""):
        servers = "\n".join(f"    server app{number} {address.replace('unix:', 'unix@', 1)}"
                            for number, address in enumerate(backend.split()))
        return f"""
global
    # It reckons with two descriptors for each connection, which may be more than there are.
    no strict-limits
    nbthread {workers}
    maxconn 20000
{own}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always
    option idle-close-on-response
frontend http
    bind 127.0.0.1:{port} backlog 4096
    http-request return status 200 content-type text/plain string "{BODY}" if {{ path / }}
    default_backend app
backend app
    option forwardfor
    http-request set-header X-Forwarded-Proto http
{servers}
"""

    def command(self):
        config = self.write("haproxy.cfg", self.configuration(self.port, self.workers, self.backend))
        return [self.path(), "-W" if self.reloadable else "-db", "-f", config]

    def reload(self):
        os.kill(self.pid, signal.SIGUSR2)


class Caddy(Peer):
    """`caddy reload`, which posts the configuration to the admin API: the same process, with a new server on the same
    socket; the old one closes idle connections at once. grace_period is endless unless it is set; shutdown_delay only
    puts the same off."""

    name, package, program = "Caddy", "caddy", "caddy"
    version_option = "version"

    def environment(self):
        return dict(super().environment(), GOMAXPROCS=str(self.workers), XDG_DATA_HOME=str(self.folder),
                    XDG_CONFIG_HOME=str(self.folder))

    @staticmethod
    def configuration(port, workers, backend, own=""):  # pylint: disable=unused-argument
        upstream = f"unix/{backend[5:]}" if backend.startswith("unix:") else backend
        return f"""
{{
    {own}
    auto_https off
    log {{
        level ERROR
    }}
    servers {{
        timeouts {{
            idle 10m
        }}
    }}
}}
http://127.0.0.1:{port}, http://localhost:{port} {{
    bind 127.0.0.1
    handle / {{
        respond "{BODY}"
    }}
    handle /proxy/* {{
        reverse_proxy {upstream} {{
            transport http {{
                keepalive_idle_conns 256
                keepalive_idle_conns_per_host 256
            }}
        }}
    }}
}}
"""

    def command(self):
        admin = f"admin unix/{self.folder}/admin" if self.reloadable else "admin off"
        text = self.configuration(self.port, self.workers, self.backend, admin)
        return [self.path(), "run", "--adapter", "caddyfile", "--config", self.write("Caddyfile", text)]

    def reload(self):
        # --force, as in Debian's unit: the file is the same as before, which is not what is measured here.
        subprocess.run([self.path(), "reload", "--force", "--adapter", "caddyfile", "--config",
                        self.folder / "Caddyfile", "--address", f"unix/{self.folder}/admin"], check=True,
                       env=self.environment(), stderr=subprocess.DEVNULL)


class H2o(Peer):
    """SIGHUP to the master, which is Server::Starter and holds the listening sockets: it starts a worker, and a second
    later ends the one before, which answers idle connections once more, with Connection: close."""

    name, package, program = "h2o", "h2o", "h2o"
    reload_seconds = 1

    @staticmethod
    def configuration(port, workers, backend, own):
        main, www = own
        url = f"http://[{backend}]/proxy/" if backend.startswith("unix:") else f"http://{backend}/proxy/"
        return f"""
listen: {{host: 127.0.0.1, port: {port}}}
{main}
num-threads: {workers}
max-connections: 20000
http1-request-timeout: 600
proxy.timeout.keepalive: 600000
proxy.preserve-host: ON
hosts:
  default:
    paths:
      /: {{file.dir: {www}}}
      /proxy/: {{proxy.reverse.url: "{url}"}}
"""

    def command(self):
        # 2.2.5 has no fixed response but through mruby; a small file is its fast path.
        (self.folder / "www").mkdir()
        self.write("www/index.html", BODY)
        main = ("user: root\n" if os.getuid() == 0 else "") + f"temp-buffer-path: {self.folder}"
        text = self.configuration(self.port, self.workers, self.backend, (main, f"{self.folder}/www"))
        return [self.path(), "-m", "master" if self.reloadable else "worker", "-c", self.write("h2o.conf", text)]


ALL = [Holdfast, Nginx, HAProxy, Caddy, H2o]


def install(peers):
    """Installs the packages of the peers that are missing, without starting their services."""
    missing = [peer.package for peer in peers if peer.package and not peer.path()]
    if not missing:
        return
    if os.getuid() != 0:
        raise SystemExit(f"bench: not installed, and only root can: {' '.join(missing)}")
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        policy.chmod(0o755)
    try:
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], check=True,
                       env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"), stdout=sys.stderr)
    finally:
        if ours:
            policy.unlink()
