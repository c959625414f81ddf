"""The other side of a succession, played by a test: speaks the channel as a release of another time may, or as none
ever would.

As a program it is a successor: `peer.py WORD,WORD,…`, where a word sends the message of that type ("failed:REASON"
with a reason), "go", "lead" and other types of the predecessor's are waited for, "garbage", "huge" and "descriptors" are
what they say, "wait" is for ever, "end" is the end. `peer.py replay FILE connections` replays a recorded successor, and
then answers requests on the connections that it is given until it is told to end.
"""

import array
import contextlib
import json
import os
import socket
import sys
import threading
import time

FROM_PREDECESSOR = {"welcome", "go", "state", "lead", "connections"}


class Channel:
    """One end of the socket between two generations."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(20)

    def send(self, kind, fds=(), **fields):
        self.send_raw(json.dumps({"type": kind, "version": 1, **fields}).encode(), fds)

    def send_raw(self, data, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], ancillary)

    def receive(self):
        """The next message and its descriptors; None at the end."""
        try:
            data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
        except ConnectionResetError:  # the other end was closed with messages of ours unread: its own come after that
            data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
        fds = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        if not data:
            return None, list(fds)
        return json.loads(data), list(fds)

    def expect(self, kind):
        """The next message of this type; others are passed over."""
        while True:
            message, fds = self.receive()
            if message is None:
                raise EOFError(f"the channel ended before {kind}")
            if message["type"] == kind:
                return message, fds
            for fd in fds:
                os.close(fd)


def replay(channel, steps):
    """Plays one side of a recorded conversation."""
    for step in steps:
        if "send" in step:
            fds = []
            if "blob" in step:
                fds.append(os.memfd_create("state"))
                os.write(fds[0], json.dumps(step["blob"]).encode())
            with contextlib.suppress(BrokenPipeError):  # the other may have ended: what it has sent is there still
                channel.send_raw(json.dumps(step["send"]).encode(), fds)
            for fd in fds:
                os.close(fd)
        elif "expect" in step:
            _, fds = channel.expect(step["expect"])
            for fd in fds:
                os.close(fd)
        elif "notify" in step:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.sendto(step["notify"].encode(), os.environ["NOTIFY_SOCKET"])


def answer(connection):
    connection.setblocking(True)
    while data := connection.recv(65536):
        assert data.endswith(b"\r\n\r\n"), "a request without a body, in one piece"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nfrom the peer")


def serve_connections(channel):
    """What a generation does that was given connections."""
    while True:
        message, fds = channel.receive()
        if message is None:
            break
        if message["type"] == "connections":
            assert message["listener"] == "http" and len(message["age_ms"]) == len(message["idle_ms"]) == len(fds)
            for fd in fds:
                threading.Thread(target=answer, args=(socket.socket(fileno=fd),), daemon=True).start()
        if message["type"] == "farewell":
            assert message["generation"] == 1 and message["cut"] == 0
            break
    time.sleep(1000)


def main():
    channel = Channel(socket.socket(fileno=int(os.environ["HOLDFAST_SUCCESSION_FD"])))
    if sys.argv[1] == "replay":
        with open(sys.argv[2]) as file:
            replay(channel, json.load(file)["steps"])
        serve_connections(channel)
        return
    for word in sys.argv[1].split(","):
        kind, _, reason = word.partition(":")
        if kind == "end":
            return
        if kind == "wait":
            time.sleep(1000)
        elif kind == "garbage":
            for data in (b"{", b"\xff", b"[]", b"x" * 50_000, b'{"type": []}', b'{"type": "ready'):
                channel.send_raw(data)
        elif kind == "huge":
            channel.send_raw(b'{"type": "ready", "x": "' + b"x" * 150_000 + b'"}')
        elif kind == "descriptors":
            channel.send_raw(b'{"type": "state"}', [0] * 250)
        elif kind in FROM_PREDECESSOR:
            channel.expect(kind)
        else:
            channel.send(kind, **({"reason": reason} if reason else {}))


if __name__ == "__main__":
    main()
