"""Static= routes, on the wire."""

import gzip
import os
import re
import socket
import time

import pytest

import h1
import h2
from process import resident_bytes

SMALL = b"<p>small</p>\n"
LARGE = os.urandom(3 * 65536 + 17)
HUGE_SIZE = 64 << 20
FIXED_TIME = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT


class Site:
    """A folder that is served at /."""

    def __init__(self, root):
        self.root = root

    def write(self, path, data=SMALL, mtime=FIXED_TIME):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (mtime, mtime))
        return file


@pytest.fixture
def site(service):
    root = service.directory / "www"
    root.mkdir()
    return Site(root)


@pytest.fixture
def start(service, site):
    """Starts a gateway with one Static= route."""

    def start(pattern="/", options="", more=""):
        service.listen("http")
        service.configure(f"[Route {pattern}]\nStatic={site.root}\n{options}\n{more}")
        return service.start_ready()

    return start


def head_of(connection, target, headers=()):
    connection.request("HEAD", target, headers)
    return connection.read_response(is_head=True)


# Files and folders


def test_files_and_their_types(site, start):
    types = {
        "a.html": "text/html; charset=utf-8",
        "a.css": "text/css; charset=utf-8",
        "a.js": "text/javascript; charset=utf-8",
        "a.JSON": "application/json",
        "a.tar.gz": "application/gzip",
        "a.svg": "image/svg+xml",
        "a.woff2": "font/woff2",
        "a.wasm": "application/wasm",
        "a.unheard-of": "application/octet-stream",
        "README": "application/octet-stream",
        "a.b/c.txt": "text/plain; charset=utf-8",
    }
    for path in types:
        site.write(path)
    with start().connect() as connection:
        for path, content_type in types.items():
            response = connection.get("/" + path)
            assert (response.status, response.body) == (200, SMALL), path
            assert response.headers.get("content-type") == content_type, path
            assert response.headers.get("content-length") == str(len(SMALL))
            assert response.headers.get("last-modified") == "Sun, 06 Nov 1994 08:49:37 GMT"
            assert response.headers.get("accept-ranges") == "bytes"
            assert re.fullmatch('"[^"]+"', response.headers.get("etag"))
            assert response.headers.get("x-request-id")


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, len(LARGE)])
def test_sizes(site, start, size):
    site.write("file.bin", LARGE[:size])
    with start().connect() as connection:
        assert connection.get("/file.bin").body == LARGE[:size]
        head = head_of(connection, "/file.bin")
        assert (head.status, head.headers.get("content-length")) == (200, str(size))
        assert connection.get("/file.bin").body == LARGE[:size]


def test_over_http2(site, start):
    site.write("large.bin", LARGE)
    site.write("small.html")
    gateway = start()
    with h2.Connection(gateway.address()) as connection:
        streams = [connection.request(path=path) for path in ("/large.bin", "/small.html", "/large.bin", "/none")]
        head = connection.request("HEAD", "/large.bin")
        responses = [connection.read_response(stream) for stream in streams]
        assert [r.status for r in responses] == [200, 200, 200, 404]
        assert [r.body for r in responses[:3]] == [LARGE, SMALL, LARGE]
        response = connection.read_response(head)
        assert (response.status, response.body) == (200, b"")
        assert response.headers.get("content-length") == str(len(LARGE))


def test_index_files(site, start):
    site.write("index.html", b"root")
    site.write("sub/index.html", b"sub")
    site.write("empty/other.txt")
    (site.root / "odd/index.html").mkdir(parents=True)
    with start().connect() as connection:
        assert connection.get("/").body == b"root"
        assert connection.get("/?a=b").body == b"root"
        response = connection.get("/sub/")
        assert (response.body, response.headers.get("content-type")) == (b"sub", "text/html; charset=utf-8")
        assert connection.get("/empty/").status == 404
        assert connection.get("/odd/").status == 404
        assert connection.get("/sub/index.html/").status == 404


def test_index_option(site, start):
    site.write("a/first.txt", b"first")
    site.write("a/second.txt", b"second")
    site.write("b/second.txt", b"second")
    site.write("c/index.html", b"index")
    with start(options="StaticIndex=first.txt second.txt").connect() as connection:
        assert connection.get("/a/").body == b"first"
        assert connection.get("/b/").body == b"second"
        assert connection.get("/c/").status == 404


