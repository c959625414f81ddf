#pragma once
/* What a client can do, or be, that makes us refuse or end its connection. One row each: the symbol, the
 * value of the label `fault` and of FAULT= in the journal, and what is said of it there ("… from 192.0.2.1:
 * its address is not allowed"). */

/* clang-format off */
#define CLIENT_FAULTS(X)                                                                                \
    X(CLIENT_FAULT_PROXY_HEADER,      "proxy-header",      "its PROXY header was not what it must be")   \
    X(CLIENT_FAULT_DENIED,             "denied",            "its address is not allowed here")          \
    X(CLIENT_FAULT_HANDSHAKE_FAILED,   "handshake-failed",  "its TLS handshake failed")                 \
    X(CLIENT_FAULT_KEY_UPDATES,        "key-updates",       "it wants new TLS keys all the time")       \
    X(CLIENT_FAULT_ADMIN_CONNECTIONS,  "admin-connections", "there are too many at the admin socket")   \
    X(CLIENT_FAULT_CONNECTIONS,        "connections",       "it has too many connections")              \
    X(CLIENT_FAULT_HANDSHAKE_TIMEOUT,  "handshake-timeout", "its TLS handshake took too long")          \
    X(CLIENT_FAULT_HEAD_TIMEOUT,       "head-timeout",      "the head of a request took too long")      \
    X(CLIENT_FAULT_BODY_TIMEOUT,       "body-timeout",      "the body of a request took too long")      \
    X(CLIENT_FAULT_SEND_TIMEOUT,       "send-timeout",      "it did not take a response")               \
    X(CLIENT_FAULT_HTTP2_ERROR,        "http2-error",       "it broke the rules of HTTP/2")             \
    X(CLIENT_FAULT_HTTP2_FLOOD,        "http2-flood",       "it sent too many HTTP/2 frames to no purpose")\
    X(CLIENT_FAULT_HTTP2_RESETS,       "http2-resets",      "too many of its HTTP/2 streams ended early")\
    X(CLIENT_FAULT_HTTP2_HEADERS,      "http2-headers",     "it sent an HTTP/2 header block that is too large")
/* clang-format on */

enum client_fault {
#define X(symbol, name, text) symbol,
    CLIENT_FAULTS(X)
#undef X
        _CLIENT_FAULT_MAX,
};

const char *client_fault_to_string(enum client_fault fault);
const char *client_fault_text(enum client_fault fault);
