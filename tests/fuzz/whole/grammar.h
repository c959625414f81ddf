#pragma once
/* What clients say, right or nearly so: seeds for mutation. Each function adds to `out`; nothing but `chance`
 * decides what. */

#include "chance.h"
#include "util/strbuf.h"

/* Where a request may go: routes of all kinds, and nowhere. Of the admin socket, those that change nothing
 * that another input would notice. */
struct slice grammar_target(struct chance *chance, bool admin);
struct slice grammar_method(struct chance *chance);
/* A field that HTTP/1 and HTTP/2 have in common; the name is in lower case. */
void grammar_field(struct chance *chance, struct slice *ret_name, struct slice *ret_value);

/* Requests of HTTP/1, one or several, with their bodies. */
void grammar_http1(struct chance *chance, bool admin, struct strbuf *out);

/* Where a client of HTTP/2 is in its connection. */
struct grammar_http2 {
    bool began; /* the preface is out */
    uint32_t stream;
};
/* Frames, the connection's preface in front of the first of them. */
void grammar_http2(struct chance *chance, struct grammar_http2 *http2, struct strbuf *out);

/* A header block (RFC 7541). `trailers`: no pseudo-fields. */
void grammar_header_block(struct chance *chance, bool trailers, struct strbuf *out);

/* Records of TLS: a ClientHello, and what may follow it. */
void grammar_tls(struct chance *chance, struct strbuf *out);