@pytest.mark.parametrize(
    "target, location",
    [
        ("/sub", "./sub/"),
        ("/sub?a=b/c&d", "./sub/?a=b/c&d"),
        ("/sub/deep", "./deep/"),
        ("/x/../sub", "./sub/"),
        ("/with%20blank", "./with%20blank/"),
        ("/a:b", "./a:b/"),
        ("/%73ub", "./sub/"),
    ],
)
def test_folder_redirect(site, start, target, location):
    for path in ("sub/deep", "with blank", "a:b"):
        (site.root / path).mkdir(parents=True)
    with start().connect() as connection:
        response = connection.get(target)
        assert (response.status, response.headers.get("location")) == (301, location)
        assert response.body == b""


def test_beneath_a_catch_all(site, start):
    site.write("x/y.txt", b"y")
    site.write("index.html", b"index")
    with start("/files/*path").connect() as connection:
        assert connection.get("/files/x/y.txt").body == b"y"
        assert connection.get("/files/").body == b"index"
        assert connection.get("/files").status == 404
        assert connection.get("/x/y.txt").status == 404


def test_a_single_file(site, start):
    site.write("favicon.ico", b"icon")
    with start("/favicon.ico").connect() as connection:
        assert connection.get("/favicon.ico").body == b"icon"
        assert connection.get("/").status == 404


def test_other_routes_win_over_what_is_beneath(site, start):
    site.write("api/x", b"file")
    gateway = start(more='[Route /api/*rest]\nRespond=200 "api"\n')
    with gateway.connect() as connection:
        assert connection.get("/api/x").body == b"api"
        assert connection.get("/api").headers.get("location") == "./api/"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_other_methods(site, start, method):
    site.write("a.html")
    with start().connect() as connection:
        connection.request(method, "/a.html", body=b"x" if method in ("POST", "PUT") else None)
        response = connection.read_response()
        assert response.status == 405
        assert response.headers.get("allow") == "GET, HEAD"


# What must not be reached


def test_nothing_outside_the_root(site, start):
    site.write("a.html")
    site.write("sub/b.html")
    (site.root.parent / "secret").write_text("secret")
    (site.root.parent / "www-secret").mkdir()
    (site.root.parent / "www-secret/secret").write_text("secret")
    outside = str(site.root.parent / "secret")
    gateway = start()
    targets = [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/.%2E/secret",
        "/sub/%2e%2e/%2e%2e/secret",
        "/..%2Fsecret",
        "/%2e%2e%2fsecret",
        "/sub%2F..%2F..%2Fsecret",
        "/..%5Csecret",
        "/..\\secret",
        "/../www-secret/secret",
        "/..-secret/secret",
        "//" + outside,
        "/" + outside.replace("/", "%2F"),
        "/%2F" + outside,
        "//../secret",
        "/./../secret",
        "/sub/..;/..;/secret",
        "/%252e%252e/secret",
        "/%c0%ae%c0%ae/secret",
        "/secret%00.html",
        "/a.html%00",
        "/proc/self/root" + outside,
        "/....//secret",
    ]
    for target in targets:
        response = gateway.get(target)
        assert response.status in (400, 404), target
        assert b"secret" not in response.body.replace(b"secret%", b""), target


def test_hidden_names(site, start):
    for path in (".env", ".git/config", "sub/.htpasswd", "sub/.hidden/x.txt", "a/...", ".well-known/acme-challenge/token"):
        site.write(path)
    with start().connect() as connection:
        for path in ("/.env", "/.git/config", "/.git/", "/.git", "/sub/.htpasswd", "/sub/.hidden/x.txt", "/a/...", "/%2Eenv"):
            assert connection.get(path).status == 404, path
        assert connection.get("/.well-known/acme-challenge/token").status == 200


def test_empty_segments(site, start):
    site.write("sub/b.html")
    with start().connect() as connection:
        for path in ("//sub/b.html", "/sub//b.html", "///", "/sub//"):
            assert connection.get(path).status == 404, path


