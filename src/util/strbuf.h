#pragma once
/* A growing string: always NUL-terminated once something was added. Aborts when memory runs out. */

#include <stdarg.h>

#include "util/macros.h"
#include "util/slice.h"

struct strbuf {
    char *data;  /* NULL while empty */
    size_t size; /* without the NUL */
    size_t capacity;
};

#define STRBUF_INIT \
    {               \
        NULL, 0, 0  \
    }

/* Frees the contents and leaves an empty buffer. */
void strbuf_deinit(struct strbuf *b);
/* Empties the buffer, keeping its memory. */
void strbuf_clear(struct strbuf *b);
/* Makes room for `extra` more bytes and returns where they go; the caller adds what it wrote to size. */
char *strbuf_reserve(struct strbuf *b, size_t extra);
void strbuf_add(struct strbuf *b, const void *data, size_t size);
void strbuf_add_slice(struct strbuf *b, struct slice s);
void strbuf_add_string(struct strbuf *b, const char *s);
/* In lower-case hexadecimal digits. */
void strbuf_add_hex(struct strbuf *b, const void *data, size_t size);
void strbuf_add_char(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *format, ...) _printf_(2, 3);
void strbuf_vaddf(struct strbuf *b, const char *format, va_list args) _printf_(2, 0);
/* Hands the string over to the caller, who frees it; never NULL; the buffer is empty afterwards. */
char *strbuf_steal(struct strbuf *b);
static inline const char *strbuf_string(const struct strbuf *b)
{
    return b->data ? b->data : "";
}
#define _cleanup_strbuf_ _cleanup_(strbuf_deinit)
