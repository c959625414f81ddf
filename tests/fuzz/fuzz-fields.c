/* Any text as the fields of a request that ask for a part of a file, for one that has changed, or for another
 * form of it; as a date, and as the name of a request. Each line is a field. */

#include "http/accept.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/request_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW ((time_t)1700000000)
#define FILE_SIZE 1000

static const struct conditional_target file = {
    .etag = {"\"5f-1a\"", 7}, .last_modified = NOW - 10, .now = NOW, .size = FILE_SIZE};

static void check_ranges(const struct byte_ranges *ranges)
{
    uint64_t sum = 0;

    assert(ranges->n > 0 && ranges->n <= CONDITIONAL_MAX_RANGES);
    for (size_t i = 0; i < ranges->n; i++) {
        const struct byte_range *range = &ranges->range[i];
        assert(range->size > 0 && range->size <= FILE_SIZE && range->first <= FILE_SIZE - range->size);
        sum += range->size;
    }
    assert(sum <= FILE_SIZE); /* nobody gets more than the whole */
}

static void check_conditional(const struct conditional_fields *fields)
{
    struct byte_ranges ranges = {0}, empty = {0};

    const enum conditional_result result = conditional_evaluate(fields, &file, true, &ranges);
    if (result == CONDITIONAL_PARTIAL)
        check_ranges(&ranges);
    if (result == CONDITIONAL_PARTIAL || result == CONDITIONAL_UNSATISFIABLE)
        assert(fields->range.data);
    if (result == CONDITIONAL_PRECONDITION_FAILED)
        assert(fields->if_match.data || fields->if_unmodified_since.data);
    if (result == CONDITIONAL_NOT_MODIFIED)
        assert(fields->if_none_match.data || fields->if_modified_since.data);

    /* To HEAD the same is said, but for the ranges. */
    const enum conditional_result head = conditional_evaluate(fields, &file, false, &ranges);
    assert(head != CONDITIONAL_PARTIAL && head != CONDITIONAL_UNSATISFIABLE);
    assert(head == (result == CONDITIONAL_PARTIAL || result == CONDITIONAL_UNSATISFIABLE ? CONDITIONAL_FULL
                                                                                         : result));
    /* Nothing is a part of an empty file. */
    struct conditional_target nothing = file;
    nothing.size = 0;
    assert(conditional_evaluate(fields, &nothing, true, &empty) != CONDITIONAL_PARTIAL);
}

/* A range that was granted is granted again when it is asked for in other words. */
static void check_single_range(struct slice field)
{
    const struct conditional_fields fields = {.range = field};
    struct byte_ranges ranges, again;
    char text[64];

    if (conditional_evaluate(&fields, &file, true, &ranges) != CONDITIONAL_PARTIAL || ranges.n != 1)
        return;
    const uint64_t first = ranges.range[0].first;
    const int size = snprintf(text, sizeof(text), "bytes=%llu-%llu", (unsigned long long)first,
                              (unsigned long long)(first + ranges.range[0].size - 1));
    const struct conditional_fields rewritten = {.range = {text, (size_t)size}};
    assert(conditional_evaluate(&rewritten, &file, true, &again) == CONDITIONAL_PARTIAL);
    assert(again.n == 1 && again.range[0].first == first && again.range[0].size == ranges.range[0].size);
}

static void check_quality(int quality)
{
    assert(quality == ACCEPT_UNLISTED || (quality >= 0 && quality <= ACCEPT_MAX));
}

static void check_accept(struct slice field)
{
    check_quality(accept_coding_quality(field, SLICE_LITERAL("gzip")));
    check_quality(accept_media_quality(field, SLICE_LITERAL("text/html")));
    /* Nothing is as unlisted as what no field can name, unless a wildcard does. */
    if (field.size == 0 || !memchr(field.data, '*', field.size)) {
        assert(accept_coding_quality(field, SLICE_LITERAL("\x01")) == ACCEPT_UNLISTED ||
               memchr(field.data, '\x01', field.size));
        assert(accept_media_quality(field, SLICE_LITERAL("\x01/\x02")) == ACCEPT_UNLISTED ||
               memchr(field.data, '\x02', field.size));
    }
}

static void check_date(struct slice field)
{
    char text[HTTP_DATE_MAX];
    time_t date, again;

    if (!http_date_parse(field, NOW, &date))
        return;
    const size_t size = http_date_format(date, text);
    assert(http_date_parse(slice_make(text, size), NOW, &again) && again == date);
}

static void check_request_id(struct slice id)
{
    if (!request_id_is_valid(id))
        return;
    assert(id.size > 0 && id.size <= 128);
    for (size_t i = 0; i < id.size; i++) /* it is shown on terminals, in records, and in fields */
        assert(id.data[i] > ' ' && id.data[i] < 0x7f && !strchr("\"\\,;<>", id.data[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *copy = xcalloc(1, size);
    memcpy(copy, data, size);

    struct slice lines[6] = {{0}}, rest = slice_make(copy, size);
    for (size_t i = 0; i < ARRAY_SIZE(lines) && rest.size > 0; i++) {
        const struct slice line = slice_split(&rest, '\n');
        if (line.size == 0)
            continue; /* a field that is not there */
        lines[i] = line;
        check_single_range(line);
        check_accept(line);
        check_date(line);
        check_request_id(line);
    }
    const struct conditional_fields fields = {lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]};
    check_conditional(&fields);
    return 0;
}
