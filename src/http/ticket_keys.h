#pragma once
/* The keys that TLS session tickets are sealed with (RFC 5077, RFC 8446 4.6.1): a ring of them, each of its
 * own age. Whoever has such a key can read every session that was resumed with its tickets, so none lives
 * long: a new one is due each `lifetime`, and its predecessor opens tickets for as long again, never longer.
 *
 * Pure: keys are made elsewhere, and `now` is passed in (CLOCK_MONOTONIC, which generations share). */

#include "util/clock.h"
#include "util/slice.h"

#define TICKET_KEY_NAME_SIZE 16   /* as OpenSSL has it: the name stands in clear in each ticket */
#define TICKET_KEY_SECRET_SIZE 32 /* of the cipher, and of the MAC */
/* Those that are no older than twice the lifetime are three at most; one more is for a lifetime that was
 * changed at a reload. */
#define TICKET_KEYS_MAX 4

struct ticket_key {
    uint8_t name[TICKET_KEY_NAME_SIZE];
    uint8_t cipher[TICKET_KEY_SECRET_SIZE];
    uint8_t mac[TICKET_KEY_SECRET_SIZE];
    usec_t made;
};

struct ticket_keys {
    usec_t lifetime;
    size_t n;
    struct ticket_key keys[TICKET_KEYS_MAX]; /* the newest first */
};

/* The key that new tickets are made with; NULL when one is to be added first. */
const struct ticket_key *ticket_keys_current(const struct ticket_keys *keys, usec_t now);
/* The key of this name (TICKET_KEY_NAME_SIZE bytes), if it still opens tickets. */
const struct ticket_key *ticket_keys_find(const struct ticket_keys *keys, const uint8_t *name, usec_t now);
/* Adds a copy. False, and nothing is added, for one that was made in the future, is too old, or is there. The
 * oldest goes when there is no room. */
bool ticket_keys_add(struct ticket_keys *keys, const struct ticket_key *key, usec_t now);
/* Forgets, and wipes, what is too old. */
void ticket_keys_expire(struct ticket_keys *keys, usec_t now);
/* Forgets and wipes all. */
void ticket_keys_deinit(struct ticket_keys *keys);

/* A key as text, for the next process: "NAME CIPHER MAC MADE", in hex but for the time. It always fits. */
#define TICKET_KEY_TEXT_SIZE (2 * (TICKET_KEY_NAME_SIZE + 2 * TICKET_KEY_SECRET_SIZE) + 24)
void ticket_key_format(const struct ticket_key *key, char text[TICKET_KEY_TEXT_SIZE]);
/* Reads one; false for what is none. */
bool ticket_key_parse(struct ticket_key *ret, struct slice text);
