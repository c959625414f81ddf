"""Tries what the sandbox of the service is to forbid, and a little that it must allow. Runs inside it, and writes to the
state's folder, for each, the name of the error, or null."""

import errno
import json
import mmap
import os
import socket


def connect():
    with socket.socket(socket.AF_INET) as client:
        client.connect(("127.0.0.1", 80))


def listen():
    with socket.socket(socket.AF_INET) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


TRIES = {
    "memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE),
    "connect": connect,
    "names": lambda: socket.getaddrinfo("127.0.0.1", 80, flags=socket.AI_ADDRCONFIG),
    "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "listen": listen,
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "chown": lambda: os.chown("/var/lib/holdfast", os.getuid(), os.getgid()),
    "fifo": lambda: os.mkfifo("/var/lib/holdfast/fifo"),
    "set-user-id": lambda: os.chmod("/var/lib/holdfast", 0o4700),
    "real-time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "host's name": lambda: socket.sethostname("probe"),
    "kernel's settings": lambda: open("/proc/sys/kernel/hostname").close(),
    "init": lambda: open("/proc/1/status").close(),
    "configuration": lambda: open("/etc/holdfast/holdfast.conf", "a").close(),
}

outcome = {}
for name, attempt in TRIES.items():
    try:
        attempt()
        outcome[name] = None
    except OSError as problem:
        outcome[name] = errno.errorcode.get(problem.errno, str(problem.errno))
with open("/var/lib/holdfast/probe", "w") as file:
    json.dump(outcome, file)
