#pragma once
/* Who may do what. Whoever can connect to the admin socket may read; its mode is the check for that. To
 * change something takes root, the user that the gateway runs as, or a member of that one's group, by the
 * credentials that the kernel tells of the connection; and a request that no web page and no proxy can be
 * behind, since these act with credentials that are not those of whoever makes them act. Pure. Private to
 * admin/. */

#include "admin/admin.h"

bool access_is_operator(const struct admin_owner *owner, const struct credentials *peer);
/* Whether a request may be answered at all. False, and a sentence in `reason`, when it may not. */
bool access_may_read(const struct handler_request *request, struct strbuf *reason) _warn_unused_;
/* Whether it may change something; the same. */
bool access_may_change(const struct admin_owner *owner, const struct handler_request *request,
                       struct strbuf *reason) _warn_unused_;