@pytest.mark.parametrize(
    "policy, within, absolute, outside, folder",
    [("never", 404, 404, 404, 404), ("beneath", 200, 200, 404, 200), ("follow", 200, 200, 200, 200)],
)
def test_symlinks(site, start, policy, within, absolute, outside, folder):
    site.write("sub/file.html")
    (site.root.parent / "secret.html").write_bytes(SMALL)
    (site.root / "within.html").symlink_to("sub/file.html")
    (site.root / "absolute.html").symlink_to(site.root / "sub/file.html")
    (site.root / "outside.html").symlink_to("../secret.html")
    (site.root / "folder").symlink_to("sub")
    (site.root / "loop.html").symlink_to("loop.html")
    (site.root / "dangling.html").symlink_to("nothing")
    with start(options=f"StaticSymlinks={policy}").connect() as connection:
        assert connection.get("/within.html").status == within
        assert connection.get("/absolute.html").status == absolute
        assert connection.get("/outside.html").status == outside
        assert connection.get("/folder/file.html").status == folder
        assert connection.get("/loop.html").status == 404
        assert connection.get("/dangling.html").status == 404
        assert connection.get("/sub/file.html").status == 200


def test_a_root_that_is_switched(service, site):
    for version in ("v1", "v2"):
        site.write(f"{version}/index.html", version.encode())
    current = site.root / "current"
    current.symlink_to("v1")
    service.listen("http")
    service.configure(f"[Route /]\nStatic={current}\n")
    with service.start_ready().connect() as connection:
        assert connection.get("/").body == b"v1"
        following = site.root / "next"
        following.symlink_to("v2")
        following.rename(current)
        assert connection.get("/").body == b"v2"
        current.unlink()
        assert connection.get("/").status == 404


def test_only_files(site, start):
    os.mkfifo(site.root / "fifo.html")
    (site.root / "null.html").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(site.root / "socket.html"))
        with start(options="StaticSymlinks=follow").connect() as connection:
            for path in ("/fifo.html", "/null.html", "/socket.html"):
                assert connection.get(path).status == 404, path


def test_unreadable(service, site, start):
    """As another user: root may read everything."""
    site.write("a.html").chmod(0)
    if os.geteuid() == 0:
        program = service.directory / "as-nobody"
        program.write_text(f'#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups {service.binary} "$@"\n')
        program.chmod(0o755)
        service.binary = program
        for folder in (site.root, *site.root.parents):
            if folder.stat().st_mode & 0o005 != 0o005:
                folder.chmod(0o755)
        service.directory.chmod(0o777)
        (service.directory / "notify").chmod(0o777)
        service.allow("warning: the number of the last generation", "warning: cannot keep a record of what is in flight")
    assert start().get("/a.html").status == 403


def test_names_in_any_encoding(site, start):
    site.write("grüße aus.txt", b"utf-8")
    site.write("100%.txt", b"percent")
    with open(os.fsencode(site.root) + b"/latin-\xfc.txt", "wb") as file:
        file.write(b"latin")
    with start().connect() as connection:
        assert connection.get("/gr%C3%BC%C3%9Fe%20aus.txt").body == b"utf-8"
        assert connection.get("/gr%c3%bc%c3%9fe%20aus.txt").body == b"utf-8"
        assert connection.get("/100%25.txt").body == b"percent"
        assert connection.get("/latin-%FC.txt").body == b"latin"


def test_very_long_names(site, start):
    with start().connect() as connection:
        assert connection.get("/" + "a" * 300).status == 404
        assert connection.get("/" + "a/" * 3000).status == 404


# Conditions and ranges


