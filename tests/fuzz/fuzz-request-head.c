/* Any bytes as the head of a request. However it comes in pieces, the same is found; what is accepted keeps
 * what request_head.h promises; written anew it is understood as before; and another parser, libh2o's, reads
 * the same in it. The first byte says how many bytes at a time are looked at. */

#include <ctype.h>

#include "http/request_head.h"
#include "util/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELDS_MAX 30
static const struct head_limits limits = {.size = 2048, .fields = FIELDS_MAX};

/* libh2o has it without a header. */
struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};
int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len, const char **path,
                      size_t *path_len, int *minor_version, struct phr_header *headers, size_t *num_headers,
                      size_t last_len);

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!isalnum((unsigned char)s.data[i]) && (!s.data[i] || !strchr("!#$%&'*+-.^_`|~", s.data[i])))
            return false;
    return s.size > 0;
}

static bool is_text(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (((unsigned char)s.data[i] < ' ' && s.data[i] != '\t') || s.data[i] == 0x7f)
            return false;
    return true;
}

static bool is_target(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == '#')
            return false;
    return s.size > 0;
}

static bool is_within(struct slice s, struct slice whole)
{
    return s.size == 0 || (s.data >= whole.data && s.data + s.size <= whole.data + whole.size);
}

/* What the fields say, counted the long way. */
struct counts {
    unsigned hosts, lengths, codings, expectations;
    struct slice host, length, coding;
};

static void check_fields(const struct request_head *head, struct slice whole, struct counts *ret)
{
    *ret = (struct counts){0};
    assert(head->n_fields <= FIELDS_MAX);
    for (size_t i = 0; i < head->n_fields; i++) {
        const struct request_field *field = &head->fields[i];
        assert(is_token(field->name) && is_within(field->name, whole));
        assert(is_text(field->value) && is_within(field->value, whole));
        assert(slice_eq(slice_trim(field->value), field->value));
        if (slice_caseeq(field->name, SLICE_LITERAL("Host"))) {
            ret->hosts++;
            ret->host = field->value;
        } else if (slice_caseeq(field->name, SLICE_LITERAL("Content-Length"))) {
            ret->lengths++;
            ret->length = field->value;
        } else if (slice_caseeq(field->name, SLICE_LITERAL("Transfer-Encoding"))) {
            ret->codings++;
            ret->coding = field->value;
        } else if (slice_caseeq(field->name, SLICE_LITERAL("Expect"))) {
            ret->expectations++;
        }
    }
}

/* There is one way to read where the body ends. */
static void check_framing(const struct request_head *head, const struct counts *counts)
{
    assert(counts->lengths + counts->codings <= 1);
    assert(head->chunked == (counts->codings == 1));
    assert(!head->chunked ||
           (head->minor_version == 1 && slice_caseeq(counts->coding, SLICE_LITERAL("chunked"))));
    assert((head->content_length == UINT64_MAX) == (counts->lengths == 0));
    if (counts->lengths > 0) {
        _cleanup_free_ char *text = xstrndup(counts->length.data, counts->length.size);
        assert(text[strspn(text, "0123456789")] == '\0' && text[0]);
        assert(head->content_length == strtoull(text, NULL, 10) && head->content_length <= INT64_MAX);
    }
}

static void check(const struct request_head *head, struct slice whole)
{
    struct counts counts;

    check_fields(head, whole, &counts);
    check_framing(head, &counts);
    assert(is_token(head->method) && !slice_eq(head->method, SLICE_LITERAL("CONNECT")));
    assert(is_within(head->method, whole) && is_within(head->target, whole) &&
           is_within(head->authority, whole));
    assert(is_target(head->target));
    if (slice_eq(head->path, SLICE_LITERAL("*")))
        assert(slice_eq(head->method, SLICE_LITERAL("OPTIONS")));
    else
        assert(is_target(head->path) && head->path.data[0] == '/');
    assert(head->minor_version <= 1);
    assert(counts.hosts == 1 || (counts.hosts == 0 && head->minor_version == 0));
    if (head->target.data[0] == '/' || head->target.data[0] == '*')
        assert(slice_eq(head->authority, counts.host) && slice_eq(head->path, head->target));
    assert(!head->expects_continue || (counts.expectations > 0 && head->minor_version == 1));
    /* HTTP/2 could say the same. */
    assert(request_head_judge_line(head->method, head->path, head->authority) == HEAD_OK);
}

