"""The other side of a succession, played by a test: speaks the channel as a release of another time may, or as none
ever would.

As a program it is a successor: `peer.py WORD,WORD,…`, where a word sends the message of that type ("failed:REASON"
with a reason), "go", "lead" and other types of the predecessor's are waited for, "wait" is for ever, "end" is the end.
"""

import array
import json
import os
import socket
import sys
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
        except ConnectionResetError:
            return None, []
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


def main():
    channel = Channel(socket.socket(fileno=int(os.environ["HOLDFAST_SUCCESSION_FD"])))
    for word in sys.argv[1].split(","):
        kind, _, reason = word.partition(":")
        if kind == "end":
            return
        if kind == "wait":
            time.sleep(1000)
        elif kind in FROM_PREDECESSOR:
            channel.expect(kind)
        else:
            channel.send(kind, **({"reason": reason} if reason else {}))


if __name__ == "__main__":
    main()
