"""Requests at the edges of HTTP/1's framing, as data: the bytes, where RFC 9112 or RFC 9110 speaks of them, and what must
become of them.

A request that two parties could read in two ways is how one request is smuggled inside another. So each is refused, and
the connection closed, or it is understood in the one way that is written here, and goes on in that form alone.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Request:
    """What an app gets."""

    method: str = "GET"
    target: str = "/"
    host: str = "a"
    body: bytes = b""
    absent: tuple = ()  # fields that must not have come through


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    section: str  # of RFC 9112, unless it says otherwise
    data: bytes
    status: int  # of our own answer; 0: it is accepted
    request: Request | None  # as it is accepted
    closes: bool  # the connection, after the answer


GET = "GET / HTTP/1.1\r\n"
POST = "POST / HTTP/1.1\r\n"
HOST = "Host: a\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
FIVE = "Content-Length: 5\r\n"


def refused(name, section, text, status=400):
    return Case(name, section, text.encode("latin-1"), status, None, True)


def accepted(name, section, text, closes=False, **request):
    return Case(name, section, text.encode("latin-1"), 0, Request(**request), closes)


def answered(name, section, text, status):
    return Case(name, section, text.encode("latin-1"), status, None, False)


def length(value):
    return f"{POST}{HOST}Content-Length:{value}\r\n\r\nhello"


def coding(*values, version="1.1", more=""):
    fields = "".join(f"Transfer-Encoding:{value}\r\n" for value in values)
    return f"POST / HTTP/{version}\r\n{HOST}{more}{fields}\r\n5\r\nhello\r\n0\r\n\r\n"


def chunks(text):
    return f"{POST}{HOST}{CHUNKED}\r\n{text}"


def host(value):
    return f"{GET}Host:{value}\r\n\r\n"


def line(text):
    return f"{text}\r\n{HOST}\r\n"


def field(text):
    return f"{GET}{HOST}{text}\r\n\r\n"


def hello(**more):
    return {"method": "POST", "body": b"hello", **more}


LENGTHS = [
    accepted("a length", "6.2", length(" 5"), **hello()),
    accepted("a length without a blank", "5.1", length("5"), **hello()),
    accepted("a length with blanks around", "5.1", length(" \t 5\t "), **hello()),
    accepted("a length with leading zeros", "RFC 9110 8.6", length(" 0005"), **hello()),
    accepted("a length of nothing", "6.2", f"{POST}{HOST}Content-Length: 0\r\n\r\n", method="POST"),
    accepted("no length, no body", "6.3", f"{POST}{HOST}\r\n", method="POST"),
    accepted("a GET with a body", "6", f"{GET}{HOST}{FIVE}\r\nhello", body=b"hello"),
    refused("a length that Connection names", "RFC 9110 7.6.1", f"{POST}{HOST}{FIVE}Connection: content-length\r\n\r\nhello"),
    accepted("another field, whose name is similar", "RFC 9110 5.1", f"{GET}{HOST}Content_Length: 5\r\n\r\n"),
    refused("two equal lengths", "6.3", f"{POST}{HOST}{FIVE}{FIVE}\r\nhello"),
    refused("two lengths, the larger first", "6.3", f"{POST}{HOST}{FIVE}Content-Length: 0\r\n\r\nhello"),
    refused("two lengths, the smaller first", "6.3", f"{POST}{HOST}content-length: 0\r\n{FIVE}\r\nhello"),
    refused("a list of equal lengths", "6.3", length(" 5, 5")),
    refused("a list of lengths", "6.3", length(" 5, 6")),
    refused("a list of one length", "6.3", length(" 5,")),
    refused("a length with a plus", "RFC 9110 8.6", length(" +5")),
    refused("a length with a minus", "RFC 9110 8.6", length(" -5")),
    refused("a hexadecimal length", "RFC 9110 8.6", length(" 0x5")),
    refused("a length with a fraction", "RFC 9110 8.6", length(" 5.0")),
    refused("a length with a blank within", "RFC 9110 8.6", length(" 0 5")),
    refused("a length in quotes", "RFC 9110 8.6", length(' "5"')),
    refused("a length and a letter", "RFC 9110 8.6", length(" 5a")),
    refused("a length that is empty", "RFC 9110 8.6", length("")),
    refused("a length of 2^64", "RFC 9110 8.6", length(" 18446744073709551616")),
    refused("a length of 2^64 + 5", "RFC 9110 8.6", length(" 18446744073709551621")),
    refused("a length of 2^32 + 5", "RFC 9110 15.5.14", length(" 4294967301"), 413),
    refused("a length of many zeros", "RFC 9110 8.6", length(" " + "0" * 400 + "5")),
    refused("a length behind a vertical tab", "RFC 9110 5.5", length(" \x0b5")),
    refused("a length with a byte beyond ASCII", "RFC 9110 8.6", length(" 5\xa0")),
    refused("a length with a blank before the colon", "5.1", f"{POST}{HOST}Content-Length : 5\r\n\r\nhello"),
    refused("a length on a line that is folded", "5.2", f"{POST}{HOST}Content-Length:\r\n 5\r\n\r\nhello"),
]

CODINGS = [
    accepted("chunked", "7.1", coding(" chunked"), **hello(absent=("transfer-encoding",))),
    accepted("chunked in capitals", "7", coding(" CHUNKED"), **hello()),
    accepted("chunked with blanks around", "5.1", coding("\tchunked \t"), **hello()),
    accepted("chunked that Connection names", "RFC 9110 7.6.1",
             f"{POST}{HOST}Connection: transfer-encoding\r\n{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n", **hello()),
    accepted("another field, whose name is similar to a coding's", "RFC 9110 5.1",
             f"{POST}{HOST}{FIVE}Transfer_Encoding: chunked\r\n\r\nhello", **hello()),
    refused("a length before a coding", "6.3", coding(" chunked", more=FIVE)),
    refused("a length behind a coding", "6.3", f"{POST}{HOST}{CHUNKED}{FIVE}\r\n0\r\n\r\n"),
    refused("a length of nothing with a coding", "6.3", coding(" chunked", more="Content-Length: 0\r\n")),
    refused("a length with a coding that is unknown", "6.3", coding(" xchunked", more=FIVE)),
    refused("identity", "6.3", coding(" identity")),
    refused("gzip", "6.3", coding(" gzip")),
    refused("gzip in chunks", "6.1", coding(" gzip, chunked"), 501),
    refused("gzip in chunks, on two lines", "6.1", coding(" gzip", " chunked"), 501),
    refused("identity in chunks", "6.1", coding(" identity, chunked"), 501),
    refused("chunked is not last", "6.3", coding(" chunked, identity")),
    refused("chunked is not last, on two lines", "6.3", coding(" chunked", " gzip")),
    refused("chunked twice", "6.1", coding(" chunked, chunked")),
    refused("chunked twice, on two lines", "6.1", coding(" chunked", " chunked")),
    refused("a coding that ends in chunked", "6.3", coding(" xchunked")),
    refused("a coding that begins with chunked", "6.3", coding(" chunkedx")),
    refused("chunked with a parameter", "7", coding(" chunked;q=1")),
    refused("chunked in quotes", "7", coding(' "chunked"')),
    refused("chunked before an empty element", "6.3", coding(" chunked,")),
    refused("chunked behind an empty element", "6.3", coding(" , chunked")),
    refused("no coding", "6.3", coding("")),
    refused("chunked behind a vertical tab", "RFC 9110 5.5", coding(" \x0bchunked")),
    refused("chunked behind a byte beyond ASCII", "6.3", coding(" \xa0chunked")),
    refused("chunked with NUL", "RFC 9110 5.5", coding(" chunked\0")),
    refused("a coding with a blank before the colon", "5.1", f"{POST}{HOST}Transfer-Encoding : chunked\r\n{FIVE}\r\n0\r\n\r\n"),
    refused("a coding on a line that is folded", "5.2", f"{POST}{HOST}{FIVE}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    refused("a coding hidden behind a bare LF", "2.2", f"{POST}{HOST}{FIVE}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    refused("a coding hidden behind a bare CR", "2.2", f"{POST}{HOST}{FIVE}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    refused("a coding from HTTP/1.0", "6.1", coding(" chunked", version="1.0")),
    refused("a coding and a length from HTTP/1.0", "6.1", coding(" chunked", version="1.0", more=FIVE)),
    refused("a coding from HTTP/1.0 that wants to stay", "6.1",
            coding(" chunked", version="1.0", more="Connection: keep-alive\r\n")),
]

CHUNKS = [
    accepted("several chunks", "7.1", chunks("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), **hello()),
    accepted("no chunk", "7.1", chunks("0\r\n\r\n"), method="POST"),
    accepted("a chunk's size with leading zeros", "7.1", chunks("00000000000000000005\r\nhello\r\n000\r\n\r\n"), **hello()),
    accepted("chunk extensions", "7.1.1", chunks('5;a;b=c;d="e f"\r\nhello\r\n0;x\r\n\r\n'), **hello()),
    accepted("a chunk extension behind blanks", "7.1.1", chunks("5 \t; a = b\r\nhello\r\n0\r\n\r\n"), **hello()),
    accepted("a length in the trailer", "RFC 9110 6.5.1", chunks("5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"), **hello()),
    accepted("a coding and a host in the trailer", "RFC 9110 6.5.1",
             chunks("5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\nHost: b\r\nX-T: 1\r\n\r\n"),
             **hello(absent=("transfer-encoding", "x-t"))),
    refused("a chunk of 2^64 + 5", "7.1", chunks("10000000000000005\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk of 2^64 - 1", "7.1", chunks("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk of 2^63", "7.1", chunks("8000000000000000\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk with a minus", "7.1", chunks("-5\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk with a plus", "7.1", chunks("+5\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk with 0x", "7.1", chunks("0x5\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk with an underscore", "7.1", chunks("0_5\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk with a blank first", "7.1", chunks(" 5\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk with two sizes", "7.1", chunks("5 6\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk's extension without a semicolon", "7.1.1", chunks("5 x=y\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk without a size", "7.1", chunks("\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk with an extension only", "7.1", chunks(";a=b\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk's size that ends in LF", "7.1", chunks("5\nhello\r\n0\r\n\r\n")),
    refused("a chunk's size that ends in CR", "7.1", chunks("5\rhello\r\n0\r\n\r\n")),
    refused("a chunk's size that ends in CR CR LF", "7.1", chunks("5\r\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk's extension that ends in LF", "7.1.1", chunks("5;a\nhello\r\n0\r\n\r\n")),
    refused("a chunk's extension with a bare CR", "7.1.1", chunks("5;a\rb\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk's extension with NUL", "7.1.1", chunks("5;a\0b\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk's extension without end", "7.1.1", chunks(f"5;{'a' * 2000}\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk's data that end in LF", "7.1", chunks("5\r\nhello\n0\r\n\r\n")),
    refused("a chunk's data that end in CR", "7.1", chunks("5\r\nhello\r0\r\n\r\n")),
    refused("a chunk's data that go on", "7.1", chunks("5\r\nhello!\r\n0\r\n\r\n")),
    refused("a chunk's data that are short", "7.1", chunks("6\r\nhello\r\n0\r\n\r\n")),
    refused("a last chunk that ends in LF", "7.1", chunks("5\r\nhello\r\n0\n\r\n")),
    refused("a trailer that ends in LF", "7.1.2", chunks("5\r\nhello\r\n0\r\n\n")),
    refused("a trailer with a bare LF", "7.1.2", chunks("5\r\nhello\r\n0\r\nX: y\n\r\n")),
    refused("a trailer with a folded line", "7.1.2", chunks("5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n")),
    refused("a trailer without a colon", "7.1.2", chunks("5\r\nhello\r\n0\r\nXy\r\n\r\n")),
    refused("a trailer with a blank before the colon", "7.1.2", chunks("5\r\nhello\r\n0\r\nX : y\r\n\r\n")),
    refused("a request where a trailer is", "7.1.2", chunks("5\r\nhello\r\n0\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n")),
    refused("a trailer with NUL", "7.1.2", chunks("5\r\nhello\r\n0\r\nX: \0\r\n\r\n")),
]

HOSTS = [
    accepted("a host", "3.2", host(" a")),
    accepted("a host with a port", "RFC 9110 7.2", host(" a.example:8080"), host="a.example:8080"),
    accepted("an address of version 6", "RFC 9110 7.2", host(" [::1]:80"), host="[::1]:80"),
    accepted("an empty host", "3.2", host(""), host="localhost"),
    accepted("no host from HTTP/1.0", "3.2", "GET / HTTP/1.0\r\n\r\n", closes=True, host="localhost"),
    refused("a host that Connection names", "RFC 9110 7.6.1", f"{GET}{HOST}Connection: host\r\n\r\n"),
    refused("no host", "3.2", f"{GET}\r\n"),
    refused("two equal hosts", "3.2", f"{GET}{HOST}{HOST}\r\n"),
    refused("two hosts", "3.2", f"{GET}{HOST}host: b\r\n\r\n"),
    refused("two hosts, one empty", "3.2", f"{GET}{HOST}Host:\r\n\r\n"),
    refused("two hosts from HTTP/1.0", "3.2", f"GET / HTTP/1.0\r\n{HOST}Host: b\r\n\r\n"),
    refused("a list of hosts", "3.2", host(" a, b")),
    refused("a host with a blank", "3.2", host(" a b")),
    refused("a host with a path", "3.2", host(" a/b")),
    refused("a host with a query", "3.2", host(" a?b")),
    refused("a host with a fragment", "3.2", host(" a#b")),
    refused("a host with a user", "RFC 9110 4.2.4", host(" u@a")),
    refused("a host with a backslash", "3.2", host(" a\\b")),
    refused("a host with NUL", "RFC 9110 5.5", host(" a\0b")),
    refused("a host beyond ASCII", "3.2", host(" \xe4")),
    refused("a host with half an escape", "RFC 3986 2.1", host(" a%4")),
    refused("a port that is none", "RFC 9110 7.2", host(" a:b")),
    refused("a port with a minus", "RFC 9110 7.2", host(" a:-80")),
    refused("two ports", "RFC 9110 7.2", host(" a:80:90")),
    refused("a port without a host", "RFC 9110 4.2.1", host(" :80")),
    refused("an address of version 6 without brackets", "RFC 9110 7.2", host(" ::1")),
    refused("a bracket that is not closed", "RFC 9110 7.2", host(" [::1")),
    refused("something behind a bracket", "RFC 9110 7.2", host(" [::1]a")),
    refused("a name in brackets", "RFC 9110 7.2", host(" [a.example]")),
    refused("a host of 300 bytes", "RFC 9110 7.2", host(" " + "a" * 300)),
    refused("a host with a blank before the colon", "5.1", f"{GET}Host : a\r\n\r\n"),
]

TARGETS = [
    accepted("a query", "3.2.1", line("GET /b?c=d HTTP/1.1"), target="/b?c=d"),
    accepted("two slashes", "3.2.1", line("GET //b HTTP/1.1"), target="//b"),
    accepted("an absolute target", "3.2.2", line("GET http://a/b HTTP/1.1"), target="/b"),
    accepted("an absolute target of another host", "3.2.2", line("GET http://b/c HTTP/1.1"), target="/c", host="b"),
    accepted("an absolute target of another host's port", "3.2.2", line("GET HTTP://a:8080/ HTTP/1.1"), host="a:8080"),
    accepted("an absolute target without a path", "3.2.2", line("GET http://b HTTP/1.1"), host="b"),
    accepted("an absolute target without a path, with a query", "3.2.2", line("GET http://b?c=d HTTP/1.1"), target="/?c=d", host="b"),
    accepted("an absolute target of an empty path and query", "RFC 3986 6.2.3", line("GET http://b? HTTP/1.1"), target="/?", host="b"),
    answered("OPTIONS of the server as a whole", "RFC 9110 9.3.7", line("OPTIONS * HTTP/1.1"), 204),
    refused("a star with a query", "3.2.4", line("OPTIONS *?a HTTP/1.1")),
    refused("an absolute target of https without TLS", "RFC 9110 7.4", line("GET https://a/ HTTP/1.1"), 421),
    refused("an absolute target without Host", "3.2", "GET http://a/ HTTP/1.1\r\n\r\n"),
    refused("an absolute target with two hosts", "3.2", f"GET http://a/ HTTP/1.1\r\n{HOST}Host: b\r\n\r\n"),
    refused("an absolute target with a bad Host", "3.2", "GET http://a/ HTTP/1.1\r\nHost: b@c\r\n\r\n"),
    refused("an absolute target with an empty host", "RFC 9110 4.2.1", line("GET http:///b HTTP/1.1")),
    refused("an absolute target with a port only", "RFC 9110 4.2.1", line("GET http://:80/b HTTP/1.1")),
    refused("an absolute target with a user", "RFC 9110 4.2.4", line("GET http://a@b/ HTTP/1.1")),
    refused("an absolute target with a bad port", "RFC 9110 4.2.1", line("GET http://a:b/ HTTP/1.1")),
    refused("an absolute target of another scheme", "3.2.2", line("GET gopher://a/ HTTP/1.1")),
    refused("an absolute target with one slash", "3.2.2", line("GET http:/a HTTP/1.1")),
    refused("an authority as the target of GET", "3.2.3", line("GET a:80 HTTP/1.1")),
    refused("CONNECT", "3.2.3", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    refused("CONNECT to another host", "3.2.3", line("CONNECT b:80 HTTP/1.1")),
    refused("CONNECT to a path", "3.2.3", line("CONNECT /b HTTP/1.1")),
    refused("CONNECT to an absolute target", "3.2.3", line("CONNECT http://a/ HTTP/1.1")),
    refused("GET of everything", "3.2.4", line("GET * HTTP/1.1")),
    refused("a relative target", "3.2", line("GET b HTTP/1.1")),
    refused("a query only", "3.2", line("GET ?b HTTP/1.1")),
    refused("no target", "3", line("GET HTTP/1.1")),
    refused("an empty target", "3", line("GET  HTTP/1.1")),
    refused("a target with a blank", "3.2", line("GET /b c HTTP/1.1")),
    refused("a target with a version", "3.2", line("GET /b HTTP/1.1 HTTP/1.1")),
    refused("a target with a tab", "3.2", line("GET /b\tc HTTP/1.1")),
    refused("a target with NUL", "3.2", line("GET /b\0 HTTP/1.1")),
    refused("a target with DEL", "3.2", line("GET /b\x7f HTTP/1.1")),
    refused("a target beyond ASCII", "3.2", line("GET /\xc3\xa4 HTTP/1.1")),
    refused("a target with a bare CR", "2.2", line("GET /b\r HTTP/1.1")),
    refused("a version with a bare CR behind it", "2.2", "GET / HTTP/1.1\rXHost: a\r\n\r\n"),
    refused("a target with a fragment", "3.2", line("GET /b#c HTTP/1.1")),
    refused("a query with a fragment", "3.2", line("GET /b?c#d HTTP/1.1")),
    refused("a target of 20000 bytes", "3", line(f"GET /{'b' * 20000} HTTP/1.1"), 414),
]

LINES = [
    accepted("a method of any letters", "RFC 9110 9.1", line("get /b HTTP/1.1"), method="get", target="/b"),
    accepted("a higher minor version", "RFC 9110 2.5", line("GET /b HTTP/1.2"), target="/b"),
    accepted("an empty line first", "2.2", "\r\n" + line("GET /b HTTP/1.1"), target="/b"),
    accepted("four empty lines first", "2.2", "\r\n\r\n\r\n\r\n" + line("GET /b HTTP/1.1"), target="/b"),
    accepted("HTTP/1.0", "9.3", "GET /b HTTP/1.0\r\nHost: a\r\n\r\n", closes=True, target="/b"),
    accepted("HTTP/1.0 that stays", "9.3", f"POST /b HTTP/1.0\r\n{HOST}{FIVE}Connection: keep-alive\r\n\r\nhello",
             **hello(target="/b", absent=("connection",))),
    accepted("a connection to be closed", "9.6", field("Connection: x, Close"), closes=True),
    refused("empty lines without end", "2.2", "\r\n" * 40 + line("GET / HTTP/1.1")),
    refused("a bare LF first", "2.2", "\n" + line("GET / HTTP/1.1")),
    refused("a blank first", "3", line(" GET / HTTP/1.1")),
    refused("a blank line first", "2.2", " \r\n" + line("GET / HTTP/1.1")),
    refused("a bare CR first", "2.2", "\r" + line("GET / HTTP/1.1")),
    refused("NUL first", "3", line("\0GET / HTTP/1.1")),
    refused("a request line that ends in LF", "2.2", f"GET / HTTP/1.1\n{HOST}\r\n"),
    refused("a field line that ends in LF", "2.2", f"{GET}Host: a\n\r\n"),
    refused("a head that ends in LF", "2.2", f"{GET}{HOST}\n"),
    refused("a head of bare LF", "2.2", "GET / HTTP/1.1\nHost: a\n\n"),
    refused("a head that ends in CR CR LF", "2.2", f"{GET}{HOST}\r\r\n\r\n"),
    refused("a request line that ends in CR CR LF", "2.2", f"GET / HTTP/1.1\r\r\n{HOST}\r\n"),
    refused("two blanks behind the method", "3", line("GET  / HTTP/1.1")),
    refused("two blanks before the version", "3", line("GET /  HTTP/1.1")),
    refused("a tab behind the method", "3", line("GET\t/ HTTP/1.1")),
    refused("a form feed before the version", "3", line("GET /\x0cHTTP/1.1")),
    refused("a blank behind the version", "3", line("GET / HTTP/1.1 ")),
    refused("no version", "2.3", line("GET /")),
    refused("HTTP/0.9", "RFC 9110 15.6.6", line("GET / HTTP/0.9"), 505),
    accepted("TRACE, without what it must not reflect", "RFC 9110 9.3.8",
             f"TRACE /b HTTP/1.1\r\n{HOST}Cookie: a=1\r\nAuthorization: Basic eA==\r\n\r\n",
             method="TRACE", target="/b", absent=("cookie", "authorization")),
    refused("HTTP/3.0", "RFC 9110 15.6.6", line("GET / HTTP/3.0"), 505),
    refused("HTTP/2.0", "RFC 9110 15.6.6", line("GET / HTTP/2.0"), 505),
    refused("a name of HTTP in small letters", "2.3", line("GET / http/1.1")),
    refused("a version with two digits", "2.3", line("GET / HTTP/1.10")),
    refused("a version with a leading zero", "2.3", line("GET / HTTP/01.1")),
    refused("a version with one number", "2.3", line("GET / HTTP/1")),
    refused("a version with a comma", "2.3", line("GET / HTTP/1,1")),
    refused("a version with a letter", "2.3", line("GET / HTTP/1.x")),
    refused("another protocol", "2.3", line("GET / HTCPCP/1.1")),
    refused("a version with NUL", "2.3", line("GET / HTTP/1.1\0")),
    refused("a method with a bracket", "RFC 9110 5.6.2", line("G(T / HTTP/1.1")),
    refused("a method with a colon", "RFC 9110 5.6.2", line("GET: / HTTP/1.1")),
    refused("a method with NUL", "RFC 9110 5.6.2", line("G\0T / HTTP/1.1")),
    refused("a method beyond ASCII", "RFC 9110 5.6.2", line("G\xcbT / HTTP/1.1")),
    refused("no method", "3", line("/ HTTP/1.1")),
    refused("an empty method", "3", line(" / HTTP/1.1")),
    refused("a method of 100 letters", "3", line("G" * 100 + " / HTTP/1.1"), 501),
]

FIELDS = [
    accepted("a field with blanks around", "5.1", field("X-A: \t b \t"), absent=("x-b",)),
    accepted("a field beyond ASCII", "RFC 9110 5.5", field("X-A: \xe4")),
    accepted("a field without a value", "RFC 9110 5.5", field("X-A:")),
    accepted("fields that two lines of Connection name", "RFC 9110 7.6.1",
             field("Connection: X-A\r\nConnection: keep-alive, X-B\r\nX-A: 1\r\nX-B: 2"), absent=("x-a", "x-b", "connection")),
    accepted("an upgrade to HTTP/2", "RFC 9113 3.1", field("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
             absent=("upgrade", "http2-settings", "connection")),
    accepted("an upgrade from HTTP/1.0", "RFC 9110 7.8",
             f"GET / HTTP/1.0\r\n{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", closes=True, absent=("upgrade", "connection")),
    accepted("an upgrade that Connection does not name", "RFC 9110 7.8", field("Upgrade: websocket"), absent=("upgrade",)),
    accepted("an upgrade with a body", "RFC 9110 7.8", f"{GET}{HOST}{FIVE}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello", body=b"hello"),
    accepted("an upgrade to HTTP/2 with a body", "RFC 9113 3.1", f"{POST}{HOST}{FIVE}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nhello",
             **hello(absent=("upgrade", "connection"))),
    refused("a cookie that Connection names", "RFC 9110 7.6.1", field("Connection: close, Cookie\r\nCookie: a=1")),
    refused("credentials that Connection names", "RFC 9110 7.6.1", field("Authorization: Basic eA==\r\nConnection: authorization")),
    refused("a folded line", "5.2", field("X: a\r\n b")),
    refused("a line folded with a tab", "5.2", field("X: a\r\n\tb")),
    refused("a folded line first", "2.2", f"{GET} X: a\r\n{HOST}\r\n"),
    refused("a line of a blank", "5.2", field("X: a\r\n ")),
    refused("a host on a folded line", "5.2", f"{GET}X: a\r\n Host: a\r\n\r\n"),
    refused("a blank before the colon", "5.1", field("X : a")),
    refused("a tab before the colon", "5.1", field("X\t: a")),
    refused("no colon", "5", field("X")),
    refused("an empty name", "5", field(": a")),
    refused("a name with a blank", "5", field("X Y: a")),
    refused("a name with a bracket", "RFC 9110 5.1", field("X(Y: a")),
    refused("a name with quotes", "RFC 9110 5.1", field('"X": a')),
    refused("a name with NUL", "RFC 9110 5.1", field("X\0: a")),
    refused("a name with DEL", "RFC 9110 5.1", field("X\x7f: a")),
    refused("a name beyond ASCII", "RFC 9110 5.1", field("X\xe4: a")),
    refused("a name with a bare CR", "2.2", field("X\rY: a")),
    refused("a value with NUL", "RFC 9110 5.5", field("X: a\0b")),
    refused("a value with a bell", "RFC 9110 5.5", field("X: a\x07")),
    refused("a value with DEL", "RFC 9110 5.5", field("X: a\x7f")),
    refused("a value with a bare CR", "2.2", field("X: a\rb")),
    refused("a value that ends in CR CR LF", "2.2", field("X: a\r")),
    refused("a field of 20000 bytes", "5", field(f"X: {'a' * 20000}"), 431),
    refused("a name of 20000 bytes", "5", field(f"{'X' * 20000}: a"), 431),
    refused("200 fields", "5", field("X: a\r\n" * 199 + "X: a"), 431),
    refused("an expectation that is unknown", "RFC 9110 10.1.1", f"{POST}{HOST}{FIVE}Expect: tea\r\n\r\nhello", 417),
]

CASES = LENGTHS + CODINGS + CHUNKS + HOSTS + TARGETS + LINES + FIELDS



@dataclasses.dataclass(frozen=True)
class Http2Case:
    name: str
    section: str  # of RFC 9113, unless it says otherwise
    fields: tuple  # pseudo-header fields among them, in this order
    body: bytes | None
    outcome: object  # the status of a refusal, "stream" or "connection" for an error of that; 200: it is accepted
    request: Request | None  # as it is accepted


def pseudo(method="GET", path="/", authority="a", scheme="http"):
    values = {":method": method, ":scheme": scheme, ":authority": authority, ":path": path}
    return tuple((name, value) for name, value in values.items() if value is not None)


def bad(name, section, *fields, outcome=400, body=None, **changed):
    return Http2Case(name, section, pseudo(**changed) + fields, body, outcome, None)


def disordered(name, section, *fields, outcome="connection"):
    return Http2Case(name, section, fields, None, outcome, None)


def good(name, section, *fields, body=None, request=None, **changed):
    return Http2Case(name, section, pseudo(**changed) + fields, body, 200, request or Request())


METHOD, SCHEME, PATH, AUTHORITY = pseudo()[0], pseudo()[1], pseudo()[3], pseudo()[2]

# What becomes a request of HTTP/1 on the way to an app. h2o judges some of it, as errors of the connection; the rest is ours.
HTTP2 = [
    good("the plainest request", "8.3.1"),
    good("a length that is right", "8.1.1", ("content-length", "5"), method="POST", body=b"hello", request=Request("POST", body=b"hello")),
    bad("two lengths, the right one last", "8.1.1", ("content-length", "6"), ("content-length", "5"), method="POST", body=b"hello"),
    bad("two lengths, the right one first", "8.1.1", ("content-length", "5"), ("content-length", "6"), method="POST", body=b"hello"),
    bad("two equal lengths", "RFC 9110 8.6", ("content-length", "5"), ("x", "y"), ("content-length", "5"), method="POST", body=b"hello"),
    bad("two lengths of nothing, and no body", "RFC 9110 8.6", ("content-length", "0"), ("content-length", "0")),
    bad("a list of lengths", "RFC 9110 8.6", ("content-length", "5, 5"), method="POST", body=b"hello", outcome="connection"),
    good("a host that is the authority", "8.3.1", ("host", "a")),
    good("a host that is the authority in capitals", "8.3.1", ("host", "A")),
    good("a host and no authority", "8.3.1", ("host", "b"), authority=None, request=Request(host="b")),
    good("TE with trailers", "8.2.2", ("te", "trailers"), request=Request(absent=("te",))),
    good("cookies in crumbs", "8.2.3", ("cookie", "a=1"), ("cookie", "b=2")),
    good("two slashes", "8.3.1", path="//b", request=Request(target="//b")),
    good("a value of nothing", "8.2.1", ("x", "")),
    good("a value beyond ASCII", "8.2.1", ("x", "\xe4")),
    bad("a method with a blank", "8.3.1", method="GET /b"),
    bad("a method with a bracket", "8.3.1", method="G(T"),
    bad("a method with CR LF", "8.2.1", method="GET / HTTP/1.1\r\nX: y"),
    bad("an empty method", "8.3.1", method=""),
    bad("a method of 100 letters", "RFC 9110 15.6.2", method="G" * 100, outcome=501),
    bad("CONNECT with a path", "8.5", method="CONNECT"),
    bad("a query with a blank", "8.3.1", path="/?b HTTP/1.1"),
    bad("a query with a tab", "8.3.1", path="/?b\tc"),
    bad("a query with CR LF", "10.3", path="/?b HTTP/1.1\r\nX: y"),
    bad("a query with NUL", "10.3", path="/?b\0"),
    bad("a query beyond ASCII", "8.3.1", path="/?\xe4"),
    bad("a query with a fragment", "8.3.1", path="/?b#c"),
    bad("a path with a blank", "8.3.1", path="/b c"),
    bad("a path without a slash", "8.3.1", path="b"),
    bad("a path that is a URL", "8.3.1", path="http://a/b"),
    bad("a path that is a query", "8.3.1", path="?b"),
    bad("a path that is a star", "8.3.1", path="*"),
    bad("an empty path", "8.3.1", path=""),
    bad("a host with a blank", "8.3.1", authority="a b"),
    bad("a host with a user", "8.3.1", authority="u@a"),
    bad("a host with quotes", "8.3.1", authority='a";proto="https'),
    bad("a host with CR LF", "8.2.1", authority="a\r\nX: y"),
    bad("a host with a path", "8.3.1", authority="a/b"),
    bad("a port that is none", "8.3.1", authority="a:b"),
    bad("an empty authority", "8.3.1", authority=""),
    bad("an empty authority with a host", "8.3.1", ("host", "a"), authority=""),
    bad("no authority and no host", "8.3.1", authority=None),
    bad("another host than the authority", "8.3.1", ("host", "b")),
    bad("another port than the authority's", "8.3.1", ("host", "a:81")),
    bad("two hosts, one of them another", "8.3.1", ("host", "a"), ("host", "b")),
    bad("two hosts and no authority", "8.3.1", ("host", "a"), ("host", "b"), authority=None),
    bad("an empty host", "8.3.1", ("host", "")),
    bad("a bad host and no authority", "8.3.1", ("host", "u@a"), authority=None),
    bad("https without TLS", "RFC 9110 7.4", scheme="https", outcome=421),
    disordered("no method", "8.3.1", SCHEME, AUTHORITY, PATH, outcome="stream"),
    disordered("no scheme", "8.3.1", METHOD, AUTHORITY, PATH, outcome="stream"),
    disordered("no path", "8.3.1", METHOD, SCHEME, AUTHORITY, outcome="stream"),
    disordered("two methods", "8.3", METHOD, METHOD, SCHEME, AUTHORITY, PATH),
    disordered("two paths", "8.3", METHOD, SCHEME, AUTHORITY, PATH, (":path", "/b")),
    disordered("two authorities", "8.3", METHOD, SCHEME, AUTHORITY, (":authority", "b"), PATH),
    disordered("two schemes", "8.3", METHOD, SCHEME, SCHEME, AUTHORITY, PATH),
    disordered("a pseudo-header field behind the others", "8.3", METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH),
    disordered("an unknown pseudo-header field", "8.3", METHOD, SCHEME, AUTHORITY, PATH, (":x", "y")),
    disordered("a pseudo-header field of responses", "8.3", METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")),
    disordered("extended CONNECT", "RFC 8441 4", (":method", "CONNECT"), (":protocol", "websocket"), SCHEME, AUTHORITY, PATH),
    disordered("CONNECT", "8.5", (":method", "CONNECT"), AUTHORITY, outcome="stream"),
    bad("Connection", "8.2.2", ("connection", "close"), outcome="connection"),
    bad("Connection that names a cookie", "8.2.2", ("connection", "cookie"), ("cookie", "a=1"), outcome="connection"),
    bad("Keep-Alive", "8.2.2", ("keep-alive", "timeout=5")),
    bad("Proxy-Connection", "8.2.2", ("proxy-connection", "close")),
    bad("Transfer-Encoding", "8.2.2", ("transfer-encoding", "chunked"), method="POST", body=b"0\r\n\r\n", outcome="connection"),
    bad("Upgrade", "8.2.2", ("upgrade", "websocket"), outcome="connection"),
    bad("TE other than trailers", "8.2.2", ("te", "gzip"), outcome="connection"),
    bad("TE with trailers and more", "8.2.2", ("te", "trailers, gzip"), outcome="connection"),
    bad("a name in capitals", "8.2.1", ("X-Y", "z"), outcome="connection"),
    bad("a length in capitals", "8.2.1", ("Content-Length", "5"), method="POST", body=b"hello", outcome="connection"),
    bad("a name with a blank", "8.2.1", ("x y", "z")),
    bad("a name with a colon", "8.2.1", ("x:y", "z")),
    bad("a name with CR LF", "8.2.1", ("x\r\ny", "z")),
    bad("a name with NUL", "8.2.1", ("x\0", "z")),
    bad("an empty name", "8.2.1", ("", "z"), outcome="connection"),
    bad("a value with CR LF", "8.2.1", ("x", "a\r\ny: z")),
    bad("a value with LF", "8.2.1", ("x", "a\nb")),
    bad("a value with CR", "8.2.1", ("x", "a\rb")),
    bad("a value with NUL", "8.2.1", ("x", "a\0b")),
    bad("a value with a blank first", "8.2.1", ("x", " a")),
    bad("a value with a blank last", "8.2.1", ("x", "a ")),
    bad("a value with a tab first", "8.2.1", ("x", "\ta")),
    bad("a value of a blank", "8.2.1", ("x", " ")),
    bad("a length that is too small", "8.1.1", ("content-length", "4"), method="POST", body=b"hello", outcome="stream"),
    bad("a length that is too large", "8.1.1", ("content-length", "6"), method="POST", body=b"hello", outcome="stream"),
    bad("a length without a body", "8.1.1", ("content-length", "5"), method="POST"),
    bad("a length that is none", "8.1.1", ("content-length", "+5"), method="POST", body=b"hello", outcome="connection"),
    bad("a list of lengths", "8.1.1", ("content-length", "5, 5"), method="POST", body=b"hello", outcome="connection"),
]
