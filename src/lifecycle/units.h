#pragma once
/* What state units are in, as systemd tells of it over D-Bus: asked at first, and told of each change from
 * then on. Nothing here waits; the caller's loop polls one descriptor and keeps one time. While there is no
 * bus, or no systemd on it, another try is made now and then.
 *
 *     no bus ──due──► connecting ──subscribed──► watching ──► each unit is asked for its path and its state
 *        ▲                │                         │
 *        └──── pause ◄────┴──────── lost ◄──────────┘
 *
 * The pause is a second, and doubles up to 30 seconds until a connection has held that long. */

#include "util/clock.h"

struct unit_watch;

/* `state` is ActiveState as systemd spells it: "active", "activating", "deactivating", "inactive", "failed",
 * "reloading"; "inactive" also for a unit that does not exist; "" when systemd cannot be asked. Called for
 * each unit once that is known, and whenever it changes; only from unit_watch_process(). It must not free the
 * watch. */
typedef void (*unit_changed)(void *userdata, const char *unit, const char *state);

/* Opens one descriptor; a bus is looked for in the first unit_watch_process(). Returns a negative errno. */
int unit_watch_new(struct unit_watch **ret, unit_changed callback, void *userdata) _warn_unused_;
/* Closes all at once. Accepts NULL, returns NULL. */
struct unit_watch *unit_watch_free(struct unit_watch *watch);

/* From now on this unit, too; one that is watched already changes nothing. The name is copied. */
void unit_watch_add(struct unit_watch *watch, const char *unit);
/* What was told last of a unit, valid until the next unit_watch_process(); NULL when nothing was. */
const char *unit_watch_state(const struct unit_watch *watch, const char *unit);

/* 0 while systemd tells; otherwise why it could not be asked last, a negative errno, or 0 before it was. */
int unit_watch_fault(const struct unit_watch *watch);

/* Readable when there is something to process. It stays the same, and the watch's. */
int unit_watch_fd(const struct unit_watch *watch);
/* When to process in any case (monotonic); it may change with each call of another function. */
usec_t unit_watch_due(const struct unit_watch *watch);
/* Goes on as far as it can. `now` is monotonic. */
void unit_watch_process(struct unit_watch *watch, usec_t now);
