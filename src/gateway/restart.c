#include "gateway/root.h"

#include "lifecycle/bus.h"

static const char *explain(int r)
{
    if (r == -ENOTSUP || r == -EPIPE)
        return "systemd keeps no descriptors for this unit: set FileDescriptorStoreMax=8 in its [Service] "
               "section";
    if (r == -ETOOMANYREFS)
        return "too many descriptors of this user are on their way between processes: raise LimitNOFILE=";
    if (r == -ETIMEDOUT)
        return "systemd does not answer";
    return strerrordesc_np(-r);
}

static void on_not_parked(void *userdata, const struct moving_connection *connection)
{
    struct gateway *gateway = userdata;
    struct moving_connection back = *connection;
    if (!gateway->crew) { /* too late for anybody to have it */
        close(back.fd);
        return;
    }
    back.stays = true;
    crew_adopt(gateway->crew, &back); /* which ends it as at a stop */
}

/* Whether another process follows, and can have our idle connections. When systemd cannot be asked they are
 * ended as at a stop: with a late request answered, which nobody would do for those that wait in vain. */
bool gateway_begin_parking(struct gateway *gateway)
{
    enum bus_job job;
    if (notify_is_silent(gateway->notify)) /* replaced, or never to lead: systemd does not hear us */
        return false;
    if (!getenv("NOTIFY_SOCKET") || bus_unit_job(&job) < 0 || job != BUS_JOB_RESTART)
        return false;
    const int r = parking_new(&gateway->parking, &(struct parking_options){.loop = gateway->loop,
                                                                           .config = gateway->plan.config,
                                                                           .notify = gateway->notify,
                                                                           .on_refused = on_not_parked,
                                                                           .userdata = gateway});
    if (r < 0)
        journal_log(gateway->journal, EVENT_WARNING, "idle connections cannot be kept over the restart: %s",
                    explain(r));
    return r == 0;
}

void gateway_finish_parking(struct gateway *gateway)
{
    struct handover_counts counts;
    const struct state_parts parts = gateway_state_parts(gateway);
    parking_flush(gateway->parking);
    parking_counts(gateway->parking, &counts);
    gateway->lineage.restarts++;
    gateway->lineage.parked += counts.moved;
    gateway->lineage.closed += counts.refused;
    const int r = parking_finish(gateway->parking, state_export(&parts, gateway->generation, STATE_ALL));
    if (r < 0)
        journal_log(gateway->journal, EVENT_WARNING,
                    "cannot keep counters and session keys over the restart: %s", strerrordesc_np(-r));
    if (counts.error == -EPIPE)
        journal_log(gateway->journal, EVENT_WARNING, "idle connections were not kept over the restart: %s",
                    explain(counts.error));
    record_parked(gateway->journal, counts.moved, counts.refused);
}

static void keep_taken_back(void *userdata, const struct moving_connection *connection)
{
    struct gateway *gateway = userdata;
    if (gateway->taken_back.n == gateway->taken_back.size) {
        gateway->taken_back.size = MAX(gateway->taken_back.size * 2, (size_t)64);
        gateway->taken_back.items =
            xrealloc(gateway->taken_back.items, gateway->taken_back.size, sizeof(*gateway->taken_back.items));
    }
    gateway->taken_back.items[gateway->taken_back.n++] = *connection;
}

static void learn_parked(void *userdata, const json_t *document)
{
    struct gateway *gateway = userdata;
    const struct state_parts parts = gateway_state_parts(gateway);
    state_import(&parts, document, STATE_ALL);
    if (gateway->origin == ORIGIN_START)
        gateway->origin = ORIGIN_RESTART;
}

/* Not before this process is known to serve: until then others may have to. */
void gateway_open_parking(struct gateway *gateway)
{
    struct descriptors *descriptors = gateway->descriptors;
    struct parking_rest rest = {0};
    if (descriptors->n_parked == 0)
        return;
    for (size_t i = 0; i < descriptors->n_parked; i++)
        parking_open(gateway->plan.config, descriptors->parked[i], keep_taken_back, learn_parked, gateway,
                     &rest);
    descriptors->n_parked = 0;
    notify_unstore(gateway->notify, DESCRIPTOR_PARKED);
    gateway->lineage.closed += rest.closed;
    if (rest.closed > 0)
        journal_log(gateway->journal, EVENT_WARNING,
                    "%zu parked descriptor%s closed: no connection, or no plaintext listener for it any more",
                    rest.closed, rest.closed == 1 ? "" : "s");
    if (rest.unreadable > 0)
        journal_log(gateway->journal, EVENT_WARNING,
                    "%zu message%s of what was parked cannot be read, ignoring", rest.unreadable,
                    rest.unreadable == 1 ? "" : "s");
    if (rest.error < 0)
        journal_log(gateway->journal, EVENT_WARNING,
                    "a descriptor named \"" DESCRIPTOR_PARKED "\" cannot be read (%s), ignoring",
                    strerrordesc_np(-rest.error));
}

void gateway_adopt_taken_back(struct gateway *gateway)
{
    if (gateway->taken_back.n > 0)
        record_taken_back(gateway->journal, gateway->taken_back.n);
    for (size_t i = 0; i < gateway->taken_back.n; i++)
        crew_adopt(gateway->crew, &gateway->taken_back.items[i]);
    gateway->taken_back.n = 0;
}
