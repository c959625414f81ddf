/* Any bytes as the answer to a question for SRV records: what is accepted must keep what srv.h promises. */

#include "config/address.h"
#include "upstream/srv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct srv_answer answer = {0};
    /* A block of its own, so that a sanitizer sees a read behind the end. */
    _cleanup_free_ uint8_t *exact = xcalloc(1, size);
    memcpy(exact, data, size);

    const int r = srv_parse(exact, size, &answer);
    if (r != 0) {
        assert(r == SRV_MALFORMED || r == SRV_NONE || r == SRV_NOT_THERE);
        assert(answer.n == 0 && !answer.records);
        return 0;
    }
    assert(answer.n > 0 && answer.n <= SRV_RECORDS_MAX);
    assert(answer.ttl <= INT32_MAX * USEC_PER_SEC);
    for (size_t i = 0; i < answer.n; i++) {
        const struct srv_record *record = &answer.records[i];
        assert(record->port != 0 && host_name_is_valid(record->target));
        assert(i == 0 || answer.records[i - 1].priority <= record->priority);
    }
    unsigned heaviest;
    for (size_t first = 0; first < answer.n;) {
        const size_t n = srv_group(&answer, first, &heaviest);
        assert(n > 0 && first + n <= answer.n);
        for (size_t i = 0; i < n; i++) {
            const unsigned weight = srv_weight(answer.records[first + i].weight, heaviest, 256);
            assert(weight >= 1 && weight <= 256);
        }
        first += n;
    }
    srv_answer_deinit(&answer);
    return 0;
}
