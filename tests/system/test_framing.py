"""Strict framing of HTTP/1, by the table in framing.py: what is refused and what is understood, and in which way; and that
two apps of different make, with parsers of their own, never see more in it than Holdfast did."""

import itertools
import os
import pathlib
import shutil
import socket
import subprocess
import threading

import pytest

import framing
import h1
import h2
import manager

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
PYAPP = pathlib.Path(__file__).parents[1] / "apps/pyapp.py"
AFTER = b"GET /after HTTP/1.1\r\nHost: after\r\n\r\n"


class Recorder:
    """An app that answers everything, and reads as strictly as h1.py does. A connection is a number."""

    def __init__(self, path):
        self.upstream = h1.Upstream(path, timeout=None)
        self.requests = []
        self.problems = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection = self.upstream.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                while True:
                    request = connection.read_request()
                    self.requests.append(request)
                    connection.respond(200, request.target.encode())
            except h1.Closed as end:
                if end.received:
                    self.problems.append(f"broken off: {end.received!r}")
            except (h1.ProtocolError, OSError) as problem:
                self.problems.append(str(problem))

    def arrived(self):
        """What has come since this was called last."""
        problems, self.problems = self.problems, []
        requests, self.requests = self.requests, []
        assert not problems
        return requests

    def forget(self):
        """What a test that failed has left."""
        self.requests, self.problems = [], []

    def close(self):
        self.upstream.sock.shutdown(socket.SHUT_RDWR)
        self.upstream.close()


class Program:
    """An app that is a process, listens on `path`, and writes a line into `log` for each request."""

    def __init__(self, path, log, command):
        self.log = log
        self.read = 0
        with open(f"{path}.log", "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        h1.eventually(lambda: self.listens(path))

    def listens(self, path):
        with socket.socket(socket.AF_UNIX) as sock:
            return self.process.poll() is None and sock.connect_ex(str(path)) == 0

    def lines(self):
        """What was written since this was called last."""
        with open(self.log, encoding="latin-1") as log:
            log.seek(self.read)
            lines = log.readlines()
            if lines and not lines[-1].endswith("\n"):
                lines.pop()
        self.read += sum(len(line.encode("latin-1")) for line in lines)
        return [line.split() for line in lines]

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def start_nginx(directory):
    folder = directory / "nginx"
    folder.mkdir()
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"""
daemon off; pid {folder}/pid; error_log stderr crit; worker_processes 1; {"user root;" if os.getuid() == 0 else ""}
events {{}}
http {{
    {temporary}
    log_format framing "$connection $request_method $request_uri $request_length $status";
    access_log {folder}/access framing;
    keepalive_requests 1000000;
    server {{
        listen unix:{directory}/nginx.sock;
        location / {{ proxy_pass http://unix:{folder}/behind; }}  # so that it reads the body
    }}
    server {{
        listen unix:{folder}/behind;
        access_log off;
        default_type text/plain;
        location / {{ return 200 "$request_uri"; }}
    }}
}}
""", encoding="ascii")
    (folder / "access").touch()
    return Program(directory / "nginx.sock", folder / "access", [NGINX, "-c", folder / "nginx.conf", "-p", folder])


def start_pyapp(directory):
    (directory / "requests").touch()
    return Program(directory / "pyapp.sock", directory / "requests",
                   [PYAPP, f"--listen=unix:{directory}/pyapp.sock", f"--requests={directory}/requests"])


def start_service(app):
    """A Holdfast before an app. One thread, so that there is one pool of connections to it."""
    service = manager.Service()
    service.listen("http")
    service.configure(f"[Upstream app]\nTarget=unix:{service.directory}/{app}.sock\n[Route /*rest]\nUpstream=app\n",
                      gateway="Threads=1")
    return service


@pytest.fixture(scope="module")
def recorder():
    """A Holdfast, and its app that the test can ask."""
    service = start_service("recorder")
    app = Recorder(service.directory / "recorder.sock")
    yield service.start_ready(), app
    service.stop()
    app.close()
    service.close()


@pytest.fixture(scope="module", params=["nginx", "pyapp"])
def backend(request):
    if request.param == "nginx" and not NGINX:
        pytest.skip("nginx is not installed")
    service = start_service(request.param)
    app = {"nginx": start_nginx, "pyapp": start_pyapp}[request.param](service.directory)
    yield request.param, service.start_ready(), app
    service.stop()
    app.close()
    service.close()


