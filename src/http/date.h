#pragma once
/* Dates in header fields (RFC 9110 5.6.7). */

#include <time.h>

#include "util/slice.h"

#define HTTP_DATE_MAX 32

/* "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale. Returns its length. Years 0 to 9999 only. */
size_t http_date_format(time_t t, char buf[HTTP_DATE_MAX]);
/* All three forms that a recipient must take; false for anything else. `now` tells the century of a year of
 * two digits: the latest that is not more than 50 years ahead. */
bool http_date_parse(struct slice s, time_t now, time_t *ret);