def test_conditions(site, start):
    site.write("a.html")
    with start().connect() as connection:
        first = connection.get("/a.html")
        etag, date = first.headers.get("etag"), first.headers.get("last-modified")
        for method in ("GET", "HEAD"):
            for condition in (("If-None-Match", etag), ("If-Modified-Since", date), ("If-None-Match", f'"x", W/{etag}')):
                connection.request(method, "/a.html", [condition])
                response = connection.read_response(is_head=method == "HEAD")
                assert response.status == 304, condition
                assert response.headers.get("etag") == etag
                assert response.headers.get("vary") == "Accept-Encoding"
                assert "content-type" not in response.headers
            for condition in (("If-Match", '"x"'), ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT")):
                connection.request(method, "/a.html", [condition])
                assert connection.read_response(is_head=method == "HEAD").status == 412, condition
        assert connection.get("/a.html", [("If-None-Match", '"x"')]).body == SMALL
        # Repeated fields are one list.
        assert connection.get("/a.html", [("If-None-Match", '"x"'), ("If-None-Match", etag)]).status == 304


def test_etag_changes_with_the_file(site, start):
    gateway = start()
    etags = set()
    for data, mtime in ((b"one", 1000), (b"two", 1000.5), (b"three", 1000.5), (b"three", 2000)):
        site.write("a.html", data, mtime)
        etags.add(gateway.get("/a.html").headers.get("etag"))
    assert len(etags) == 4


def test_a_file_from_the_future(site, start):
    site.write("a.html", mtime=time.time() + 86400 * 365)
    response = start().get("/a.html")
    assert response.headers.get("last-modified") == response.headers.get("date")


def test_single_ranges(site, start):
    site.write("large.bin", LARGE)
    size = len(LARGE)
    with start().connect() as connection:
        for field, first, end in (
            ("0-0", 0, 1),
            ("0-99", 0, 100),
            ("65530-131080", 65530, 131081),
            (f"{size - 1}-", size - 1, size),
            ("-17", size - 17, size),
            (f"-{size * 2}", 0, size),
            (f"5-{size * 2}", 5, size),
        ):
            response = connection.get("/large.bin", [("Range", f"bytes={field}")])
            assert response.status == 206, field
            assert response.headers.get("content-range") == f"bytes {first}-{end - 1}/{size}"
            assert response.body == LARGE[first:end], field
        for field in (f"{size}-", "-0"):
            response = connection.get("/large.bin", [("Range", f"bytes={field}")])
            assert (response.status, response.headers.get("content-range")) == (416, f"bytes */{size}")
        for field in ("lines=0-1", "bytes=5-4", "bytes=", "bytes=0-,0-"):
            response = connection.get("/large.bin", [("Range", field)])
            assert (response.status, response.body) == (200, LARGE), field
        # HEAD knows no ranges.
        assert head_of(connection, "/large.bin", [("Range", "bytes=0-0")]).status == 200


def test_if_range(site, start):
    site.write("large.bin", LARGE)
    with start().connect() as connection:
        etag = connection.get("/large.bin").headers.get("etag")
        for condition, status in (
            (etag, 206),
            (f"W/{etag}", 200),
            ('"x"', 200),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 206),
            ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
        ):
            response = connection.get("/large.bin", [("Range", "bytes=1-2"), ("If-Range", condition)])
            assert response.status == status, condition


def test_several_ranges(site, start):
    site.write("large.txt", LARGE)
    ranges = [(5, 9), (100, 70100), (len(LARGE) - 3, len(LARGE))]
    field = "bytes=" + ", ".join(f"{first}-{end - 1}" for first, end in ranges)
    with start().connect() as connection:
        response = connection.get("/large.txt", [("Range", field)])
        assert response.status == 206
        assert "content-range" not in response.headers
        match = re.fullmatch("multipart/byteranges; boundary=([0-9a-f]{32})", response.headers.get("content-type"))
        boundary = b"\r\n--" + match[1].encode()
        parts = (b"\r\n" + response.body).split(boundary)
        assert parts[0] == b"" and parts[-1] == b"--\r\n"
        assert len(parts) == len(ranges) + 2
        for (first, end), part in zip(ranges, parts[1:]):
            head, body = part.split(b"\r\n\r\n", 1)
            assert head.decode().split("\r\n") == [
                "",
                "Content-Type: text/plain; charset=utf-8",
                f"Content-Range: bytes {first}-{end - 1}/{len(LARGE)}",
            ]
            assert body == LARGE[first:end]
        assert connection.get("/large.txt").body == LARGE  # the length was right


# Compressed variants


@pytest.fixture
def compressed(site):
    text = b"body { color: black }\n" * 100
    site.write("a.css", text)
    site.write("a.css.gz", gzip.compress(text))
    site.write("a.css.br", b"as if it were Brotli")
    site.write("b.css", text)
    site.write("b.css.gz", gzip.compress(text))
    site.write("plain.css", text)
    site.write("picture.png", b"png")
    site.write("picture.png.gz", gzip.compress(b"png"))
    return text


