#pragma once
/* How the values of options are read: one type each. What a type writes to is the C type named here. */

#include "config/config.h"
#include "config/options.h"

extern const struct option_type option_bool;        /* bool */
extern const struct option_type option_choice;      /* an enum, by the row's words */
extern const struct option_type option_size;        /* uint64_t */
extern const struct option_type option_rate;        /* uint64_t: bytes a second, 0: any */
extern const struct option_type option_head_size;   /* uint64_t, 1K to 1M */
extern const struct option_type option_headers;     /* unsigned, 10 to 1000 */
extern const struct option_type option_timeout;     /* usec_t from 1 ms, or infinity */
extern const struct option_type option_finite;      /* usec_t from 1 ms */
extern const struct option_type option_pause;       /* usec_t from 0 to an hour */
extern const struct option_type option_drain;       /* usec_t, infinity for "auto" */
extern const struct option_type option_threads;     /* unsigned, never 0 */
extern const struct option_type option_pool_size;   /* unsigned */
extern const struct option_type option_generations; /* unsigned, 2 to 64 */
extern const struct option_type option_percent;     /* unsigned, 1 to 100 */
extern const struct option_type option_count;       /* unsigned, 1 to 1000000 */
extern const struct option_type option_limit;       /* unsigned, 1 to 1000000, 0 for "infinity" */
extern const struct option_type option_clients;     /* unsigned, 1024 to 1048576 */
extern const struct option_type option_places;      /* unsigned, 1 to 1000000, 0 for "auto" */
extern const struct option_type option_number;      /* unsigned, 0 to 1000000 */

extern const struct option_type option_name; /* checked only: the reference is resolved when all is read */
extern const struct option_type option_path; /* char *: absolute, no slash at its end */
extern const struct option_type option_url_path;   /* char * */
extern const struct option_type option_media_type; /* char * */
extern const struct option_type option_file_names; /* char **, NULL-terminated */
extern const struct option_type option_methods;    /* uint32_t of METHOD_BITs */

extern const struct option_type option_credential; /* checked only: certificates are paired in the end */
extern const struct option_type option_credential_string; /* char *: the path */

extern const struct option_type option_staple;      /* checked only, as certificates are */
extern const struct option_type option_ticket_time; /* usec_t: 0, or a second to a week */

extern const struct option_type option_prefixes; /* struct prefix_set */
extern const struct option_type option_token;    /* char *: a word as RFC 9110 has them */
extern const struct option_type option_unit;     /* char *: the name of a systemd unit */
extern const struct option_type option_balance;  /* balance of struct upstream_config */
extern const struct option_type option_statuses; /* struct health_config: status_first and status_last */
extern const struct option_type option_target;   /* targets and n_targets of struct upstream_config */
extern const struct option_type option_rates;    /* rate_limits and n_rate_limits of struct route_config */
extern const struct option_type option_respond;  /* struct route_config: respond.status and body */
extern const struct option_type option_redirect; /* struct route_config: respond.status and location */

extern const struct option_type option_check_connect; /* all of these: struct check_config */
extern const struct option_type option_check_http;
extern const struct option_type option_check_path;
extern const struct option_type option_check_unit;

/* Takes `value` over in place of the string that was there. */
static inline void set_string(char **s, char *value)
{
    free(*s);
    *s = value;
}

/* Reads a word of a Target=: its address or name, and what follows it. `ret` is filled in but for index and
 * place; the caller frees it by target_deinit(). On failure says why, and there is nothing to free. */
bool target_parse(const char *value, struct target_config *ret, struct strbuf *error);

#define RESPOND_BODY_MAX 16384
#define UPSTREAM_TARGETS_MAX 256
/* Room in an upstream for targets that come while the process runs: with names among those of the
 * configuration, and without. */
#define UPSTREAM_SLOTS_NAMED 256
#define UPSTREAM_SLOTS_ADDED 32

/* RFC 9110 5.6.2. */
bool token_is_valid(const char *s);

/* Whether a name is fit for [Listener …], [Upstream …] and [Check …]. */
bool section_name_is_valid(const char *name);
#define SECTION_NAME_ACCEPTED "1 to 255 letters, digits and any of . _ - @ + \\"

/* Where a certificate, key or CA is: an absolute path as it is, a plain name in $CREDENTIALS_DIRECTORY. NULL,
 * and a sentence in `error`, when it is neither. The caller frees the path. */
char *credential_path(const char *value, struct strbuf *error);
