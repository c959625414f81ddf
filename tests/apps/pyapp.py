#!/usr/bin/python3
"""An HTTP/1.1 app for the tests, in Python with asyncio and nothing else.

Serves on the sockets that systemd passes, or on --listen. On SIGTERM it stops listening, closes idle
connections, finishes what is in progress, and ends. Its endpoints are those of capp that such an app has.
"""

import argparse
import asyncio
import contextlib
import os
import re
import signal
import socket
import urllib.parse

BODY_MAX = 64 << 20


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, target, version = lines[0].split(" ")
        self.target = target
        self.size = len(head) + 4  # in bytes, with the body
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()
        self.keep_alive = version == "HTTP/1.1" and self.fields.get("connection", "").lower() != "close"
        self.body = b""

    def number(self, name, default):
        return int(self.query.get(name, default))


class Ledger:
    """What the app has executed, in a file that outlives it: a line for each request, "ID", or "ID KEY" where the request
    had an Idempotency-Key. Keys in the file are known from the start: they tell what a predecessor has executed."""

    def __init__(self, path):
        self.file = open(path, "a+b", buffering=0)
        self.file.seek(0)
        text = self.file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):  # what a power failure left of a line was never answered
            self.file.truncate(whole)
        lines = (line.decode().partition(" ") for line in text[:whole].splitlines())
        self.recorded = {key: request_id for request_id, _, key in lines if key}
        self.running = set()

    def record(self, request_id, key):
        self.file.write(f"{request_id} {key}\n".encode() if key else f"{request_id}\n".encode())
        os.fdatasync(self.file.fileno())
        if key:
            self.recorded[key] = request_id


class App:
    def __init__(self, options):
        self.name = options.name
        self.ledger = Ledger(options.ledger) if options.ledger else None
        self.requests = open(options.requests, "ab", buffering=0) if options.requests else None
        self.accepted = 0
        self.broken = options.broken
        self.draining = asyncio.Event()
        self.connections = set()

    # --- answers: a status, fields and a body, or an asynchronous generator of chunks ---

    async def root(self, request):
        return 200, {}, f"hello from {self.name}\n".encode()

    async def healthz(self, request):
        return (503, {}, b"draining\n") if self.draining.is_set() else (200, {}, b"ok\n")

    async def echo(self, request):
        return 200, {}, request.body or request.fields.get("x-request-id", "").encode()

    async def slow(self, request):
        await asyncio.sleep(request.number("ms", 1000) / 1000)
        return await self.root(request)

    async def big(self, request):
        return 200, {}, b"x" * request.number("bytes", 1 << 20)

    async def close(self, request):
        request.keep_alive = False
        return await self.root(request)

    async def write_ledger(self, request):
        request_id, key = request.fields.get("x-request-id"), request.fields.get("idempotency-key")
        if not self.ledger or not request_id:
            return 400, {}, b"/ledger needs --ledger and an X-Request-ID\n"
        if key and not re.fullmatch(r'"[^"\n]*"', key):
            return 400, {}, b"Idempotency-Key is a quoted string\n"
        if key in self.ledger.recorded:
            return 200, {"Idempotent-Replayed": "true"}, self.ledger.recorded[key].encode() + b"\n"
        if key in self.ledger.running:
            return 409, {}, b"the first request with this key is still running\n"
        self.ledger.running.add(key or request_id)
        try:
            if pause := request.number("ms", 0):
                await asyncio.sleep(pause / 1000)
            self.ledger.record(request_id, key)
        finally:
            self.ledger.running.discard(key or request_id)
        return 200, {}, request_id.encode() + b"\n"

    async def hang(self, request):
        await asyncio.Event().wait()

    async def set_broken(self, request):
        self.broken = request.number("on", 1) != 0
        return 200, {}, b"done\n"

    async def stream(self, request):
        async def events():
            for step in range(request.number("n", 5)):
                if step:
                    await asyncio.sleep(request.number("ms", 1000) / 1000)
                yield f"id: {step}\ndata: {step}\n\n".encode()
        return 200, {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}, events()

    async def chunked(self, request):
        async def chunks():
            for _ in range(request.number("n", 3)):
                yield b"x" * request.number("bytes", 1024)
        return 200, {}, chunks()

    async def status(self, request):
        status = int(request.path.rpartition("/")[2])
        return status, {}, b"" if status in (204, 304) else b"as asked\n"

    ROUTES = {
        "/": root, "/healthz": healthz, "/echo": echo, "/slow": slow, "/big": big, "/close": close,
        "/ledger": write_ledger, "/stream": stream, "/chunked": chunked,
        "/hang": hang, "/break": set_broken,
    }

    async def answer(self, request):
        if self.broken and request.path != "/break":
            return 500, {}, b"broken\n"
        if re.fullmatch(r"/status/[2-5]\d\d", request.path):
            return await self.status(request)
        route = self.ROUTES.get(request.path)
        return await route(self, request) if route else (404, {}, b"no such endpoint\n")

    # --- the protocol ---

    async def read_request(self, reader):
        request = Request((await reader.readuntil(b"\r\n\r\n"))[:-4])
        if request.fields.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                request.body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        else:
            request.body = await reader.readexactly(min(int(request.fields.get("content-length", 0)), BODY_MAX))
        request.size += len(request.body)
        return request

    async def write_answer(self, writer, request, status, fields, body):
        if self.draining.is_set():
            request.keep_alive = False
        fields = {"X-App": self.name, "Content-Type": "text/plain", **fields}
        if "x-request-id" in request.fields:
            fields["X-Request-ID"] = request.fields["x-request-id"]
        if not request.keep_alive:
            fields["Connection"] = "close"
        whole = isinstance(body, bytes)
        if not whole:
            fields["Transfer-Encoding"] = "chunked"
        elif status not in (204, 304):
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1"))
        if request.method == "HEAD":
            body = b""
        elif not whole:
            async for chunk in body:
                writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                await writer.drain()
            body = b"0\r\n\r\n"
        writer.write(body)
        await writer.drain()

    async def next_request(self, reader):
        """The next request; None when the app drains before a byte of it came."""
        reading = asyncio.ensure_future(self.read_request(reader))
        draining = asyncio.ensure_future(self.draining.wait())
        await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        if not reading.done():
            reading.cancel()
            return None
        return reading.result()

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        self.accepted += 1
        number = self.accepted
        try:
            keep_alive = True
            while keep_alive and (request := await self.next_request(reader)):
                if self.requests:
                    line = f"{number} {request.method} {request.target} {request.size} -\n"
                    self.requests.write(line.encode("latin-1"))
                await self.write_answer(writer, request, *await self.answer(request))
                keep_alive = request.keep_alive
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        finally:
            self.connections.discard(task)
            writer.close()