def exchange(service, case, pieces=1):
    """Sends the case, and an honest request behind it that must be answered only if the connection lives on. The status
    of the first answer."""
    with service.connect() as client:
        data = case.data + AFTER
        size = -(-len(data) // pieces)
        try:
            for at in range(0, len(data), size):
                client.send(data[at:at + size])
        except (BrokenPipeError, ConnectionResetError):
            assert case.closes
        response = client.read_response()
        if case.closes:
            assert response.headers.get("Connection") == "close"
            client.assert_closed()
        else:
            assert client.read_response().status in (200, 404)
    return response.status


counter = itertools.count()


def honest(service):
    """A request like any other, on a connection of its own."""
    target = f"/honest-{next(counter)}"
    with service.connect() as client:
        return target, client.get(target)


@pytest.mark.parametrize("pieces", [1, 150], ids=["whole", "pieces"])
@pytest.mark.parametrize("case", framing.CASES, ids=lambda case: case.name)
def test_refused_or_understood_in_one_way(recorder, case, pieces):
    service, app = recorder
    app.forget()
    status = exchange(service, case, pieces)
    assert status == (case.status or 200), case.section
    target, response = honest(service)
    assert response.text == target
    requests = app.arrived()
    expected = [target] if case.closes else ["/after", target]
    if case.request:
        request, wanted = requests.pop(0), case.request
        assert (request.method, request.target, request.headers.get("Host"), request.body) == (
            wanted.method, wanted.target, wanted.host, wanted.body), case.section
        for name in wanted.absent:
            assert name not in request.headers
    assert [request.target for request in requests] == expected


@pytest.mark.parametrize("case", framing.CASES, ids=lambda case: case.name)
def test_an_app_sees_one_request_or_none(recorder, backend, case):
    kind, service, app = backend
    reference, recorded = recorder
    app.lines()
    recorded.forget()
    if not case.closes or case.request:
        exchange(reference, case)
    expected = [(r.method, r.target, len(r.head) + len(r.body)) for r in recorded.arrived()]

    status = exchange(service, case)
    if case.status:
        assert status == case.status
    target, response = honest(service)
    assert response.status == (200 if kind == "nginx" else 404)
    if kind == "nginx":
        assert response.text == target
    lines = []

    def seen():
        lines.extend(app.lines())
        return lines and lines[-1][2] == target

    h1.eventually(seen)
    honest_line = lines.pop()
    # Byte for byte as long as at the app that reads as strictly as can be, and not one request more. What nginx does not
    # take, as a method in small letters, it has no names for; the connection ends then, and with it what came behind.
    assert len(lines) == len(expected)
    for line, (method, path, size) in zip(lines, expected):
        assert line[1:4] == [method, path, str(size)] or line[4] == "400"
    if lines and lines[-1][4] != "400":
        assert honest_line[0] == lines[-1][0], "the connection to the app was given up"


def send_http2(client, case):
    """What becomes of it: a status, or whose error it is."""
    stream, client.next_stream = client.next_stream, client.next_stream + 2
    client.streams[stream], client.windows[stream] = h2.Stream(), client.initial_window
    flags = h2.END_HEADERS | (h2.END_STREAM if case.body is None else 0)
    client.send_frame(h2.HEADERS, flags, stream, h2.encode_headers(case.fields))
    if case.body is not None:
        client.send_frame(h2.DATA, h2.END_STREAM, stream, case.body)
    answer = client.streams[stream]
    try:
        client.read_until(lambda: answer.ended or answer.reset is not None or client.goaways)
    except (h1.Closed, ConnectionResetError):
        return "connection"
    if client.goaways:
        assert client.goaways[0].error != h2.NO_ERROR
        return "connection"
    return "stream" if answer.reset is not None else answer.status


@pytest.mark.parametrize("case", framing.HTTP2, ids=lambda case: case.name)
def test_http2_is_refused_or_understood_in_one_way(recorder, case):
    """RFC 9113 8 and 10.3: what is malformed, or cannot stand in a request of HTTP/1, is not written into one."""
    service, app = recorder
    service.allow("warning: turned away")
    app.forget()
    with h2.Connection(service.address()) as client:
        assert send_http2(client, case) == case.outcome, case.section
        if case.outcome != "connection":
            assert client.get("/after").status == 200
    target, _ = honest(service)
    requests = app.arrived()
    if case.request:
        request, wanted = requests.pop(0), case.request
        assert (request.method, request.target, request.headers.get("Host"), request.body) == (
            wanted.method, wanted.target, wanted.host, wanted.body), case.section
        for name in wanted.absent:
            assert name not in request.headers
    assert [request.target for request in requests] == [target] if case.outcome == "connection" else ["/after", target]


@pytest.mark.parametrize("case", framing.HTTP2, ids=lambda case: case.name)
def test_an_app_sees_one_request_of_http2_or_none(backend, case):
    _, service, app = backend
    service.allow("warning: turned away")
    app.lines()
    with h2.Connection(service.address()) as client:
        assert send_http2(client, case) in (case.outcome, 404 if case.request else case.outcome)
    target, _ = honest(service)
    lines = []

    def seen():
        lines.extend(app.lines())
        return lines and lines[-1][2] == target

    h1.eventually(seen)
    assert [line[1:3] for line in lines[:-1]] == ([[case.request.method, case.request.target]] if case.request else [])
