"""Clients of the HTTPS listener that never retry: HTTP/1.1 and HTTP/2, small requests, and uploads and downloads that take
seconds. Ends at a line on standard input; then one line of counts.

Lost is a request that was begun and not answered in whole. An end of the connection is announced when it came after
Connection: close, or after GOAWAY for streams that it left out."""

import hashlib
import ssl
import sys
import threading
import time

import h1
import h2

ADDRESS = ("127.0.0.1", 443)
UPLOAD = 4 << 20
PIECES = 16
PAUSE = 0.1  # between pieces: an upload takes a second and a half


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(("requests", "streams", "uploads", "downloads", "announced", "unannounced", "lost"), 0)
        self.ended = threading.Event()

    def add(self, name):
        with self.lock:
            self.counts[name] += 1

    def run(self, client, *arguments):
        """One client after another, until the end."""
        while not self.ended.is_set():
            try:
                client(self, *arguments)
            except Exception as problem:  # whatever it is, it was not announced
                self.add("lost")
                print(f"{client.__name__}: {problem!r}", flush=True)


def small_requests(tally, context):
    """As many as one connection takes."""
    with h1.Connection(ADDRESS, 30, context) as connection:
        while not tally.ended.is_set():
            time.sleep(0.01)
            if not connection.is_quiet(0):  # it was closed while nothing was asked
                connection.assert_closed()
                tally.add("unannounced")
                return
            response = connection.get("/hello")
            assert response.text == "hello"
            tally.add("requests")
            if response.headers.get("Connection") == "close":
                tally.add("announced")
                return


def upload(tally, context):
    with h1.Connection(ADDRESS, 30, context) as connection:
        connection.send(f"POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD}\r\n\r\n".encode())
        for _ in range(PIECES):
            connection.send(b"u" * (UPLOAD // PIECES))
            time.sleep(PAUSE)
        assert connection.read_response().text == "hello"
        tally.add("uploads")


def download(tally, context, digest):
    with h1.Connection(ADDRESS, 30, context) as connection:
        connection.request("GET", "/files/large")
        head = connection.read_head()
        assert head.status == 200
        left, got = int(head.headers.get("Content-Length")), hashlib.sha256()
        while left > 0:
            piece = connection.read_exactly(min(left, 1 << 20))
            got.update(piece)
            left -= len(piece)
            time.sleep(PAUSE)
        if digest:
            assert got.digest() == digest
        tally.add("downloads")
        return got.digest()


def streams(tally, context):
    with h2.Connection(ADDRESS, 30, context) as connection:
        while not tally.ended.is_set():
            stream = connection.request("GET", "/hello", scheme="https")
            response = connection.read_response(stream)
            assert response.body == b"hello"
            tally.add("streams")
            if connection.goaways:  # from the first on no new stream is begun
                tally.add("announced")
                connection.read_to_close()
                return
            time.sleep(0.01)


def main():
    context = ssl.create_default_context(cafile=sys.argv[1])
    http2 = ssl.create_default_context(cafile=sys.argv[1])  # of its own, for the protocols that it offers
    tally = Tally()
    digest = download(tally, context, None)
    threads = [threading.Thread(target=tally.run, args=arguments, daemon=True)
               for arguments in ([(small_requests, context)] * 8 + [(upload, context)] * 2 +
                                 [(download, context, digest)] * 2 + [(streams, http2)] * 4)]
    for thread in threads:
        thread.start()
    print("running", flush=True)
    sys.stdin.readline()
    tally.ended.set()
    for thread in threads:
        thread.join(60)
        if thread.is_alive():
            tally.add("lost")
    print(" ".join(f"{name}={value}" for name, value in tally.counts.items()), flush=True)


if __name__ == "__main__":
    main()
