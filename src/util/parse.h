#pragma once
/* Strict parsers for what people write in configuration files and on command lines. All return 0 or a
 * negative errno (-EINVAL not of the form, -ERANGE out of range) and leave *ret untouched on failure. */

#include "util/clock.h"
#include "util/macros.h"

/* 1/yes/y/true/t/on and 0/no/n/false/f/off, in any case, as systemd has it. */
int parse_bool(const char *s, bool *ret) _warn_unused_;
/* Decimal digits only; no sign, no blanks. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) _warn_unused_;
/* A time span as in systemd.time(7): "5s", "1min 30s", "250ms", "1.5s", a bare number is seconds, "infinity".
 */
int parse_duration(const char *s, usec_t *ret) _warn_unused_;
/* Bytes with an optional suffix K, M, G, T (powers of 1024) or B; "infinity" is UINT64_MAX. */
int parse_size(const char *s, uint64_t *ret) _warn_unused_;

#define FORMAT_DURATION_MAX 64
/* The shortest exact rendering in systemd's units ("1min 30s", "250ms"); always fits FORMAT_DURATION_MAX. */
char *format_duration(char buf[FORMAT_DURATION_MAX], usec_t t);
#define FORMAT_SIZE_MAX 32
char *format_size(char buf[FORMAT_SIZE_MAX], uint64_t bytes);

/* Whether all of s is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool utf8_is_valid(const char *s, size_t size);
