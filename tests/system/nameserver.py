"""A DNS server whose every answer a test decides, on UDP and TCP of one port."""

import contextlib
import socket
import struct
import threading

A, CNAME, AAAA, SRV = 1, 5, 28, 33
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def a(address, ttl=1):
    return A, ttl, socket.inet_pton(socket.AF_INET, address)


def aaaa(address, ttl=1):
    return AAAA, ttl, socket.inet_pton(socket.AF_INET6, address)


def cname(name, ttl=1):
    return CNAME, ttl, encode(name)


def srv(priority, weight, port, target, ttl=1):
    return SRV, ttl, struct.pack("!HHH", priority, weight, port) + encode(target)


class Query:
    def __init__(self, data, is_tcp):
        self.data = data
        self.is_tcp = is_tcp
        self.id = data[:2]
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        self.name = ".".join(labels).lower()
        self.type, = struct.unpack_from("!H", data, at + 1)
        self.question = data[12:at + 5]

    def reply(self, records=(), rcode=0, truncated=False, count=None):
        """The message with (type, ttl, data) of this name, or (name, type, ttl, data) of another."""
        flags = 0x8180 | (0x0200 if truncated else 0) | rcode
        message = self.id + struct.pack("!HHHHH", flags, 1, len(records) if count is None else count, 0, 0)
        message += self.question
        for record in records:
            owner = b"\xc0\x0c"
            if len(record) == 4:
                owner, record = encode(record[0]), record[1:]
            message += owner + struct.pack("!HHIH", record[0], 1, record[1], len(record[2])) + record[2]
        return message


class Server:
    """`names` says what is known: {name: records}, or {name: function of a query that returns a message or None for
    no answer}. Other names do not exist; records of another type than asked for are left out, but for aliases."""

    def __init__(self, names=None, host="127.0.0.1", port=0):
        self.lock = threading.Lock()
        self.names = names or {}
        self.queries = []
        self.tcp = socket.create_server((host, port))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.udp.bind((host, self.port))
        self.address = f"{host}:{self.port}"
        self.stopping = False
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()

    def set(self, **names):
        """Dots of names are written as underscores."""
        with self.lock:
            for name, what in names.items():
                self.names[name.replace("_", ".")] = what

    def set_name(self, name, what):
        with self.lock:
            self.names[name] = what

    def count(self, name, of_type=None):
        with self.lock:
            return sum(query.name == name and of_type in (None, query.type) for query in self.queries)

    def answer(self, data, is_tcp):
        query = Query(data, is_tcp)
        with self.lock:
            self.queries.append(query)
            known = self.names.get(query.name)
        if known is None:
            return query.reply(rcode=NXDOMAIN)
        if callable(known):
            return known(query)
        records = [r for r in known if r[0] in (query.type, CNAME) or len(r) == 4 and r[1] in (query.type, CNAME)]
        message = query.reply(records)
        return message if is_tcp or len(message) <= 512 else query.reply(truncated=True)

    def serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                data, client = self.udp.recvfrom(4096)
                if self.stopping:
                    return
                message = self.answer(data, False)
                if message is not None:
                    self.udp.sendto(message, client)

    def serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                if self.stopping:
                    return
                threading.Thread(target=self.serve_connection, args=[connection], daemon=True).start()

    def serve_connection(self, connection):
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
            while len(length := stream.read(2)) == 2:
                message = self.answer(stream.read(struct.unpack("!H", length)[0]), True)
                if message is not None:
                    connection.sendall(struct.pack("!H", len(message)) + message)

    def stop(self):
        self.stopping = True
        with contextlib.suppress(OSError):
            self.udp.sendto(b"", self.udp.getsockname())
            socket.create_connection(self.tcp.getsockname()).close()
        for thread in self.threads:
            thread.join(5)
        self.udp.close()
        self.tcp.close()
