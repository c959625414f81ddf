#include "http/fault.h"

#include "http/server_internal.h"
#include "journal/fields.h"

static void tell(struct server *server, const struct listener_config *listener, const char *peer,
                 const char *client, enum client_fault fault, const char *detail)
{
    struct journal_record record;
    const char *text = client_fault_text(fault);

    metrics_client_fault(server->options.metrics, listener, fault);
    if (!server_may_tell(server, TOLD_CLIENT_FAULT))
        return;
    journal_begin(&record, EVENT_CLIENT_FAULT);
    journal_add_string(&record, FIELD_PEER, peer);
    if (client)
        journal_add_string(&record, FIELD_CLIENT, client);
    journal_add_string(&record, FIELD_LISTENER, listener->name);
    journal_add_string(&record, FIELD_FAULT, client_fault_to_string(fault));
    journal_add_string(&record, FIELD_REASON, detail ? detail : text);
    server_add_withheld(server, TOLD_CLIENT_FAULT, &record);
    journal_send(server->options.journal, &record, "turned away %s on listener %s: %s%s%s",
                 client ? client : peer, listener->name, text, detail ? ": " : "", detail ? detail : "");
}

void fault_found(struct server *server, const struct listener_config *listener, const char *peer,
                 enum client_fault fault, const char *detail)
{
    tell(server, listener, peer, NULL, fault, detail);
}

void conn_fault(struct conn *conn, enum client_fault fault, const char *detail)
{
    tell(conn->server, conn->origin->listener, conn_peer(conn),
         conn_is_passed_on(conn) ? conn_client_text(conn) : NULL, fault, detail);
}
