#pragma once
/* The start-up checks on a thread of their own, so that the control thread can answer /livez and take a
 * signal while a dependency is waited for. */

#include "http/loop.h"
#include "lifecycle/checks.h"

struct preflight;

/* `on_done` is called on the loop's thread when all checks are over. */
int preflight_new(struct preflight **ret, const struct config *config, struct loop *loop,
                  void (*on_done)(void *userdata), void *userdata) _warn_unused_;
/* Gives up what still runs and waits for the thread, a fraction of a second. Not from within on_done. Accepts
 * NULL, returns NULL. */
struct preflight *preflight_free(struct preflight *preflight);

/* How many checks are not over yet. */
size_t preflight_running(const struct preflight *preflight);
/* The results, one for each check of the configuration, once on_done was called; and how many required checks
 * have failed. */
const struct check_result *preflight_results(const struct preflight *preflight, size_t *ret_failed);
