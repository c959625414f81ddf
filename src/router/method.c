#include "router/method.h"

static const char *const method_names[_METHOD_MAX] = {
    [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",   [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
    [METHOD_OPTIONS] = "OPTIONS", [METHOD_TRACE] = "TRACE", [METHOD_CONNECT] = "CONNECT",
    [METHOD_OTHER] = "OTHER",
};

enum method method_from_slice(struct slice name)
{
    for (enum method m = 0; m < METHOD_OTHER; m++)
        if (slice_eq(name, slice_of(method_names[m])))
            return m;
    return METHOD_OTHER;
}

const char *method_to_string(enum method method)
{
    assert(method < _METHOD_MAX);
    return method_names[method];
}

bool method_is_idempotent(enum method method)
{
    switch (method) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_PUT:
    case METHOD_DELETE:
    case METHOD_OPTIONS:
    case METHOD_TRACE:
        return true;
    case METHOD_POST:
    case METHOD_PATCH:
    case METHOD_CONNECT:
    case METHOD_OTHER:
        return false;
    case _METHOD_MAX:
        break;
    }
    WRONG("not a method");
}

void method_format_allow(uint32_t methods, char buf[METHOD_ALLOW_MAX])
{
    size_t used = 0;
    buf[0] = '\0';
    for (enum method m = 0; m < METHOD_OTHER; m++)
        if (methods & METHOD_BIT(m)) {
            int n = snprintf(buf + used, METHOD_ALLOW_MAX - used, "%s%s", used ? ", " : "", method_names[m]);
            assert(n > 0 && (size_t)n < METHOD_ALLOW_MAX - used);
            used += (size_t)n;
        }
}
