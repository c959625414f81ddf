#pragma once
/* When a name is looked up again. Pure. */

#include "util/clock.h"

/* After an answer that is good for `ttl`: 1 s to 5 min. */
usec_t refresh_after_answer(usec_t ttl);
/* After so many failures in a row, at least one: 1 s, doubling to 30 s. */
usec_t refresh_after_failures(unsigned failures);
