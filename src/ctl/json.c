#include "ctl/json.h"

char *json_format_usec(char buf[FORMAT_DURATION_MAX], const json_t *object, const char *key)
{
    usec_t t = json_get_u64(object, key);
    /* Drops what is too small to matter beside the rest. */
    if (t >= 3600 * USEC_PER_SEC)
        t -= t % (60 * USEC_PER_SEC);
    else if (t >= 10 * USEC_PER_SEC)
        t -= t % USEC_PER_SEC;
    else if (t >= USEC_PER_SEC)
        t -= t % (100 * USEC_PER_MSEC);
    else if (t >= 10 * USEC_PER_MSEC)
        t -= t % USEC_PER_MSEC;
    else if (t >= USEC_PER_MSEC)
        t -= t % 100;
    return format_duration(buf, t);
}

void json_print(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
}
