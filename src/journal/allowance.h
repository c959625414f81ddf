#pragma once
/* How many records of one kind are written in a second: those that clients, or a broken upstream, can cause
 * as often as they like. A journal full of them tells no more than a few and a number do, and pushes out what
 * matters. Pure; one owner, one thread. */

#include "util/clock.h"
#include "util/macros.h"

struct allowance {
    usec_t second;     /* when the current one began */
    unsigned taken;    /* in it */
    uint64_t withheld; /* since the last record was written */
};

/* Whether one more may be written at `now`; otherwise it is counted as withheld. */
bool allowance_take(struct allowance *allowance, unsigned per_second, usec_t now);
/* How many have been withheld since the last time somebody asked: to be told with the record that is written.
 */
uint64_t allowance_take_withheld(struct allowance *allowance);
