#include "upstream/srv.h"

#include "config/address.h"

#define HEADER_SIZE 12u
#define QUESTION_SIZE 4u /* behind its name */
#define RECORD_SIZE 10u  /* between a record's name and its data */
#define SRV_SIZE 6u      /* before the target */

#define CLASS_INTERNET 1
#define TYPE_SRV 33

#define LABEL_MAX 63u
#define POINTER_BITS 0xc0u

/* What of a message is not read yet. */
struct reader {
    const uint8_t *message;
    size_t size;
    size_t at; /* at most size */
};

static bool has(const struct reader *reader, size_t n)
{
    return reader->size - reader->at >= n;
}

static uint16_t get_u16(const struct reader *reader, size_t offset)
{
    const uint8_t *p = reader->message + reader->at + offset;
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get_u32(const struct reader *reader, size_t offset)
{
    return (uint32_t)get_u16(reader, offset) << 16 | get_u16(reader, offset + 2);
}

/* Moves behind a name, which may end in a pointer. */
static bool skip_name(struct reader *reader)
{
    while (has(reader, 1)) {
        const uint8_t length = reader->message[reader->at++];
        if (length == 0)
            return true;
        if (length >= POINTER_BITS) {
            if (!has(reader, 1))
                return false;
            reader->at++;
            return true;
        }
        if (length > LABEL_MAX || !has(reader, length))
            return false;
        reader->at += length;
    }
    return false;
}

/* Reads the name at `at` as text without a trailing dot; "" for the root, and for one with bytes that no host
 * name has. False: malformed. */
static bool read_name(const struct reader *reader, size_t at, char ret[SRV_TARGET_MAX + 1])
{
    size_t size = 0;
    /* A pointer leads to before where the last one led to, or it would lead in a circle. */
    size_t pointer_limit = at;

    for (;;) {
        if (at >= reader->size)
            return false;
        const uint8_t length = reader->message[at++];
        if (length == 0)
            break;
        if (length >= POINTER_BITS) {
            if (at >= reader->size)
                return false;
            at = (size_t)(length & ~POINTER_BITS) << 8 | reader->message[at];
            if (at >= pointer_limit)
                return false;
            pointer_limit = at;
            continue;
        }
        if (length > LABEL_MAX || reader->size - at < length || size + length + 1 > SRV_TARGET_MAX + 1)
            return false;
        memcpy(ret + size, reader->message + at, length);
        size += length;
        ret[size++] = '.';
        at += length;
    }
    if (size > 0)
        size--;
    ret[size] = '\0';
    if (strlen(ret) != size || !host_name_is_valid(ret))
        ret[0] = '\0';
    return true;
}

static usec_t read_ttl(const struct reader *reader)
{
    const uint32_t seconds = get_u32(reader, 4);
    /* RFC 2181 8: with the highest bit it is to be taken for zero. */
    return seconds > INT32_MAX ? 0 : seconds * USEC_PER_SEC;
}

/* Reads the record at the reader into the answer if it is of use. */
static bool read_record(struct reader *reader, struct srv_answer *answer, bool *is_not_there)
{
    if (!skip_name(reader) || !has(reader, RECORD_SIZE))
        return false;
    const uint16_t type = get_u16(reader, 0), class = get_u16(reader, 2), size = get_u16(reader, 8);
    answer->ttl = usec_min(answer->ttl, read_ttl(reader));
    reader->at += RECORD_SIZE;
    if (!has(reader, size))
        return false;
    const size_t end = reader->at + size;

    if (type == TYPE_SRV && class == CLASS_INTERNET) {
        if (size <= SRV_SIZE)
            return false;
        struct srv_record record = {
            .priority = get_u16(reader, 0), .weight = get_u16(reader, 2), .port = get_u16(reader, 4)};
        reader->at += SRV_SIZE;
        const bool is_root = reader->message[reader->at] == 0;
        if (!read_name(reader, reader->at, record.target) || !skip_name(reader) || reader->at != end)
            return false;
        *is_not_there = *is_not_there || is_root;
        if (record.target[0] != '\0' && record.port != 0)
            answer->records[answer->n++] = record;
    }
    reader->at = end;
    return true;
}

static int compare_records(const void *a, const void *b)
{
    const struct srv_record *one = a, *other = b;
    if (one->priority != other->priority)
        return one->priority < other->priority ? -1 : 1;
    const int order = strcmp(one->target, other->target);
    return order != 0 ? order : (int)one->port - (int)other->port;
}

void srv_answer_deinit(struct srv_answer *answer)
{
    free(answer->records);
    *answer = (struct srv_answer){0};
}

int srv_parse(const uint8_t *message, size_t size, struct srv_answer *ret)
{
    struct reader reader = {message, size, 0};
    bool is_not_there = false;

    if (size < HEADER_SIZE)
        return SRV_MALFORMED;
    const unsigned n_questions = get_u16(&reader, 4), n_records = get_u16(&reader, 6);
    reader.at = HEADER_SIZE;
    for (unsigned i = 0; i < n_questions; i++) {
        if (!skip_name(&reader) || !has(&reader, QUESTION_SIZE))
            return SRV_MALFORMED;
        reader.at += QUESTION_SIZE;
    }
    /* Room for no more records than there are bytes for. */
    const size_t room = MIN((size_t)n_records, (size - reader.at) / (RECORD_SIZE + SRV_SIZE));
    struct srv_answer answer = {.records = xcalloc(room, sizeof(*answer.records)), .ttl = USEC_INFINITY};
    for (unsigned i = 0; i < n_records; i++)
        if (!read_record(&reader, &answer, &is_not_there)) {
            srv_answer_deinit(&answer);
            return SRV_MALFORMED;
        }
    if (answer.n == 0) {
        srv_answer_deinit(&answer);
        return is_not_there ? SRV_NOT_THERE : SRV_NONE;
    }
    qsort(answer.records, answer.n, sizeof(*answer.records), compare_records);
    answer.n = MIN(answer.n, (size_t)SRV_RECORDS_MAX);
    *ret = answer;
    return 0;
}

size_t srv_group(const struct srv_answer *answer, size_t first, unsigned *ret_heaviest)
{
    size_t n = 0;

    *ret_heaviest = 0;
    for (size_t i = first; i < answer->n && answer->records[i].priority == answer->records[first].priority;
         i++, n++)
        *ret_heaviest = MAX(*ret_heaviest, (unsigned)answer->records[i].weight);
    return n;
}

unsigned srv_weight(unsigned weight, unsigned heaviest, unsigned max)
{
    if (heaviest > max)
        weight = weight * max / heaviest; /* 65535 * 256 at most */
    return MAX(weight, 1u);
}