def notify(state):
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect("\0" + path[1:] if path[0] == "@" else path)
            sock.send(state.encode())


def open_sockets(addresses):
    sockets = []
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        sockets = [socket.socket(fileno=3 + i) for i in range(int(os.environ["LISTEN_FDS"]))]
    for address in addresses:
        if address.startswith("unix:"):
            path = address[5:]
            if os.path.exists(path):
                os.unlink(path)
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(path)
        else:
            host, _, port = address.rpartition(":")
            sock = socket.create_server((host.strip("[]"), int(port)),
                                        family=socket.AF_INET6 if "[" in host else socket.AF_INET)
        sockets.append(sock)
    return sockets


async def run(options):
    app = App(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, app.draining.set)
    if options.start_delay:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(app.draining.wait(), options.start_delay / 1000)
    sockets = open_sockets(options.listen)
    if not sockets:
        raise SystemExit("pyapp: nothing to listen on: give --listen, or start it by a socket unit")
    servers = []
    for sock in sockets:
        start = asyncio.start_unix_server if sock.family == socket.AF_UNIX else asyncio.start_server
        servers.append(await start(app.serve, sock=sock, limit=1 << 20, backlog=1024))
    notify("READY=1")
    await app.draining.wait()
    notify("STOPPING=1")
    for server in servers:
        server.close()
    while app.connections:
        await asyncio.wait(app.connections)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--listen", action="append", default=[], metavar="ADDRESS",
                        help="127.0.0.1:9002, [::1]:9002 or unix:/path; may be repeated")
    parser.add_argument("--name", default="pyapp")
    parser.add_argument("--ledger", metavar="FILE", help="where /ledger writes")
    parser.add_argument("--requests", metavar="FILE",
                        help="a line for each request: number of the connection, method, target, size, -")
    parser.add_argument("--start-delay", type=int, default=0, metavar="MS", help="listen, and be ready, so late")
    parser.add_argument("--broken", action="store_true", help="answer 500 to everything, until POST /break?on=0")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
