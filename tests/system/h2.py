"""HTTP/2 on a socket, frame by frame, for tests. Requests are encoded as literals without indexing and without Huffman,
so that a test knows the bytes it sends; responses are decoded with hpack, for the server may use all of it.
"""

import contextlib
import dataclasses
import socket
import struct

import hpack

import h1

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
NAMES = "DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE CONTINUATION".split()

END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)

INITIAL_WINDOW_SIZE = 0x4


@dataclasses.dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    def __str__(self):
        name = NAMES[self.kind] if self.kind < len(NAMES) else f"type {self.kind}"
        return f"{name} flags={self.flags:#x} stream={self.stream} size={len(self.payload)}"


@dataclasses.dataclass
class GoAway:
    last_stream: int
    error: int
    debug: bytes


def encode_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def encode_integer(value, prefix):
    """RFC 7541 5.1, with zero in the bits before the prefix."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([value])
    out = [limit]
    value -= limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def encode_headers(fields):
    """Each field as a literal without indexing, new name, no Huffman (RFC 7541 6.2.2)."""
    block = b""
    for name, value in fields:
        name, value = name.encode(), value.encode("latin-1")
        block += b"\0" + encode_integer(len(name), 7) + name + encode_integer(len(value), 7) + value
    return block


@dataclasses.dataclass
class Stream:
    """What came on one stream."""

    headers: h1.Fields = None
    body: bytes = b""
    trailers: h1.Fields = None
    informational: list = dataclasses.field(default_factory=list)
    ended: bool = False
    reset: int = None  # the error code of RST_STREAM

    @property
    def status(self):
        return int(self.headers.get(":status")) if self.headers else None


class Connection(h1.Peer):
    """A client's connection. Frames are read when a test waits for something, and sorted into `streams`, `goaways` and
    `pings`; flow control windows are given back at once unless `window_updates` is False."""

    def __init__(self, address, timeout=10, tls=None, preface=True, settings=(), window_updates=True, **options):
        if tls:
            tls.set_alpn_protocols(["h2"])
        connection = h1.Connection(address, timeout, tls, **options)
        super().__init__(connection.sock, timeout)
        if self.sock.family != socket.AF_UNIX:
            # Frames are sent one by one: each would wait for the acknowledgement of the one before.
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.scheme = "https" if tls else "http"
        self.decoder = hpack.Decoder()
        self.streams, self.goaways, self.pings, self.frames = {}, [], [], []
        self.settings = None  # the server's
        self.window_updates = window_updates
        self.windows = {0: 65535}  # what we may send
        self.initial_window = 65535
        self.next_stream = 1
        self._headers = None  # stream, END_STREAM, fragments of a block that is not complete
        if preface:
            self.send(PREFACE)
            payload = b"".join(struct.pack(">HI", *setting) for setting in settings)
            self.send_frame(SETTINGS, 0, 0, payload)

    # Sending

    def send_frame(self, kind, flags, stream, payload=b""):
        self.send(encode_frame(kind, flags, stream, payload))

    def request(self, method="GET", path="/", headers=(), body=None, end=True, authority="test", scheme=None):
        """Opens a stream. With end=False it stays open for send_data(). Returns its number."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        fields = [(":method", method), (":scheme", scheme or self.scheme), (":path", path)]
        if authority is not None:
            fields.append((":authority", authority))
        flags = END_HEADERS | (END_STREAM if end and body is None else 0)
        self.send_frame(HEADERS, flags, stream, encode_headers([*fields, *headers]))
        self.streams[stream] = Stream()
        self.windows[stream] = self.initial_window
        if body is not None:
            self.send_data(stream, body, end)
        return stream

    def send_data(self, stream, data, end=False):
        """Body bytes, within the windows the server gives."""
        data = memoryview(data)
        while True:
            size = min(len(data), 16384, self.windows[0], self.windows[stream])
            if data and size <= 0:
                self.read_frame()
                continue
            part, data = data[:size], data[size:]
            self.windows[0] -= size
            self.windows[stream] -= size
            self.send_frame(DATA, END_STREAM if end and not data else 0, stream, bytes(part))
            if not data:
                return

    def send_reset(self, stream, error=CANCEL):
        self.send_frame(RST_STREAM, 0, stream, struct.pack(">I", error))

    def send_ping(self, payload=b"holdfast"):
        self.send_frame(PING, 0, 0, payload)

    # Receiving

    def read_frame(self):
        """The next frame, after it was sorted in. Closed at an orderly end between two frames."""
        head = self.read_exactly(9)
        size, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
        if stream >> 31 or size > 16384:
            raise h1.ProtocolError(f"frame head {head.hex()}")
        frame = Frame(kind, flags, stream, self.read_exactly(size))
        self.frames.append(frame)
        if self._headers and kind != CONTINUATION:
            raise h1.ProtocolError(f"{frame} within a header block")
        handler = {
            DATA: self._on_data,
            HEADERS: self._on_headers,
            CONTINUATION: self._on_continuation,
            RST_STREAM: self._on_reset,
            SETTINGS: self._on_settings,
            PING: self._on_ping,
            GOAWAY: self._on_goaway,
            WINDOW_UPDATE: self._on_window_update,
        }.get(kind)
        if handler:
            handler(frame)
        return frame

    def read_until(self, condition):
        """Reads frames until the condition holds."""
        while not condition():
            self.read_frame()

    def read_response(self, stream):
        """The whole response on a stream, or the reset of it."""
        s = self.streams[stream]
        self.read_until(lambda: s.ended or s.reset is not None)
        return s

    def get(self, path="/", headers=()):
        return self.read_response(self.request("GET", path, headers))

    def read_goaway(self, number=1):
        """The n-th GOAWAY."""
        self.read_until(lambda: len(self.goaways) >= number)
        return self.goaways[number - 1]

    def read_to_close(self):
        """Frames until the server closes. Raises when it does so in the middle of one."""
        try:
            while True:
                self.read_frame()
        except h1.Closed as closed:
            if closed.received:
                raise

    def _payload(self, frame):
        payload = frame.payload
        if frame.flags & PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        if frame.kind == HEADERS and frame.flags & PRIORITY_FLAG:
            payload = payload[5:]
        return payload

    def _stream(self, frame):
        if frame.stream not in self.streams:
            raise h1.ProtocolError(f"{frame} on a stream that is not open")
        return self.streams[frame.stream]

    def _on_data(self, frame):
        stream = self._stream(frame)
        if stream.headers is None or stream.ended:
            raise h1.ProtocolError(f"{frame} before the head or after the end")
        stream.body += self._payload(frame)
        stream.ended = bool(frame.flags & END_STREAM)
        if self.window_updates and frame.payload:
            update = struct.pack(">I", len(frame.payload))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError) if stream.ended else contextlib.nullcontext():
                self.send_frame(WINDOW_UPDATE, 0, 0, update)  # a draining server may have closed behind the last frame
            if not stream.ended:
                self.send_frame(WINDOW_UPDATE, 0, frame.stream, update)

    def _on_headers(self, frame):
        self._headers = [frame.stream, bool(frame.flags & END_STREAM), self._payload(frame)]
        if frame.flags & END_HEADERS:
            self._end_headers(frame)

    def _on_continuation(self, frame):
        if not self._headers or self._headers[0] != frame.stream:
            raise h1.ProtocolError(f"{frame} out of place")
        self._headers[2] += frame.payload
        if frame.flags & END_HEADERS:
            self._end_headers(frame)

    def _end_headers(self, frame):
        _, ended, block = self._headers
        self._headers = None
        stream = self._stream(frame)
        fields = h1.Fields(self.decoder.decode(block))
        if any(name != name.lower() for name, _ in fields):
            raise h1.ProtocolError(f"an upper-case field name in {fields}")
        if stream.headers is not None:
            stream.trailers = fields
        elif fields.get(":status", "").startswith("1"):
            stream.informational.append(fields)
        else:
            stream.headers = fields
        stream.ended = ended

    def _on_reset(self, frame):
        self._stream(frame).reset = struct.unpack(">I", frame.payload)[0]

    def _on_settings(self, frame):
        if frame.flags & ACK:
            return
        self.settings = dict(struct.iter_unpack(">HI", frame.payload))
        if INITIAL_WINDOW_SIZE in self.settings:
            change = self.settings[INITIAL_WINDOW_SIZE] - self.initial_window
            self.initial_window += change
            for stream in self.windows:
                self.windows[stream] += change if stream else 0
        self.send_frame(SETTINGS, ACK, 0)

    def _on_ping(self, frame):
        if frame.flags & ACK:
            self.pings.append(frame.payload)
        else:
            self.send_frame(PING, ACK, 0, frame.payload)

    def _on_goaway(self, frame):
        last, error = struct.unpack(">II", frame.payload[:8])
        self.goaways.append(GoAway(last, error, frame.payload[8:]))

    def _on_window_update(self, frame):
        self.windows[frame.stream] = self.windows.get(frame.stream, 0) + struct.unpack(">I", frame.payload)[0]
