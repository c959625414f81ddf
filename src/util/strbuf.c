#include "util/strbuf.h"

void strbuf_deinit(struct strbuf *b)
{
    free(b->data);
    *b = (struct strbuf)STRBUF_INIT;
}

void strbuf_clear(struct strbuf *b)
{
    b->size = 0;
    if (b->data)
        b->data[0] = '\0';
}

char *strbuf_reserve(struct strbuf *b, size_t extra)
{
    if (extra > SIZE_MAX / 4 || b->size > SIZE_MAX / 4)
        abort();
    size_t want = b->size + extra + 1;
    if (want > b->capacity) {
        size_t capacity = b->capacity ? b->capacity * 2 : 64;
        if (capacity < want)
            capacity = want;
        b->data = xrealloc(b->data, capacity, 1);
        b->capacity = capacity;
    }
    return b->data + b->size;
}

void strbuf_add(struct strbuf *b, const void *data, size_t size)
{
    char *to = strbuf_reserve(b, size);
    if (size)
        memcpy(to, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void strbuf_add_slice(struct strbuf *b, struct slice s)
{
    strbuf_add(b, s.data, s.size);
}

void strbuf_add_string(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

void strbuf_add_char(struct strbuf *b, char c)
{
    strbuf_add(b, &c, 1);
}

void strbuf_vaddf(struct strbuf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char small[256];
    int n = vsnprintf(small, sizeof(small), format, args);
    if (n < 0)
        abort();
    if ((size_t)n < sizeof(small)) {
        strbuf_add(b, small, (size_t)n);
    } else {
        char *to = strbuf_reserve(b, (size_t)n);
        if (vsnprintf(to, (size_t)n + 1, format, again) != n)
            abort();
        b->size += (size_t)n;
    }
    va_end(again);
}

void strbuf_addf(struct strbuf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    strbuf_vaddf(b, format, args);
    va_end(args);
}

char *strbuf_steal(struct strbuf *b)
{
    if (!b->data)
        return xstrdup("");
    char *s = TAKE_PTR(b->data);
    *b = (struct strbuf)STRBUF_INIT;
    return s;
}

void strbuf_add_hex(struct strbuf *b, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++) {
        strbuf_add_char(b, digits[bytes[i] >> 4]);
        strbuf_add_char(b, digits[bytes[i] & 15]);
    }
}
