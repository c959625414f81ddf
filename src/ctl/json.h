#pragma once
/* Reading answers that may come from another version: what is missing or of another type is a default, never
 * an error. */

#include <inttypes.h>
#include <jansson.h>

#include "ctl/ctl.h"
#include "util/parse.h"

static inline const char *json_get_string(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "-";
}

/* Not negative. */
static inline uint64_t json_get_u64(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

/* A time span as few people would want more exactly: the two largest units. */
char *json_format_usec(char buf[FORMAT_DURATION_MAX], const json_t *object, const char *key);

/* Prints any value as it is, indented. */
void json_print(const json_t *value);
