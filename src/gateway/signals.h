#pragma once
/* The signals that the control thread takes, as events of its loop. */

#include "http/loop.h"

struct signals;

/* Blocks what is taken below, and ignores SIGPIPE and SIGXFSZ. Before the first thread is started: they
 * inherit it. */
void signals_block(void);

/* Calls `on_signal` for each SIGTERM, SIGINT and SIGHUP. */
int signals_new(struct signals **ret, struct loop *loop, void (*on_signal)(void *userdata, int number),
                void *userdata) _warn_unused_;
/* Accepts NULL, returns NULL. */
struct signals *signals_free(struct signals *signals);
