#pragma once
/* Connections that are refused or ended for what their clients do: counted, and told in the journal. */

#include "http/conn.h"
#include "metrics/client_fault.h"

/* A client of `listener` at `peer` (an address as text) was, or is about to be, turned away. `detail` says
 * more than the fault's own words, as a phrase, or is NULL. Records are limited in rate; the count in the
 * metrics is not. */
void fault_found(struct server *server, const struct listener_config *listener, const char *peer,
                 enum client_fault fault, const char *detail);
/* The same for a connection that there is; ending it is up to the caller. */
void conn_fault(struct conn *conn, enum client_fault fault, const char *detail);
