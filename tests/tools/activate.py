#!/usr/bin/python3
"""Starts a program with listening sockets as systemd passes them.

systemd-socket-activate waits for the first connection; this starts at once, passes several sockets with names,
and as a module lets the caller wait for READY=1.

    activate.py --listen http=127.0.0.1:8080 --listen admin=unix:/run/admin.sock -- holdfastd --config FILE
"""

import argparse
import os
import select
import socket
import sys
import tempfile
import time


def bind(address, backlog=4096):
    """A listening socket for 127.0.0.1:80, [::1]:80, unix:/path or unix:@abstract."""
    if address.startswith("unix:"):
        path = address[5:]
        if path.startswith("@"):
            path = "\0" + path[1:]
        elif os.path.exists(path):
            os.unlink(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(path)
    else:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
    sock.listen(backlog)
    return sock


def execute(argv, sockets, env=None):
    """Becomes `argv`, with `sockets` ([(name, socket)]) as its descriptors 3, 4 and so on. Does not return."""
    env = dict(os.environ if env is None else env)
    # Out of the way first: one of them may sit on the number of another.
    moved = [os.dup(sock.fileno()) for _, sock in sockets]
    spare = [os.dup(fd) if fd < 3 + len(moved) else fd for fd in moved]
    while any(fd < 3 + len(moved) for fd in spare):
        spare = [os.dup(fd) if fd < 3 + len(moved) else fd for fd in spare]
    for number, fd in enumerate(spare, 3):
        os.dup2(fd, number, inheritable=True)
    env["LISTEN_FDS"] = str(len(sockets))
    env["LISTEN_FDNAMES"] = ":".join(name for name, _ in sockets)
    env["LISTEN_PID"] = str(os.getpid())
    os.execvpe(argv[0], argv, env)


def spawn(argv, sockets, env=None, stderr=None):
    """Starts `argv` with `sockets` in a child; returns its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            if stderr is not None:
                os.dup2(stderr.fileno(), 2)
            execute(argv, sockets, env)
        except BaseException as error:  # pylint: disable=broad-except
            print(f"{argv[0]}: {error}", file=sys.stderr)
        finally:
            os._exit(127)
    return pid


class NotifySocket:
    """The service manager's end of sd_notify."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="notify-")
        self.path = os.path.join(self.folder.name, "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)

    def wait(self, assignment, timeout):
        """Reads messages until one has `assignment` ("READY=1"). Returns whether it came."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.sock], [], [], left)[0]:
                if assignment in self.sock.recv(65536).decode().split("\n"):
                    return True
        return False

    def close(self):
        self.sock.close()
        self.folder.cleanup()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--listen", action="append", default=[], metavar="NAME=ADDRESS")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    sockets = []
    for one in options.listen:
        name, _, address = one.partition("=")
        sockets.append((name, bind(address)))
    execute(options.command, sockets)


if __name__ == "__main__":
    main()
