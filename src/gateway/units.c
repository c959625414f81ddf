#include "gateway/units.h"

#include "lifecycle/units.h"

/* One upstream, as it was looked at last. */
struct seen {
    const struct upstream_config *upstream;
    bool looked;
    unsigned version;
    /* By slot: the target that was told of its unit. Telling it again would be news. */
    const struct target_config **told;
};

struct units {
    struct roster *roster;
    struct loop *loop;
    struct journal *journal;
    struct seen *seen;
    size_t n_seen;
    struct unit_watch *watch; /* NULL: no target has had a unit yet */
    struct loop_fd *fd;
    bool failed;     /* there cannot be a watch */
    bool complained; /* that systemd cannot be asked */
};

struct units *units_new(const struct config *config, struct roster *roster, struct loop *loop,
                        struct journal *journal)
{
    struct units *units = xcalloc(1, sizeof(*units));
    *units = (struct units){.roster = roster, .loop = loop, .journal = journal};
    units->n_seen = config->n_upstreams;
    units->seen = xcalloc(units->n_seen, sizeof(*units->seen));
    for (size_t i = 0; i < units->n_seen; i++)
        units->seen[i] = (struct seen){
            .upstream = config->upstreams[i],
            .told = xcalloc(config->upstreams[i]->n_slots, sizeof(*units->seen[i].told)),
        };
    return units;
}

struct units *units_free(struct units *units)
{
    if (!units)
        return NULL;
    loop_fd_free(units->fd);
    unit_watch_free(units->watch);
    for (size_t i = 0; i < units->n_seen; i++)
        free(units->seen[i].told);
    free(units->seen);
    free(units);
    return NULL;
}

static void on_changed(void *userdata, const char *unit, const char *state)
{
    struct units *units = userdata;
    const usec_t now = now_monotonic();
    for (size_t i = 0; i < units->n_seen; i++) {
        const struct seen *seen = &units->seen[i];
        for (size_t slot = 0; slot < seen->upstream->n_slots; slot++)
            if (seen->told[slot] && streq(seen->told[slot]->unit, unit))
                roster_unit_changed(units->roster, seen->upstream, seen->told[slot], state, now);
    }
}

static void do_nothing(void *userdata)
{
    /* That the loop wakes is enough: the next round begins with units_step(). */
}

static bool begin_to_watch(struct units *units)
{
    if (units->watch)
        return true;
    if (units->failed)
        return false;
    const int r = unit_watch_new(&units->watch, on_changed, units);
    if (r < 0) {
        journal_log(units->journal, EVENT_WARNING, "cannot watch units (%s), ignoring", strerrordesc_np(-r));
        units->failed = true;
        return false;
    }
    units->fd = loop_fd_new(units->loop, unit_watch_fd(units->watch), do_nothing, units);
    return true;
}

static void look_at(struct units *units, struct seen *seen, unsigned slot, usec_t now)
{
    struct roster_slot there;
    const struct target_config *target = NULL;
    if (roster_look(units->roster, seen->upstream, slot, &there) && there.target->unit)
        target = there.target;
    if (seen->told[slot] == target)
        return;
    seen->told[slot] = NULL;
    if (!target || !begin_to_watch(units))
        return;
    seen->told[slot] = target;
    unit_watch_add(units->watch, target->unit);
    const char *state = unit_watch_state(units->watch, target->unit);
    if (state)
        roster_unit_changed(units->roster, seen->upstream, target, state, now);
}

static void look(struct units *units, usec_t now)
{
    for (size_t i = 0; i < units->n_seen; i++) {
        struct seen *seen = &units->seen[i];
        const unsigned version = roster_version(units->roster, seen->upstream);
        if (seen->looked && seen->version == version)
            continue;
        seen->looked = true;
        seen->version = version;
        for (unsigned slot = 0; slot < seen->upstream->n_slots; slot++)
            look_at(units, seen, slot, now);
    }
}

static void tell_whether_known(struct units *units)
{
    const int fault = unit_watch_fault(units->watch);
    if (fault < 0 && !units->complained)
        journal_log(units->journal, EVENT_WARNING,
                    "cannot ask systemd for the state of units (%s): it is not known for now",
                    strerrordesc_np(-fault));
    else if (fault == 0 && units->complained)
        journal_log(units->journal, EVENT_MESSAGE, "systemd tells the state of units again");
    units->complained = fault < 0;
}

usec_t units_step(struct units *units, usec_t now)
{
    look(units, now);
    if (!units->watch)
        return USEC_INFINITY;
    unit_watch_process(units->watch, now);
    tell_whether_known(units);
    return unit_watch_due(units->watch);
}
