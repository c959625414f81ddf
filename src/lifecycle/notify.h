#pragma once
/* All that is ever said to the service manager; the only file that calls sd_notify. Harmless when there is
 * no NOTIFY_SOCKET. Used by the control thread only. */

#include <sys/types.h>

#include "util/clock.h"
#include "util/macros.h"

struct notify;

struct notify *notify_new(void);
struct notify *notify_free(struct notify *notify);

/* Nothing after notify_stopping(): a reload that ends then has not made anything ready. */
void notify_ready(struct notify *notify, usec_t now);
/* RELOADING=1 with its MONOTONIC_USEC=; notify_ready() ends it. */
void notify_reloading(struct notify *notify, usec_t now);
/* Names the successor as the main process, and waits (a second at most) until systemd has taken that. */
void notify_main_pid(struct notify *notify, pid_t pid);
void notify_stopping(struct notify *notify, usec_t now);
/* STATUS=, at most once a second: a newer text replaces a waiting one. Returns when notify_due() should be
 * called to send what waits (USEC_INFINITY: nothing waits). */
usec_t notify_status(struct notify *notify, usec_t now, const char *format, ...) _printf_(3, 4);
usec_t notify_due(struct notify *notify, usec_t now);
/* Gives systemd a descriptor to keep for the next process of this unit, which gets it under `name`; waits (a
 * second at most) until it has seen that. The descriptor stays the caller's. -ENOTSUP: there is nobody to
 * give it to. Whether systemd keeps it or closes it is not told: see FileDescriptorStoreMax= in
 * systemd.service(5). */
int notify_store(struct notify *notify, const char *name, int fd) _warn_unused_;
/* Has all of this name let go. */
void notify_unstore(struct notify *notify, const char *name);
void notify_watchdog(struct notify *notify);
void notify_extend_timeout(struct notify *notify, usec_t by);
/* Silent: from now on nothing at all is said, since another process is the one that systemd listens to. A
 * STATUS that comes meanwhile is kept. */
void notify_silence(struct notify *notify, bool silent);
bool notify_is_silent(const struct notify *notify);
/* WATCHDOG_USEC for this process, or 0 when the watchdog is off. */
usec_t notify_watchdog_interval(const struct notify *notify);
