#include "http/conditional.h"

#include "http/date.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct slice *s)
{
    while (s->size > 0 && is_blank(s->data[0]))
        *s = slice_skip(*s, 1);
}

/* Takes an entity tag from the front; false when there is none. */
static bool take_etag(struct slice *rest, bool *ret_weak, struct slice *ret_tag)
{
    struct slice s = *rest;
    *ret_weak = slice_starts_with(s, SLICE_LITERAL("W/"));
    if (*ret_weak)
        s = slice_skip(s, 2);
    if (s.size < 2 || s.data[0] != '"')
        return false;
    const char *quote = memchr(s.data + 1, '"', s.size - 1);
    if (!quote)
        return false;
    size_t size = (size_t)(quote - s.data) + 1;
    *ret_tag = slice_make(s.data, size);
    *rest = slice_skip(s, size);
    return true;
}

/* Whether the list names our tag. A list that is broken off somewhere counts up to there. */
static bool etag_list_matches(struct slice list, struct slice etag, bool strong)
{
    if (slice_eq(slice_trim(list), SLICE_LITERAL("*")))
        return true;
    for (;;) {
        while (list.size > 0 && (is_blank(list.data[0]) || list.data[0] == ','))
            list = slice_skip(list, 1);
        bool is_weak;
        struct slice tag;
        if (!take_etag(&list, &is_weak, &tag))
            return false;
        if (!(strong && is_weak) && slice_eq(tag, etag))
            return true;
        skip_blanks(&list);
        if (list.size > 0 && list.data[0] != ',')
            return false;
    }
}

/* The preconditions, in the order of RFC 9110 13.2.2. A date that is none counts as if the field were
 * missing. */
static enum conditional_result check_preconditions(const struct conditional_fields *fields,
                                                   const struct conditional_target *target)
{
    time_t date;
    if (fields->if_match.data) {
        if (!etag_list_matches(fields->if_match, target->etag, true))
            return CONDITIONAL_PRECONDITION_FAILED;
    } else if (fields->if_unmodified_since.data &&
               http_date_parse(slice_trim(fields->if_unmodified_since), target->now, &date) &&
               target->last_modified > date) {
        return CONDITIONAL_PRECONDITION_FAILED;
    }

    if (fields->if_none_match.data) {
        if (etag_list_matches(fields->if_none_match, target->etag, false))
            return CONDITIONAL_NOT_MODIFIED;
    } else if (fields->if_modified_since.data &&
               http_date_parse(slice_trim(fields->if_modified_since), target->now, &date) &&
               target->last_modified <= date) {
        return CONDITIONAL_NOT_MODIFIED;
    }
    return CONDITIONAL_FULL;
}

/* Whether the client's part is of what we have: only a strong validator can say so. A modification time is
 * one when nothing can have been written again within the same second. */
static bool if_range_matches(struct slice field, const struct conditional_target *target)
{
    field = slice_trim(field);
    if (field.size > 0 && (field.data[0] == '"' || field.data[0] == 'W')) {
        bool is_weak;
        struct slice tag;
        if (take_etag(&field, &is_weak, &tag))
            return !is_weak && field.size == 0 && slice_eq(tag, target->etag);
    }
    time_t date;
    return http_date_parse(field, target->now, &date) && date == target->last_modified &&
           target->last_modified < target->now;
}

/* Digits from the front; false when there are none. What is too large for the type is as large as it gets. */
static bool take_number(struct slice *s, uint64_t *ret)
{
    uint64_t value = 0;
    bool is_too_large = false;
    size_t i = 0;
    for (; i < s->size && s->data[i] >= '0' && s->data[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s->data[i] - '0'), &value))
            is_too_large = true;
    *s = slice_skip(*s, i);
    *ret = is_too_large ? UINT64_MAX : value;
    return i > 0;
}

/* One "first-last", "first-" or "-suffix". False: not of that form. A range beyond the end has size 0. */
static bool take_range(struct slice *s, uint64_t size, struct byte_range *ret)
{
    uint64_t first, last;
    *ret = (struct byte_range){0};
    if (s->size > 0 && s->data[0] == '-') {
        uint64_t suffix;
        *s = slice_skip(*s, 1);
        if (!take_number(s, &suffix))
            return false;
        suffix = MIN(suffix, size);
        *ret = (struct byte_range){size - suffix, suffix};
        return true;
    }
    if (!take_number(s, &first) || s->size == 0 || s->data[0] != '-')
        return false;
    *s = slice_skip(*s, 1);
    if (!take_number(s, &last))
        last = UINT64_MAX;
    else if (last < first)
        return false;
    if (first < size)
        *ret = (struct byte_range){first, MIN(last, size - 1) - first + 1};
    return true;
}

static enum conditional_result parse_ranges(struct slice field, uint64_t size, struct byte_ranges *ret)
{
    struct slice s = slice_trim(field);
    if (s.size < 6 || !slice_caseeq(slice_make(s.data, 6), SLICE_LITERAL("bytes=")))
        return CONDITIONAL_FULL;
    s = slice_skip(s, 6);

    size_t n_specs = 0;
    uint64_t left = size; /* less than which all ranges together must be */
    bool is_excessive = false;
    ret->n = 0;
    while (s.size > 0) {
        if (is_blank(s.data[0]) || s.data[0] == ',') {
            s = slice_skip(s, 1);
            continue;
        }
        struct byte_range range;
        if (++n_specs > CONDITIONAL_MAX_RANGES || !take_range(&s, size, &range))
            return CONDITIONAL_FULL;
        skip_blanks(&s);
        if (s.size > 0 && s.data[0] != ',')
            return CONDITIONAL_FULL;
        if (range.size > 0) {
            ret->range[ret->n++] = range;
            is_excessive = is_excessive || range.size > left;
            left -= MIN(left, range.size);
        }
    }
    if (n_specs == 0)
        return CONDITIONAL_FULL;
    if (ret->n == 0)
        return CONDITIONAL_UNSATISFIABLE;
    return is_excessive ? CONDITIONAL_FULL : CONDITIONAL_PARTIAL;
}

enum conditional_result conditional_evaluate(const struct conditional_fields *fields,
                                             const struct conditional_target *target, bool is_get,
                                             struct byte_ranges *ret)
{
    enum conditional_result result = check_preconditions(fields, target);
    if (result != CONDITIONAL_FULL || !is_get || !fields->range.data)
        return result;
    if (fields->if_range.data && !if_range_matches(fields->if_range, target))
        return CONDITIONAL_FULL;
    return parse_ranges(fields->range, target->size, ret);
}
