#pragma once
/* What the operator wants of upstreams and their targets (upstream/roster.h), kept over restarts, crashes and
 * power failures in <state directory>/upstreams.json.
 *
 * The generation that leads writes it, and answers the operator only when the disk has it. Its successor
 * reads it at its start; the generations that it has replaced read it again at each change, since requests
 * may wait in them for what the operator does next. */

#include <jansson.h>

#include "http/loop.h"
#include "util/strbuf.h"

#define WANTED_FILE "upstreams.json"
#define WANTED_SIZE_MAX (4u << 20)

/* Reads it. 0 and the document, whose reference is the caller's; where there is no file, an empty one. What
 * is in it is anybody's guess but that it is an object. Otherwise a negative errno, and why in `error`. */
int wanted_read(const char *directory, json_t **ret, struct strbuf *error) _warn_unused_;
/* Puts `document` in its place: after a crash at any moment there is the former or this one, and after 0 it
 * is this one. Otherwise a negative errno, and why in `error`. */
int wanted_write(const char *directory, const json_t *document, struct strbuf *error) _warn_unused_;

struct wanted_watch;
/* Calls `changed` on the loop's thread whenever another file has been put in the place of the one that was
 * there. Changes before this are not told. Returns a negative errno. */
int wanted_watch(struct wanted_watch **ret, struct loop *loop, const char *directory,
                 void (*changed)(void *userdata), void *userdata) _warn_unused_;
/* Not within `changed`. Accepts NULL, returns NULL. */
struct wanted_watch *wanted_unwatch(struct wanted_watch *watch);
