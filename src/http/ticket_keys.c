#include "http/ticket_keys.h"

#include <inttypes.h>

/* A key opens tickets until each that was made with it has had its lifetime. */
static bool is_usable(const struct ticket_keys *keys, const struct ticket_key *key, usec_t now)
{
    return key->made <= now && now - key->made < usec_add(keys->lifetime, keys->lifetime);
}

const struct ticket_key *ticket_keys_current(const struct ticket_keys *keys, usec_t now)
{
    const struct ticket_key *newest = keys->n > 0 ? &keys->keys[0] : NULL;
    return newest && newest->made <= now && now - newest->made < keys->lifetime ? newest : NULL;
}

const struct ticket_key *ticket_keys_find(const struct ticket_keys *keys, const uint8_t *name, usec_t now)
{
    for (size_t i = 0; i < keys->n; i++)
        if (memcmp(keys->keys[i].name, name, TICKET_KEY_NAME_SIZE) == 0)
            return is_usable(keys, &keys->keys[i], now) ? &keys->keys[i] : NULL;
    return NULL;
}

/* Wipes what is beyond the first n. */
static void truncate_to(struct ticket_keys *keys, size_t n)
{
    if (n >= keys->n)
        return;
    explicit_bzero(&keys->keys[n], (keys->n - n) * sizeof(keys->keys[0]));
    keys->n = n;
}

void ticket_keys_expire(struct ticket_keys *keys, usec_t now)
{
    size_t n = keys->n;
    while (n > 0 && !is_usable(keys, &keys->keys[n - 1], now)) /* the oldest is the last */
        n--;
    truncate_to(keys, n);
}

bool ticket_keys_add(struct ticket_keys *keys, const struct ticket_key *key, usec_t now)
{
    size_t at = 0;
    if (!is_usable(keys, key, now))
        return false;
    for (size_t i = 0; i < keys->n; i++)
        if (memcmp(keys->keys[i].name, key->name, TICKET_KEY_NAME_SIZE) == 0)
            return false;
    while (at < keys->n && keys->keys[at].made > key->made)
        at++;
    if (at == TICKET_KEYS_MAX)
        return false; /* older than all that there is room for */
    keys->n = MIN(keys->n + 1, (size_t)TICKET_KEYS_MAX);
    memmove(&keys->keys[at + 1], &keys->keys[at], (keys->n - at - 1) * sizeof(keys->keys[0]));
    keys->keys[at] = *key;
    return true;
}

void ticket_keys_deinit(struct ticket_keys *keys)
{
    truncate_to(keys, 0);
}

static char *add_hex(char *to, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to++ = ' ';
    return to;
}

void ticket_key_format(const struct ticket_key *key, char text[TICKET_KEY_TEXT_SIZE])
{
    char *to = add_hex(text, key->name, sizeof(key->name));
    to = add_hex(to, key->cipher, sizeof(key->cipher));
    to = add_hex(to, key->mac, sizeof(key->mac));
    snprintf(to, (size_t)(text + TICKET_KEY_TEXT_SIZE - to), "%" PRIu64, key->made);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(uint8_t *ret, size_t n, struct slice word)
{
    if (word.size != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const int high = hex_digit(word.data[2 * i]), low = hex_digit(word.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool parse_time(usec_t *ret, struct slice word)
{
    usec_t t = 0;
    if (word.size == 0 || word.size > 18) /* so many digits fit */
        return false;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        t = 10 * t + (usec_t)(word.data[i] - '0');
    }
    *ret = t;
    return true;
}

bool ticket_key_parse(struct ticket_key *ret, struct slice text)
{
    struct ticket_key key;
    const bool ok = parse_hex(key.name, sizeof(key.name), slice_split(&text, ' ')) &&
                    parse_hex(key.cipher, sizeof(key.cipher), slice_split(&text, ' ')) &&
                    parse_hex(key.mac, sizeof(key.mac), slice_split(&text, ' ')) &&
                    parse_time(&key.made, text);
    if (ok)
        *ret = key;
    explicit_bzero(&key, sizeof(key));
    return ok;
}
