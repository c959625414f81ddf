#pragma once
/* Attributes, cleanup handlers and the small macros that everything uses. Depends on libc only. */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(string_index, first) __attribute__((__format__(__printf__, string_index, first)))
#define _warn_unused_ __attribute__((warn_unused_result))
#define _unused_ __attribute__((unused))
#define _noreturn_ __attribute__((noreturn))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define STRLEN(literal) (sizeof("" literal "") - 1)
#define MIN(a, b)               \
    ({                          \
        __typeof__(a) _a = (a); \
        __typeof__(b) _b = (b); \
        _a < _b ? _a : _b;      \
    })
#define MAX(a, b)               \
    ({                          \
        __typeof__(a) _a = (a); \
        __typeof__(b) _b = (b); \
        _a > _b ? _a : _b;      \
    })

/* The object of `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member)                             \
    ({                                                              \
        __typeof__(((type *)NULL)->member) *_member = (ptr);        \
        (type *)(void *)((char *)_member - offsetof(type, member)); \
    })

/* Passes ownership on: yields the value and leaves NULL or -1 behind. */
#define TAKE_PTR(p)                 \
    ({                              \
        __typeof__(p) _taken = (p); \
        (p) = NULL;                 \
        _taken;                     \
    })
#define TAKE_FD(fd)        \
    ({                     \
        int _taken = (fd); \
        (fd) = -1;         \
        _taken;            \
    })

/* The arm of a switch over a state that cannot be reached unless the program is wrong. */
#define WRONG(what)                                                               \
    do {                                                                          \
        fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, (what)); \
        abort();                                                                  \
    } while (0)

/* Declares the cleanup handler `name` that calls `free_fn` on a non-NULL pointer of `type`. */
#define DEFINE_CLEANUP(type, name, free_fn) \
    static inline void name(type *p)        \
    {                                       \
        if (*p)                             \
            free_fn(*p);                    \
    }

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(cleanup_free)

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}
#define _cleanup_close_ _cleanup_(cleanup_close)

DEFINE_CLEANUP(FILE *, cleanup_fclose, fclose)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* Closes *fd if it is open and sets it to -1. */
static inline void close_and_forget(int *fd)
{
    cleanup_close(fd);
    *fd = -1;
}

static inline bool streq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Allocation for objects without which the process cannot go on: never returns NULL, aborts instead. */
static inline void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        abort();
    return p;
}

static inline void *xrealloc(void *old, size_t n, size_t size)
{
    void *p = reallocarray(old, n ? n : 1, size ? size : 1);
    if (!p)
        abort();
    return p;
}

static inline char *xstrdup(const char *s)
{
    char *p = strdup(s);
    if (!p)
        abort();
    return p;
}

/* The first `size` bytes of s, or all of it when it is shorter. */
static inline char *xstrndup(const char *s, size_t size)
{
    char *p = strndup(s, size);
    if (!p)
        abort();
    return p;
}

/* Frees a NULL-terminated list of strings. Accepts NULL, returns NULL. */
static inline char **strv_free(char **strings)
{
    for (char **s = strings; s && *s; s++)
        free(*s);
    free(strings);
    return NULL;
}

/* Unbounded copies and formatting into arrays are banned at compile time: use snprintf or strbuf. */
#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strtok gets
