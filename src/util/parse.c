#include "util/parse.h"

#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int parse_bool(const char *s, bool *ret)
{
    static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
    static const char *const no[] = {"0", "no", "n", "false", "f", "off"};

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (strcasecmp(s, yes[i]) == 0) {
            *ret = true;
            return 0;
        }
        if (strcasecmp(s, no[i]) == 0) {
            *ret = false;
            return 0;
        }
    }
    return -EINVAL;
}

/* Reads digits at *s and moves it behind them. -EINVAL when there is none. */
static int read_digits(const char **s, uint64_t *ret)
{
    const char *p = *s;
    uint64_t n = 0;
    bool overflow = false;

    if (!is_digit(*p))
        return -EINVAL;
    for (; is_digit(*p); p++)
        if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            overflow = true;
    *s = p;
    if (overflow)
        return -ERANGE;
    *ret = n;
    return 0;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    int r = read_digits(&s, &n);

    if (*s != '\0')
        return -EINVAL;
    if (r < 0)
        return r;
    if (n < min || n > max)
        return -ERANGE;
    *ret = n;
    return 0;
}

/* Longest spelling first among those with a common beginning: the first that fits is taken. */
static const struct {
    const char *name;
    usec_t usec;
} duration_units[] = {
    {"seconds", USEC_PER_SEC},
    {"second", USEC_PER_SEC},
    {"sec", USEC_PER_SEC},
    {"s", USEC_PER_SEC},
    {"minutes", 60 * USEC_PER_SEC},
    {"minute", 60 * USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},
    {"months", UINT64_C(2629800) * USEC_PER_SEC},
    {"month", UINT64_C(2629800) * USEC_PER_SEC},
    {"M", UINT64_C(2629800) * USEC_PER_SEC},
    {"msec", USEC_PER_MSEC},
    {"ms", USEC_PER_MSEC},
    {"m", 60 * USEC_PER_SEC},
    {"hours", 3600 * USEC_PER_SEC},
    {"hour", 3600 * USEC_PER_SEC},
    {"hr", 3600 * USEC_PER_SEC},
    {"h", 3600 * USEC_PER_SEC},
    {"days", 86400 * USEC_PER_SEC},
    {"day", 86400 * USEC_PER_SEC},
    {"d", 86400 * USEC_PER_SEC},
    {"weeks", 7 * 86400 * USEC_PER_SEC},
    {"week", 7 * 86400 * USEC_PER_SEC},
    {"w", 7 * 86400 * USEC_PER_SEC},
    {"years", UINT64_C(31557600) * USEC_PER_SEC},
    {"year", UINT64_C(31557600) * USEC_PER_SEC},
    {"y", UINT64_C(31557600) * USEC_PER_SEC},
    {"usec", 1},
    {"us", 1},
    {"\xc2\xb5s", 1}, /* MICRO SIGN */
    {"\xce\xbcs", 1}, /* GREEK SMALL LETTER MU */
};

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/* Reads the unit at *s; a number without one counts seconds. */
static usec_t read_unit(const char **s)
{
    for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
        size_t size = strlen(duration_units[i].name);
        if (strncmp(*s, duration_units[i].name, size) == 0) {
            *s += size;
            return duration_units[i].usec;
        }
    }
    return USEC_PER_SEC;
}

/* The part of `unit` that the decimals between `from` and `to` stand for; what is finer than a microsecond,
 * or stands beyond the fifteenth decimal, is dropped. */
static usec_t fraction_of(usec_t unit, const char *from, const char *to)
{
    uint64_t numerator = 0, denominator = 1;

    for (; from < to && denominator < UINT64_C(1000000000000000); from++) {
        numerator = numerator * 10 + (uint64_t)(*from - '0');
        denominator *= 10;
    }
    return (usec_t)((unsigned __int128)unit * numerator / denominator);
}

