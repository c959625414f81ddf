#include "upstream/budget.h"

void budget_init(struct budget *budget, unsigned percent, unsigned minimum_per_second, unsigned n_workers,
                 usec_t now)
{
    assert(n_workers > 0);
    *budget = (struct budget){
        .percent = percent,
        .minimum = minimum_per_second / n_workers + (minimum_per_second % n_workers > 0),
        .head = now / USEC_PER_SEC,
    };
}

static void move_on(struct budget *budget, usec_t now)
{
    const uint64_t second = now / USEC_PER_SEC;

    if (second <= budget->head)
        return;
    const uint64_t n = MIN(second - budget->head, (uint64_t)BUDGET_SECONDS);
    for (uint64_t i = 0; i < n; i++)
        memset(&budget->seconds[(second - i) % BUDGET_SECONDS], 0, sizeof(budget->seconds[0]));
    budget->head = second;
}

void budget_request(struct budget *budget, usec_t now)
{
    move_on(budget, now);
    budget->seconds[budget->head % BUDGET_SECONDS].requests++;
}

/* Whether there is a retry to take in a second that is not before the current one. */
static bool has_retry(const struct budget *budget, uint64_t second)
{
    const uint64_t gone = second - budget->head;
    uint64_t requests = 0, retries = 0;

    for (uint64_t i = 0; i + gone < BUDGET_SECONDS; i++) {
        const uint64_t place = (budget->head + BUDGET_SECONDS - i) % BUDGET_SECONDS;
        requests += budget->seconds[place].requests;
        retries += budget->seconds[place].retries;
    }
    return retries < requests * budget->percent / 100 + (uint64_t)budget->minimum * BUDGET_SECONDS;
}

bool budget_take(struct budget *budget, usec_t now)
{
    move_on(budget, now);
    if (!has_retry(budget, budget->head))
        return false;
    budget->seconds[budget->head % BUDGET_SECONDS].retries++;
    return true;
}

static usec_t begin_of(uint64_t second)
{
    return second > USEC_INFINITY / USEC_PER_SEC ? USEC_INFINITY : second * USEC_PER_SEC;
}

usec_t budget_next(const struct budget *budget, usec_t now)
{
    const uint64_t second = MAX(now / USEC_PER_SEC, budget->head);

    if (has_retry(budget, second))
        return now;
    if (budget->percent > 0)
        return begin_of(second + 1);
    for (uint64_t i = 1; i <= BUDGET_SECONDS; i++)
        if (has_retry(budget, second + i))
            return begin_of(second + i);
    return USEC_INFINITY;
}
