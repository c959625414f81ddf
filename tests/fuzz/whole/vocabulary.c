/* Words that mean something here. */

#include "grammar.h"

static const char *const targets[] = {
    "/hello",
    "/hello?a=b",
    "/",
    "/static/",
    "/static/page.html",
    "/static/data.bin",
    "/static/nothing",
    "/static/../page.html",
    "/static/%2e%2e/page.html",
    "/static/sub",
    "/redirect",
    "/redirect/x?y=z",
    "/echo",
    "/sink",
    "/headers",
    "/chunked?n=3&bytes=40&ms=0",
    "/big?bytes=3000",
    "/until-close?bytes=200",
    "/trailers",
    "/early-hints?ms=0",
    "/close",
    "/status/404",
    "/status/204",
    "/status/304",
    "/abort",
    "/reset",
    "/truncated",
    "/truncated-chunk",
    "/ws",
    "/small",
    "/users/7/orders/a%20b",
    "/users//orders/",
    "*",
    "http://localhost/hello",
    "https://user@[::1]:80/echo?x",
    "//hello",
    "/%00",
    "/a/./b/../../hello",
    "/hello%2Fx",
    "/\xc3\xa4",
};

static const char *const admin_targets[] = {
    "/",
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/health",
    "/v1/status",
    "/v1/upstreams",
    "/v1/upstreams/pause?upstream=spare",
    "/v1/upstreams/resume?upstream=spare",
    "/v1/upstreams/target?upstream=spare&address=127.0.0.1:9&verb=drain&weight=3",
    "/v1/upstreams/target?upstream=spare&address=127.0.0.1:10&verb=add",
    "/v1/upstreams/target?upstream=spare&address=127.0.0.1:10&verb=remove",
    "/v1/upstreams/target?upstream=spare&address=127.0.0.1:9&verb=ready&weight=1",
    "/v1/upstreams/target?upstream=%73pare&address=unix%3A/run/x&verb=down&weight=257",
    "/v1/upstreams/target?upstream=nobody&&&=&a",
    "/v1/nothing",
};

static const char *const methods[] = {"GET",     "GET",   "GET",   "POST",   "POST",    "PUT",     "HEAD",
                                      "OPTIONS", "PATCH", "TRACE", "DELETE", "CONNECT", "PROPFIND"};

static const char *const fields[][2] = {
    {"accept", "text/html;q=0.5, */*;q=0.1, application/json"},
    {"accept-encoding", "gzip;q=1.0, br, identity;q=0"},
    {"range", "bytes=0-9"},
    {"range", "bytes=5-,-3,0-0"},
    {"range", "bytes=18446744073709551615-"},
    {"if-range", "Sun, 06 Nov 1994 08:49:37 GMT"},
    {"if-none-match", "W/\"abc\", \"def\", *"},
    {"if-match", "\"5f-1a\""},
    {"if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT"},
    {"if-unmodified-since", "Sun Nov  6 08:49:37 1994"},
    {"cookie", "session=abc; holdfast=0123456789abcdef; a=b"},
    {"x-request-id", "0123456789abcdef"},
    {"x-forwarded-for", "10.1.2.3, [2001:db8::1]:80, unknown"},
    {"forwarded", "for=\"[2001:db8::1]:80\";proto=https;by=_x, for=10.0.0.1"},
    {"x-forwarded-proto", "https"},
    {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    {"idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""},
    {"expect", "100-continue"},
    {"te", "trailers"},
    {"content-type", "application/json"},
    {"content-length", "5"},
    {"user-agent", "fuzz/1.0 (\xff\xfe)"},
    {"authorization", "Basic dTpw"},
    {"via", "1.1 a, 2 b"},
    {"max-forwards", "0"},
    {"priority", "u=1, i"},
    {"x-empty", ""},
};

static struct slice pick(struct chance *chance, const char *const *words, size_t n)
{
    return slice_of(words[chance_below(chance, n)]);
}

struct slice grammar_target(struct chance *chance, bool admin)
{
    return admin ? pick(chance, admin_targets, ARRAY_SIZE(admin_targets))
                 : pick(chance, targets, ARRAY_SIZE(targets));
}

struct slice grammar_method(struct chance *chance)
{
    return pick(chance, methods, ARRAY_SIZE(methods));
}

void grammar_field(struct chance *chance, struct slice *ret_name, struct slice *ret_value)
{
    const size_t i = chance_below(chance, ARRAY_SIZE(fields));

    *ret_name = slice_of(fields[i][0]);
    *ret_value = slice_of(fields[i][1]);
}
