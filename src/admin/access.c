#include "admin/access.h"

#include "util/ip_address.h"

bool access_is_operator(const struct admin_owner *owner, const struct credentials *peer)
{
    /* Where the gateway runs in root's group, that has no members who were meant. */
    return credentials_is_user(peer, 0) || credentials_is_user(peer, owner->uid) ||
           (owner->gid != 0 && credentials_in_group(peer, owner->gid));
}

/* A name that nobody can have pointed here by DNS. */
static bool host_is_ours(struct slice host)
{
    const struct slice name = slice_split(&host, ':');
    return name.size == 0 || slice_caseeq(name, SLICE_LITERAL("holdfast")) ||
           slice_caseeq(name, SLICE_LITERAL("localhost"));
}

static bool host_is_address(struct slice host)
{
    struct ip_address address;
    const bool has_brackets = host.size > 0 && host.data[0] == '[';
    struct slice rest = has_brackets ? slice_skip(host, 1) : host;
    return ip_address_parse(slice_split(&rest, has_brackets ? ']' : ':'), &address);
}

bool access_may_read(const struct handler_request *request, struct strbuf *reason)
{
    /* No web page gets at a Unix socket. At a TCP one it does, by a name of its own for our address. */
    if (request->peer->pid != 0 || host_is_ours(request->host) || host_is_address(request->host))
        return true;
    strbuf_add_string(reason, "over TCP the Host field must be an address, 'localhost' or 'holdfast'");
    return false;
}

static const char *foreign_source(const struct handler_request *request)
{
    if (request->is_forwarded)
        return "this request came through a proxy, which nothing can be changed through";
    if (request->origin.size > 0 || request->fetch_site.size > 0)
        return "this request was made by a web page, which may change nothing";
    if (!host_is_ours(request->host))
        return "to change something the Host field must be 'holdfast' or 'localhost'";
    return NULL;
}

bool access_may_change(const struct admin_owner *owner, const struct handler_request *request,
                       struct strbuf *reason)
{
    const struct credentials *peer = request->peer;
    const char *foreign = foreign_source(request);
    if (peer->pid == 0)
        strbuf_add_string(reason, "changes are taken over a Unix socket only");
    else if (!access_is_operator(owner, peer))
        strbuf_add_string(reason, "only root, the gateway's own user and the members of its group (holdfast, "
                                  "unless the unit says otherwise) may change something");
    else if (foreign)
        strbuf_add_string(reason, foreign);
    else
        return true;
    return false;
}