@pytest.mark.parametrize(
    "path, accept, encoding",
    [
        ("/a.css", None, None),
        ("/a.css", "gzip", "gzip"),
        ("/a.css", "gzip, deflate, br", "br"),
        ("/a.css", "br;q=0.5, gzip;q=0.8", "gzip"),
        ("/a.css", "br;q=0, *", "gzip"),
        ("/a.css", "*", "br"),
        ("/a.css", "identity, br;q=0.5", None),
        ("/a.css", "deflate", None),
        ("/a.css", "gzip;q=0", None),
        ("/b.css", "gzip, br", "gzip"),
        ("/b.css", "br", None),
        ("/plain.css", "gzip, br", None),
        ("/picture.png", "gzip", None),
    ],
)
def test_variants(site, start, compressed, path, accept, encoding):
    headers = [("Accept-Encoding", accept)] if accept is not None else []
    with start().connect() as connection:
        response = connection.get(path, headers)
        assert response.status == 200
        assert response.headers.get("content-encoding") == encoding
        assert response.headers.get("vary") == ("Accept-Encoding" if path.endswith(".css") else None)
        extension = {"gzip": ".gz", "br": ".br", None: ""}[encoding]
        assert response.body == (site.root / (path[1:] + extension)).read_bytes()
        content_type = "text/css; charset=utf-8" if path.endswith(".css") else "image/png"
        assert response.headers.get("content-type") == content_type

        head = head_of(connection, path, headers)
        for name in ("content-encoding", "content-length", "etag", "vary", "content-type"):
            assert head.headers.get(name) == response.headers.get(name)

        # Each variant is a representation of its own.
        etag = response.headers.get("etag")
        assert connection.get(path, [*headers, ("If-None-Match", etag)]).status == 304
        other = [("Accept-Encoding", "identity" if encoding else "br, gzip")]
        if path == "/a.css":
            assert connection.get(path, [*other, ("If-None-Match", etag)]).status == 200
        part = connection.get(path, [*headers, ("Range", "bytes=1-2")])
        assert (part.status, part.body) == (206, response.body[1:3])
        assert part.headers.get("content-encoding") == encoding


def test_a_variant_asked_for_by_name(site, start, compressed):
    response = start().get("/b.css.gz")
    assert gzip.decompress(response.body) == compressed
    assert response.headers.get("content-type") == "application/gzip"
    assert "content-encoding" not in response.headers


def test_an_old_variant_is_not_used(site, start, compressed):
    site.write("b.css", b"new", FIXED_TIME + 10)
    response = start().get("/b.css", [("Accept-Encoding", "gzip")])
    assert response.body == b"new"


def test_index_variants(site, start):
    site.write("index.html", b"index")
    site.write("index.html.gz", b"gzipped index")
    response = start().get("/", [("Accept-Encoding", "gzip")])
    assert (response.body, response.headers.get("content-type")) == (b"gzipped index", "text/html; charset=utf-8")


# Clients and files that misbehave


def descriptors(gateway):
    return sorted(os.readlink(f"/proc/{gateway.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{gateway.pid}/fd"))


def wait_for_no_descriptor(gateway, path):
    """The process has the file open no more."""
    h1.eventually(lambda: not any(str(path) in name for name in descriptors_or_retry(gateway)))


def descriptors_or_retry(gateway):
    while True:
        try:
            return descriptors(gateway)
        except FileNotFoundError:
            continue


def test_a_file_that_shrinks(site, start):
    """The client must notice: the response is broken off, not padded or said to be complete."""
    file = site.write("huge.bin", b"")
    os.truncate(file, HUGE_SIZE)
    gateway = start()
    with gateway.connect() as connection:
        connection.request("GET", "/huge.bin")
        head = connection.read_head()
        assert head.headers.get("content-length") == str(HUGE_SIZE)
        os.truncate(file, 1000)
        with pytest.raises((h1.Closed, ConnectionResetError)):
            connection.read_exactly(HUGE_SIZE)
    wait_for_no_descriptor(gateway, file)
    assert gateway.get("/huge.bin").body == bytes(1000)


