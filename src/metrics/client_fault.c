#include "metrics/client_fault.h"

#include "util/macros.h"

static const struct {
    const char *name, *text;
} faults[_CLIENT_FAULT_MAX] = {
#define X(symbol, name, text) [symbol] = {name, text},
    CLIENT_FAULTS(X)
#undef X
};

const char *client_fault_to_string(enum client_fault fault)
{
    assert(fault < _CLIENT_FAULT_MAX);
    return faults[fault].name;
}

const char *client_fault_text(enum client_fault fault)
{
    assert(fault < _CLIENT_FAULT_MAX);
    return faults[fault].text;
}
