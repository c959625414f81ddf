#include "admin/audit.h"
#include "admin/reply.h"
#include "admin/verbs.h"
#include "util/parse.h"

/* The number after "worker=", which must be all of the query. */
static int parse_worker(struct slice query, size_t n_workers, unsigned *ret)
{
    const struct slice key = SLICE_LITERAL("worker=");
    char number[24];
    uint64_t worker;
    if (!slice_starts_with(query, key) || query.size - key.size >= sizeof(number) || n_workers == 0)
        return -EINVAL;
    snprintf(number, sizeof(number), "%.*s", (int)(query.size - key.size), query.data + key.size);
    int r = parse_u64(number, 0, n_workers - 1, &worker);
    if (r < 0)
        return r;
    *ret = (unsigned)worker;
    return 0;
}

void admin_test_wedge(const struct admin *admin, const struct handler_request *request,
                      struct handler_reply *reply)
{
    struct admin_snapshot snapshot;
    unsigned worker;
    admin_take_snapshot(admin, &snapshot);
    if (!admin->options.wedge || parse_worker(request->query, snapshot.n_workers, &worker) < 0) {
        reply_problem(reply, request, 400, "expected ?worker=N, with N below %zu", snapshot.n_workers);
        return;
    }
    audit_change(admin, request, "wedge");
    admin->options.wedge(admin->options.userdata, worker);
    reply_text(reply, 200, "worker %u is blocked from now on", worker);
}