def test_a_file_that_cannot_be_read(service):
    """The error says nothing of the file: not its validators, not the type of its content. sysfs gives files a size
    that they do not have."""
    service.listen("http")
    service.configure("[Route /]\nStatic=/sys/kernel\n")
    with service.start_ready().connect() as connection:
        for headers in ([], [("Range", "bytes=0-4000")]):
            response = connection.get("/fscaps", headers)
            assert (response.status, response.headers.all("Content-Type")) == (500, ["application/problem+json"])
            for name in ("ETag", "Last-Modified", "Accept-Ranges", "Content-Range", "Content-Encoding"):
                assert not response.headers.all(name), name


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_goes_away(site, start, end):
    file = site.write("huge.bin", b"")
    os.truncate(file, HUGE_SIZE)
    gateway = start()
    with gateway.connect() as connection:
        connection.request("GET", "/huge.bin")
        assert connection.read_head().status == 200
        connection.read_exactly(1000)
        assert any(str(file) in name for name in descriptors_or_retry(gateway))
        getattr(connection, end)()
    wait_for_no_descriptor(gateway, file)


def test_streams_that_are_reset(site, start):
    file = site.write("huge.bin", b"")
    os.truncate(file, HUGE_SIZE)
    gateway = start()
    with h2.Connection(gateway.address()) as connection:
        streams = [connection.request(path="/huge.bin") for _ in range(4)]
        connection.read_until(lambda: all(connection.streams[s].headers for s in streams))
        for stream in streams:
            connection.send_reset(stream)
        wait_for_no_descriptor(gateway, file)
        site.write("small.html")
        assert connection.get("/small.html").body == SMALL


def test_a_slow_reader_costs_no_memory(site, start):
    """64 MiB that nobody reads stay in the file."""
    file = site.write("huge.bin", b"")
    os.truncate(file, HUGE_SIZE)
    gateway = start()

    gateway.get("/none")
    before = resident_bytes(gateway.pid)
    connections = [gateway.connect() for _ in range(8)]
    for connection in connections:
        connection.request("GET", "/huge.bin")
        assert connection.read_head().status == 200
    assert resident_bytes(gateway.pid) - before < 16 << 20
    assert len(connections[0].read_exactly(HUGE_SIZE)) == HUGE_SIZE
    for connection in connections:
        connection.close()
    wait_for_no_descriptor(gateway, file)


def test_no_descriptor_is_left(site, start, compressed):
    """Whatever the answer was."""
    (site.root / "folder").mkdir()
    gateway = start()
    with gateway.connect() as connection:
        connection.get("/a.css")
        etag = connection.get("/a.css").headers.get("etag")
        wait_for_no_descriptor(gateway, site.root)  # a response may be here before its file is closed
        before = descriptors_or_retry(gateway)
        for target, headers in (
            ("/a.css", []),
            ("/a.css", [("Accept-Encoding", "gzip")]),
            ("/a.css", [("If-None-Match", etag)]),
            ("/a.css", [("If-Match", '"x"')]),
            ("/a.css", [("Range", "bytes=0-1,4-5")]),
            ("/a.css", [("Range", "bytes=9999999-")]),
            ("/folder", []),
            ("/folder/", []),
            ("/none", []),
            ("/.hidden", []),
        ):
            connection.get(target, headers)
            head_of(connection, target, headers)
        h1.eventually(lambda: descriptors_or_retry(gateway) == before)


# Problems


@pytest.mark.parametrize(
    "accept, content_type",
    [
        (None, "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain;q=0.5, text/html;q=0.1", "text/plain; charset=utf-8"),
        ("image/png", "application/problem+json"),
    ],
)
def test_problem_forms(site, start, accept, content_type):
    headers = [("Accept", accept)] if accept else []
    with start().connect() as connection:
        response = connection.get("/none", [*headers, ("X-Request-ID", "the-request-1")])
        assert (response.status, response.headers.get("content-type")) == (404, content_type)
        assert response.headers.get("cache-control") == "no-store"
        assert response.headers.get("x-request-id") == "the-request-1"
        assert b"the-request-1" in response.body and b"Not Found" in response.body
        head = head_of(connection, "/none", [*headers, ("X-Request-ID", "the-request-1")])
        assert head.headers.get("content-length") == str(len(response.body))
        assert connection.get("/none").status == 404
