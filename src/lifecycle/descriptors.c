#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <systemd/sd-daemon.h>

#include "lifecycle/descriptors.h"

static char *format_unix(const struct sockaddr_un *address, socklen_t size)
{
    struct strbuf out = STRBUF_INIT;
    size_t n =
        size > offsetof(struct sockaddr_un, sun_path) ? size - offsetof(struct sockaddr_un, sun_path) : 0;
    const char *path = address->sun_path;
    strbuf_add_string(&out, "unix:");
    if (n > 0 && path[0] == '\0') {
        strbuf_add_char(&out, '@');
        path++;
        n--;
    } else {
        n = strnlen(path, n);
    }
    for (size_t i = 0; i < n; i++)
        strbuf_add_char(&out, path[i] > ' ' && path[i] < 0x7f ? path[i] : '?');
    return strbuf_steal(&out);
}

static char *format_inet(const void *address, int family, in_port_t port)
{
    struct strbuf out = STRBUF_INIT;
    char text[INET6_ADDRSTRLEN] = "?";
    inet_ntop(family, address, text, sizeof(text));
    strbuf_addf(&out, family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, ntohs(port));
    return strbuf_steal(&out);
}

static char *describe(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } address = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    if (getsockname(fd, &address.any, &size) == 0) {
        switch (address.any.sa_family) {
        case AF_INET:
            return format_inet(&address.in.sin_addr, AF_INET, address.in.sin_port);
        case AF_INET6:
            return format_inet(&address.in6.sin6_addr, AF_INET6, address.in6.sin6_port);
        case AF_UNIX:
            return format_unix(&address.un, size);
        default:
            break;
        }
    }
    struct strbuf out = STRBUF_INIT;
    strbuf_addf(&out, "descriptor %d", fd);
    return strbuf_steal(&out);
}

static int prepare(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK); /* every socket can be, and nothing else is of use */
    return 0;
}

static void free_names(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

int descriptors_take(struct descriptors *ret)
{
    char **names = NULL;
    const int n = sd_listen_fds_with_names(true, &names);
    if (n <= 0)
        return n < 0 ? n : -ENOENT;

    struct descriptors taken = {
        .items = xcalloc((size_t)n, sizeof(*taken.items)),
        .parked = xcalloc((size_t)n, sizeof(*taken.parked)),
    };
    int r = 0;
    for (int i = 0; i < n && r == 0; i++) {
        const int fd = SD_LISTEN_FDS_START + i;
        r = prepare(fd);
        if (streq(names[i], DESCRIPTOR_PARKED))
            taken.parked[taken.n_parked++] = fd;
        else
            taken.items[taken.n_items++] =
                (struct descriptor){.fd = fd, .name = xstrdup(names[i]), .address = describe(fd)};
    }
    free_names(names);
    if (r == 0 && taken.n_items == 0)
        r = -ENOENT;
    if (r < 0) {
        descriptors_deinit(&taken);
        return r;
    }
    *ret = taken;
    return 0;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

/* Why a descriptor cannot be accepted from; NULL when it can. */
static const char *refuse(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return "is not open";
    if (!S_ISSOCK(st.st_mode))
        return "is not a socket";
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM)
        return "is not a stream socket";
    const int family = socket_option(fd, SO_DOMAIN);
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return "is neither an IP nor a Unix socket";
    if (socket_option(fd, SO_ACCEPTCONN) != 1)
        return "is a socket that does not listen (Accept=yes in its socket unit?)";
    return NULL;
}

static const struct listener_config *find_listener(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        if (streq(config->listeners[i].name, name))
            return &config->listeners[i];
    return NULL;
}

/* How systemd names what was stored without a name. */
#define STORED_WITHOUT_NAME "stored"

/* Why a descriptor is of no use, if it is not a socket unit's; NULL when it is to be checked as one. A socket
 * unit's that listens is never passed over: its name is a mistake that somebody wants to know of. */
static const char *judge_stored(const struct descriptor *descriptor, const struct config *config)
{
    if (streq(descriptor->name, DESCRIPTOR_ADMIN) || find_listener(config, descriptor->name))
        return NULL;
    if (strncmp(descriptor->name, DESCRIPTOR_STORED_PREFIX, strlen(DESCRIPTOR_STORED_PREFIX)) == 0 ||
        streq(descriptor->name, STORED_WITHOUT_NAME))
        return "was stored for a process that is not this one";
    return refuse(descriptor->fd);
}

void descriptors_drop_stored(struct descriptors *descriptors, const struct config *config,
                             void (*tell)(void *userdata, const struct descriptor *descriptor,
                                          const char *reason),
                             void *userdata)
{
    size_t kept = 0;
    for (size_t i = 0; i < descriptors->n_items; i++) {
        struct descriptor *descriptor = &descriptors->items[i];
        const char *reason = judge_stored(descriptor, config);
        if (!reason) {
            descriptors->items[kept++] = *descriptor;
            continue;
        }
        tell(userdata, descriptor, reason);
        close(descriptor->fd);
        free(descriptor->name);
        free(descriptor->address);
    }
    descriptors->n_items = kept;
}

static bool has_descriptor(const struct descriptors *descriptors, const char *name)
{
    for (size_t i = 0; i < descriptors->n_items; i++)
        if (streq(descriptors->items[i].name, name))
            return true;
    return false;
}

/* The names on one side, for a message about the other: "http", "https", "admin". */
static void list_descriptors(const struct descriptors *descriptors, struct strbuf *out)
{
    for (size_t i = 0; i < descriptors->n_items; i++)
        strbuf_addf(out, "%s\"%s\" (%s)", i > 0 ? ", " : "", descriptors->items[i].name,
                    descriptors->items[i].address);
}

static void list_listeners(const struct config *config, struct strbuf *out)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        strbuf_addf(out, "%s[Listener %s]", i > 0 ? ", " : "", config->listeners[i].name);
    if (config->n_listeners == 0)
        strbuf_add_string(out, "none");
}

