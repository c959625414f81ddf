#pragma once
/* What verbs answer with. Private to admin/. */

#include <jansson.h>

#include "http/handler.h"
#include "metrics/histogram.h"

/* Whether the client would rather have text/plain or JSON, by what its Accept field names first; `otherwise`
 * when it names neither. Weights are not looked at. */
bool accept_prefers_json(struct slice accept, bool otherwise);

/* A JSON string of bytes from anywhere: what is not UTF-8 becomes U+FFFD, and so much as goes beyond `max`
 * bytes is left out. */
json_t *reply_json_text(struct slice text, size_t max);
static inline json_t *reply_json_string(const char *s)
{
    return s ? reply_json_text(slice_of(s), 4096) : json_null();
}
/* Counters beyond what JSON integers hold here (2^63) are cut there. */
json_t *reply_json_u64(uint64_t value);
/* The mean and two quantiles of what was measured, as members of `object`. */
void reply_set_durations(json_t *object, const struct histogram *histogram);

/* Each fills in the whole reply. reply_json() takes over the reference to `value`. */
void reply_json(struct handler_reply *reply, int status, json_t *value);
void reply_text(struct handler_reply *reply, int status, const char *format, ...) _printf_(3, 4);
/* An error: RFC 9457 problem details, or a line of text for who prefers that. */
void reply_problem(struct handler_reply *reply, const struct handler_request *request, int status,
                   const char *format, ...) _printf_(4, 5);
