#pragma once
/* Accepting connections on the inherited sockets, so that one connection wakes one thread.
 *
 * h2o's loop polls a listening socket like any other, and every thread that polls it wakes for every
 * connection. Here the registration is replaced by one with EPOLLEXCLUSIVE, which wakes one. Such a wake-up
 * belongs to the thread that got it: a thread that stops accepting must first leave the poll and then take
 * what is still queued, or that connection would wait for the next one to arrive. Threads that are far ahead
 * of others pass connections on (accept_group.h). */

#include "http/server.h"

struct listener;

/* `n` listeners in one array; owns duplicates of the descriptors, so that the inherited ones are never
 * touched. */
int listeners_new(struct listener **ret, struct server *server, const struct server_socket *sockets, size_t n)
    _warn_unused_;
void listeners_start(struct listener *listeners, size_t n);
/* Takes what is queued now: another thread has passed it on to this one. */
void listeners_accept_now(struct listener *listeners, size_t n);
void listeners_stop(struct listener *listeners, size_t n);
struct listener *listeners_free(struct listener *listeners, size_t n);