static void check_descriptor(const struct descriptor *descriptor, const struct config *config,
                             struct config_report *report)
{
    static const struct config_place nowhere = {NULL, 0};
    const char *reason = refuse(descriptor->fd);
    if (reason) {
        config_report_add(report, true, nowhere, NULL, NULL, NULL, "listening TCP or Unix stream sockets",
                          "the descriptor %d named \"%s\" (%s) %s", descriptor->fd, descriptor->name,
                          descriptor->address, reason);
        return;
    }
    if (streq(descriptor->name, DESCRIPTOR_ADMIN)) {
        if (socket_option(descriptor->fd, SO_DOMAIN) != AF_UNIX)
            config_report_add(
                report, false, nowhere, NULL, NULL, NULL, "a Unix socket",
                "the admin socket is %s: whoever can connect to it can read all that it tells, and nobody "
                "can change anything through it",
                descriptor->address);
        return;
    }
    if (!find_listener(config, descriptor->name)) {
        _cleanup_strbuf_ struct strbuf listeners = STRBUF_INIT;
        list_listeners(config, &listeners);
        config_report_add(report, true, nowhere, NULL, NULL, NULL, NULL,
                          "the socket %s is named \"%s\" by its socket unit, but there is no section "
                          "[Listener %s] (there is: %s)",
                          descriptor->address, descriptor->name, descriptor->name, strbuf_string(&listeners));
    }
}

static void check_listener(const struct listener_config *listener, const struct descriptors *descriptors,
                           struct config_report *report)
{
    _cleanup_strbuf_ struct strbuf section = STRBUF_INIT, names = STRBUF_INIT;
    strbuf_addf(&section, "Listener %s", listener->name);
    if (streq(listener->name, DESCRIPTOR_ADMIN)) {
        config_report_add(report, true, listener->place, strbuf_string(&section), NULL, NULL, "another name",
                          "\"" DESCRIPTOR_ADMIN "\" is the name of the admin socket, which has no section");
        return;
    }
    if (has_descriptor(descriptors, listener->name))
        return;
    list_descriptors(descriptors, &names);
    config_report_add(report, true, listener->place, strbuf_string(&section), NULL, NULL, NULL,
                      "no socket is named \"%s\": enable a socket unit with FileDescriptorName=%s, or remove "
                      "the section (sockets passed: %s)",
                      listener->name, listener->name, strbuf_string(&names));
}

int descriptors_check(const struct descriptors *descriptors, const struct config *config,
                      struct config_report *report)
{
    const size_t before = report->n_errors;
    for (size_t i = 0; i < descriptors->n_items; i++)
        check_descriptor(&descriptors->items[i], config, report);
    for (size_t i = 0; i < config->n_listeners; i++)
        check_listener(&config->listeners[i], descriptors, report);
    return report->n_errors > before ? -EBADMSG : 0;
}

void descriptors_deinit(struct descriptors *descriptors)
{
    for (size_t i = 0; i < descriptors->n_items; i++) {
        free(descriptors->items[i].name);
        free(descriptors->items[i].address);
    }
    free(descriptors->items);
    free(descriptors->parked);
    *descriptors = (struct descriptors){0};
}
