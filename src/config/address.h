#pragma once
/* Addresses as they are written in the configuration. */

#include "config/config.h"

#define TARGET_ACCEPTED "unix:/path, unix:@abstract, 192.0.2.1:80, [2001:db8::1]:80, name:80 or srv:name"
#define ADDRESS_ACCEPTED "unix:/path, unix:@abstract, 192.0.2.1:80 or [2001:db8::1]:80"

/* Reads unix:/path, unix:@abstract, 1.2.3.4:80 or [::1]:80. With `allow_name`, a host name and port are taken
 * too and leave ret->size 0. On failure a sentence about what is wrong is returned and *ret is untouched,
 * otherwise NULL. ret->text is the caller's to free; what it held before is not freed. */
const char *address_parse(const char *text, bool allow_name, struct address_config *ret);

/* Whether two addresses with a size name the same socket. */
bool address_eq(const struct address_config *a, const struct address_config *b);

/* Whether s is a DNS name without a trailing dot: labels of letters, digits, '-' and '_', 253 bytes at most.
 */
bool host_name_is_valid(const char *s);
