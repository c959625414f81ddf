#pragma once
/* Plays a script, or asks as a client that means well. */

#include "stream.h"

enum played {
    PLAYED,
    PLAYED_STUCK, /* the other end has neither read, nor answered, nor closed */
    PLAYED_ALONE, /* nobody is there */
};

/* `ret_inputs`: as many as were sent, at least in part. */
enum played player_play(struct script *script, const struct stream_addresses *addresses, size_t *ret_inputs);
/* GET `target` on a connection of its own; whether it is answered by 200, in time. */
bool player_ask(const struct stream_addresses *addresses, enum script_place place, const char *target,
                uint64_t number);
