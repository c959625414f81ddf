#include "gateway/control.h"

#include "http/server.h"

/* Who asks is on this host and has a word to say. Nothing here is for the configuration to loosen: however it
 * is set, the control thread has more to do. */
#define MAX_HEAD_SIZE (16 * 1024)
#define MAX_HEADERS 64
#define MAX_BODY_SIZE (16 * 1024) /* of which nothing is wanted: as much as can be refused in words */
#define HEAD_TIMEOUT (10 * USEC_PER_SEC)
#define BODY_TIMEOUT (10 * USEC_PER_SEC)
#define SEND_TIMEOUT (30 * USEC_PER_SEC)
#define MIN_RATE (16 * 1024)
#define IDLE_TIMEOUT (60 * USEC_PER_SEC)
#define MAX_CONNECTIONS 64
#define MAX_READERS \
    48 /* of these, who may not change anything: operators find a place however many they are */

struct control {
    struct config config;            /* a copy on the surface, with those limits */
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
    control->config = *options->admin.config;
    control->config.gateway.max_head_size = MAX_HEAD_SIZE;
    control->config.gateway.max_headers = MAX_HEADERS;
    control->config.gateway.head_timeout = HEAD_TIMEOUT;
    control->config.gateway.body_timeout = BODY_TIMEOUT;
    control->config.gateway.send_timeout = SEND_TIMEOUT;
    control->config.gateway.body_min_rate = control->config.gateway.send_min_rate = MIN_RATE;
    control->admin = admin_new(&options->admin);
    const size_t n_sockets = collect_sockets(control, options->descriptors);
    const struct server_options server = {
        .loop = options->loop,
        .config = &control->config,
        .journal = options->journal,
        .sockets = control->sockets,
        .n_sockets = n_sockets,
        .handler = admin_handle,
        .max_connections = MAX_CONNECTIONS,
        .max_common = MAX_READERS,
        .is_privileged = admin_is_operator,
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
