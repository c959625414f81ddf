"""A client that sends several requests on each connection without waiting for answers. Runs inside the machine: python3
pipelining.py CONNECTIONS REQUESTS PATH. Writes "sent" when all are on their way, and at the end a line of counts.

The path is one whose answer is the request's id: so an answer that is not there, or in another's place, is seen."""

import socket
import sys

connections, requests, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def name(connection, request):
    return f"pipelined-{connection:05}-{request:05}"


def answers(sock):
    """(status, body) of each, as they come."""
    with sock.makefile("rb") as stream:
        while line := stream.readline():
            status, size = int(line.split()[1]), 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                field, _, value = line.partition(b":")
                size = int(value) if field.lower() == b"content-length" else size
            yield status, stream.read(size).decode().strip()


socks = []
for number in range(connections):
    sock = socket.create_connection(("127.0.0.1", 80), timeout=60)
    sock.sendall("".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {name(number, request)}\r\n\r\n"
                         for request in range(requests)).encode())
    socks.append(sock)
print("sent", flush=True)
good = bad = missing = 0
for number, sock in enumerate(socks):
    got = []
    for answer in answers(sock):
        got.append(answer)
        if len(got) == requests:
            break
    wanted = [(200, name(number, request)) for request in range(requests)]
    good += sum(one == other for one, other in zip(got, wanted))
    bad += sum(one != other for one, other in zip(got, wanted))
    missing += requests - len(got)
print(f"good={good} bad={bad} missing={missing}")
