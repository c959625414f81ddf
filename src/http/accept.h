#pragma once
/* What a client would like: the quality values of Accept and Accept-Encoding (RFC 9110 12.4.2, 12.5). */

#include "util/slice.h"

#define ACCEPT_MAX 1000      /* q=1 */
#define ACCEPT_UNLISTED (-1) /* neither the value nor a wildcard that covers it is in the field */

/* The quality of a content coding in an Accept-Encoding field, 0 (refused) to ACCEPT_MAX, or ACCEPT_UNLISTED.
 */
int accept_coding_quality(struct slice field, struct slice coding);

/* The same for a media type, "type/subtype", in an Accept field: the most specific range that covers it
 * decides. Parameters but q are not looked at. */
int accept_media_quality(struct slice field, struct slice type);
