#pragma once
/* Text from anywhere, made safe to show: one line, valid UTF-8, nothing that moves a terminal's cursor or
 * reorders what is read. Everything else becomes \xNN. */

#include "util/slice.h"
#include "util/strbuf.h"

/* The size of the printable character that `s` begins with; 0 when its first byte must be escaped. */
size_t text_printable(struct slice s);

/* Writes what fits of `text` to `out`, escaped, always NUL-terminated and never ending within a character or
 * an escape; what did not fit is replaced by "…". `capacity` is at least 8. Returns the size without NUL. */
size_t text_escape(struct slice text, char *out, size_t capacity);

/* Adds a field's value as it stands in a readable line: bare when it is one plain word, else in quotes. */
void text_add_value(struct strbuf *out, struct slice value);
