#include "gateway/control.h"

#include "http/server.h"

/* Requests to the API are small. */
#define MAX_BODY_SIZE (1024 * 1024)
#define IDLE_TIMEOUT (60 * USEC_PER_SEC)

struct control {
    struct listener_config listener; /* in the place of a section that does not exist */
    struct admin *admin;
    struct server_socket *sockets;
    struct server *server;
};

static size_t collect_sockets(struct control *control, const struct descriptors *descriptors)
{
    size_t n = 0;
    control->sockets = xcalloc(descriptors->n_items, sizeof(*control->sockets));
    for (size_t i = 0; i < descriptors->n_items; i++)
        if (streq(descriptors->items[i].name, DESCRIPTOR_ADMIN))
            control->sockets[n++] =
                (struct server_socket){descriptors->items[i].fd, &control->listener, NULL};
    return n;
}

int control_new(struct control **ret, const struct control_options *options)
{
    static char name[] = DESCRIPTOR_ADMIN;
    struct control *control = xcalloc(1, sizeof(*control));
    control->listener = (struct listener_config){
        .name = name,
        .protocol = LISTENER_HTTP,
        .max_body_size = MAX_BODY_SIZE,
        .idle_timeout = IDLE_TIMEOUT,
    };
    control->admin = admin_new(&options->admin);
    const size_t n_sockets = collect_sockets(control, options->descriptors);
    const struct server_options server = {
        .loop = options->loop,
        .config = options->admin.config,
        .journal = options->journal,
        .sockets = control->sockets,
        .n_sockets = n_sockets,
        .handler = admin_handle,
        .userdata = control->admin,
    };
    int r = 0;
    if (n_sockets > 0)
        r = server_new(&control->server, &server);
    if (r < 0) {
        control_free(control);
        return r;
    }
    *ret = control;
    return 0;
}

int control_accept(struct control *control)
{
    return control->server ? server_start_accepting(control->server, NULL) : 0;
}

void control_retire(struct control *control)
{
    if (!control->server)
        return;
    server_stop_accepting(control->server);
    server_drain(control->server, 0);
}

struct control *control_free(struct control *control)
{
    if (!control)
        return NULL;
    if (control->server) {
        server_stop_accepting(control->server);
        server_cut(control->server);
        server_free(control->server);
    }
    free(control->sockets);
    admin_free(control->admin);
    free(control);
    return NULL;
}
