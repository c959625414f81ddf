/* Any text as a duration, a size and a number; what is understood can be written and understood again. */

#include "util/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    char buf[FORMAT_DURATION_MAX];
    uint64_t n, again;
    bool b;

    (void)utf8_is_valid((const char *)data, size);
    if (parse_bool(text, &b) < 0 && parse_u64(text, 0, UINT64_MAX, &n) == 0)
        assert(parse_size(text, &again) < 0 || n == again);
    if (parse_duration(text, &n) == 0)
        assert(parse_duration(format_duration(buf, n), &again) == 0 && n == again);
    if (parse_size(text, &n) == 0)
        assert(parse_size(format_size(buf, n), &again) == 0 && n == again);
    return 0;
}
