#pragma once
/* Request methods as bits, for routes and metrics. */

#include "util/macros.h"
#include "util/slice.h"

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_CONNECT,
    METHOD_OTHER, /* every other token: a route without Methods= takes it */
    _METHOD_MAX,
};

#define METHOD_BIT(m) (UINT32_C(1) << (m))
#define METHOD_ALL (METHOD_BIT(_METHOD_MAX) - 1)

/* Case-sensitive, as RFC 9110 has it; METHOD_OTHER for what is not in the table. */
enum method method_from_slice(struct slice name);
const char *method_to_string(enum method method);
/* Whether RFC 9110 9.2.2 calls the method idempotent; false for METHOD_OTHER. */
bool method_is_idempotent(enum method method);

#define METHOD_ALLOW_MAX 80
/* The value of an Allow field: "GET, HEAD". METHOD_OTHER has no name and is left out. */
void method_format_allow(uint32_t methods, char buf[METHOD_ALLOW_MAX]);
