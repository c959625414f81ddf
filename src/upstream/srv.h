#pragma once
/* The SRV records in an answer of a DNS server (RFC 2782). Pure; trusts no byte of it.
 *
 * Read here and not by c-ares, whose version in Debian 12 leaves out the TTL. */

#include "util/clock.h"
#include "util/macros.h"

#define SRV_TARGET_MAX 253u  /* bytes of a name, without a trailing dot */
#define SRV_RECORDS_MAX 200u /* of more, those of the lowest priority count */

struct srv_record {
    uint16_t priority, weight, port;
    char target[SRV_TARGET_MAX + 1];
};

/* All zero is an empty answer. */
struct srv_answer {
    struct srv_record *records; /* sorted by priority */
    size_t n;
    usec_t ttl; /* the shortest of all records that are part of the answer */
};

enum {
    SRV_MALFORMED = 1,
    SRV_NONE,      /* no record that can be used */
    SRV_NOT_THERE, /* the only target is ".": the service decidedly does not exist */
};

void srv_answer_deinit(struct srv_answer *answer);
/* Reads a whole DNS message. Records without a port, and those whose target is not the name of a host, are
 * left out. Returns 0 and an answer with at least one record, or one of the conditions above. */
int srv_parse(const uint8_t *message, size_t size, struct srv_answer *ret) _warn_unused_;

/* The number of records, from `first` on, that have the same priority as that; and their largest weight. */
size_t srv_group(const struct srv_answer *answer, size_t first, unsigned *ret_heaviest);
/* A record's weight (0 to 65535) as a target has it, 1 to `max`: in proportion to the heaviest of its group
 * if that is too heavy. */
unsigned srv_weight(unsigned weight, unsigned heaviest, unsigned max);