int parse_duration(const char *s, usec_t *ret)
{
    usec_t sum = 0;
    bool overflow = false;

    if (streq(s, "infinity")) {
        *ret = USEC_INFINITY;
        return 0;
    }
    if (*s == '\0')
        return -EINVAL;

    while (*s != '\0') {
        uint64_t whole = 0;
        const char *fraction = NULL, *fraction_end = NULL;

        int r = read_digits(&s, &whole);
        if (r == -EINVAL)
            return r;
        if (r < 0)
            overflow = true;
        if (*s == '.') {
            fraction = ++s;
            s += strspn(s, "0123456789");
            fraction_end = s;
            if (fraction == fraction_end)
                return -EINVAL;
        }
        const char *unit_at = skip_blanks(s);
        s = unit_at;
        usec_t unit = read_unit(&s);
        /* Two numbers side by side, "1 30s", would otherwise pass as a count of seconds and another. */
        if (s == unit_at && *s != '\0')
            return -EINVAL;
        s = skip_blanks(s);

        usec_t part;
        if (__builtin_mul_overflow(whole, unit, &part) || __builtin_add_overflow(sum, part, &sum))
            overflow = true;
        else if (fraction && __builtin_add_overflow(sum, fraction_of(unit, fraction, fraction_end), &sum))
            overflow = true;
    }
    /* Infinity is only ever written out. */
    if (overflow || sum == USEC_INFINITY)
        return -ERANGE;
    *ret = sum;
    return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
    static const char suffixes[] = "BKMGT";
    uint64_t n = 0;
    unsigned shift = 0;

    if (streq(s, "infinity")) {
        *ret = UINT64_MAX;
        return 0;
    }
    int r = read_digits(&s, &n);
    if (r == -EINVAL)
        return r;
    if (*s != '\0') {
        const char *suffix = strchr(suffixes, *s);
        if (!suffix || s[1] != '\0')
            return -EINVAL;
        shift = (unsigned)(suffix - suffixes) * 10;
    }
    /* Infinity is only ever written out. */
    if (r < 0 || n > UINT64_MAX >> shift || n << shift == UINT64_MAX)
        return -ERANGE;
    *ret = n << shift;
    return 0;
}

char *format_duration(char buf[FORMAT_DURATION_MAX], usec_t t)
{
    static const struct {
        const char *name;
        usec_t usec;
    } units[] = {
        {"d", 86400 * USEC_PER_SEC}, {"h", 3600 * USEC_PER_SEC}, {"min", 60 * USEC_PER_SEC},
        {"s", USEC_PER_SEC},         {"ms", USEC_PER_MSEC},      {"us", 1},
    };
    size_t size = 0;

    if (t == USEC_INFINITY || t == 0) {
        snprintf(buf, FORMAT_DURATION_MAX, "%s", t == 0 ? "0" : "infinity");
        return buf;
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        usec_t n = t / units[i].usec;
        if (n == 0)
            continue;
        t %= units[i].usec;
        size += (size_t)snprintf(buf + size, FORMAT_DURATION_MAX - size, "%s%llu%s", size > 0 ? " " : "",
                                 (unsigned long long)n, units[i].name);
        assert(size < FORMAT_DURATION_MAX);
    }
    return buf;
}

char *format_size(char buf[FORMAT_SIZE_MAX], uint64_t bytes)
{
    static const char *const suffixes[] = {"", "K", "M", "G", "T"};
    size_t i = 0;

    if (bytes == UINT64_MAX) {
        snprintf(buf, FORMAT_SIZE_MAX, "infinity");
        return buf;
    }
    while (bytes > 0 && bytes % 1024 == 0 && i + 1 < ARRAY_SIZE(suffixes)) {
        bytes /= 1024;
        i++;
    }
    snprintf(buf, FORMAT_SIZE_MAX, "%llu%s", (unsigned long long)bytes, suffixes[i]);
    return buf;
}

bool utf8_is_valid(const char *s, size_t size)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + size;

    while (p < end) {
        size_t more;
        uint32_t c, least;

        if (*p < 0x80) {
            p++;
            continue;
        }
        if (*p >= 0xc2 && *p < 0xe0) {
            more = 1, c = *p & 0x1f, least = 0x80;
        } else if (*p >= 0xe0 && *p < 0xf0) {
            more = 2, c = *p & 0x0f, least = 0x800;
        } else if (*p >= 0xf0 && *p < 0xf5) {
            more = 3, c = *p & 0x07, least = 0x10000;
        } else {
            return false;
        }
        if ((size_t)(end - p) <= more)
            return false;
        for (size_t i = 1; i <= more; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        p += more + 1;
    }
    return true;
}
