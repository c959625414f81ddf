#include "journal/events.h"
#include "util/macros.h"

static const struct {
    const char *name;
    const char *id;
    int priority;
} events[_EVENT_MAX] = {
#define X(symbol, name, id, priority) [symbol] = {name, id, priority},
    JOURNAL_EVENTS(X)
#undef X
};

const char *journal_event_name(enum journal_event event)
{
    assert(event < _EVENT_MAX);
    return events[event].name;
}

const char *journal_event_id(enum journal_event event)
{
    assert(event < _EVENT_MAX);
    return events[event].id;
}

int journal_event_priority(enum journal_event event)
{
    assert(event < _EVENT_MAX);
    return events[event].priority;
}