static void add(struct strbuf *to, struct slice s)
{
    strbuf_add(to, s.data, s.size);
}

/* As it may go out again: it must come in as it was. */
static void check_again(const struct request_head *head)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct request_head again;

    add(&text, head->method);
    add(&text, SLICE_LITERAL(" "));
    add(&text, head->target);
    strbuf_addf(&text, " HTTP/1.%u\r\n", head->minor_version);
    for (size_t i = 0; i < head->n_fields; i++) {
        add(&text, head->fields[i].name);
        add(&text, SLICE_LITERAL(": "));
        add(&text, head->fields[i].value);
        add(&text, SLICE_LITERAL("\r\n"));
    }
    add(&text, SLICE_LITERAL("\r\n"));

    const enum head_error error = request_head_parse(text.data, text.size, &limits, &again);
    assert(error == HEAD_OK);
    assert(slice_eq(again.method, head->method) && slice_eq(again.target, head->target));
    assert(slice_eq(again.path, head->path) && slice_eq(again.authority, head->authority));
    assert(again.n_fields == head->n_fields && again.minor_version == head->minor_version);
    for (size_t i = 0; i < head->n_fields; i++)
        assert(slice_eq(again.fields[i].name, head->fields[i].name) &&
               slice_eq(again.fields[i].value, head->fields[i].value));
    assert(again.content_length == head->content_length && again.chunked == head->chunked);
    assert(again.keep_alive == head->keep_alive && again.expects_continue == head->expects_continue);
    assert(again.connection_has_upgrade == head->connection_has_upgrade &&
           slice_eq(again.upgrade, head->upgrade));
}

/* What we accept another accepts as well, and reads the same in it. */
static void check_other_parser(const struct request_head *head, struct slice whole)
{
    struct phr_header fields[FIELDS_MAX];
    size_t n = FIELDS_MAX;
    struct slice method, target;
    int minor_version;

    const int size = phr_parse_request(whole.data, whole.size, &method.data, &method.size, &target.data,
                                       &target.size, &minor_version, fields, &n, 0);
    assert(size == (int)whole.size && n == head->n_fields);
    assert(slice_eq(method, head->method) && slice_eq(target, head->target));
    assert(MIN(minor_version, 1) == (int)head->minor_version);
    for (size_t i = 0; i < n; i++) {
        assert(slice_eq(slice_make(fields[i].name, fields[i].name_len), head->fields[i].name));
        assert(slice_eq(slice_trim(slice_make(fields[i].value, fields[i].value_len)), head->fields[i].value));
    }
}

struct found {
    enum head_scan result;
    size_t start, end;
};

static struct found find(const char *data, size_t size, size_t piece)
{
    struct found found = {.result = HEAD_INCOMPLETE};
    size_t offset = 0;

    for (size_t seen = 0; seen < size && found.result == HEAD_INCOMPLETE;) {
        seen = MIN(seen + piece, size);
        found.result = request_head_scan(data, seen, &limits, &offset, &found.start, &found.end);
        assert(found.start <= offset && offset <= seen);
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const size_t piece = 1 + data[0] % 43;
    _cleanup_free_ char *copy = xcalloc(1, --size);
    memcpy(copy, ++data, size);

    const struct found found = find(copy, size, size), in_pieces = find(copy, size, piece);
    assert(found.result == in_pieces.result);
    if (found.result != HEAD_COMPLETE)
        return 0;
    assert(found.start == in_pieces.start && found.end == in_pieces.end);
    assert(found.end <= size && found.start < found.end);
    assert(found.end - found.start <= limits.size);

    /* A block of its own, so that a sanitizer sees a read behind the head. */
    const struct slice whole = {copy + found.start, found.end - found.start};
    _cleanup_free_ char *exact = xcalloc(1, whole.size);
    memcpy(exact, whole.data, whole.size);
    struct request_head head;
    const enum head_error error = request_head_parse(exact, whole.size, &limits, &head);
    assert(head_error_text(error) && head_error_status(error) >= 400);
    if (error == HEAD_OK) {
        check(&head, slice_make(exact, whole.size));
        check_again(&head);
        check_other_parser(&head, slice_make(exact, whole.size));
    }
    return 0;
}
