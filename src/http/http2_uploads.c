#include "http/http2_uploads.h"

void http2_uploads_deinit(struct http2_uploads *uploads)
{
    free(uploads->list);
    *uploads = (struct http2_uploads){0};
}

static struct http2_upload *find(const struct http2_uploads *uploads, uint32_t stream)
{
    for (size_t i = uploads->n; i-- > 0;)
        if (uploads->list[i].stream == stream)
            return &uploads->list[i];
    return NULL;
}

void http2_uploads_ended(struct http2_uploads *uploads, uint32_t stream)
{
    struct http2_upload *upload = find(uploads, stream);
    if (upload)
        *upload = uploads->list[--uploads->n];
}

void http2_uploads_arrived(struct http2_uploads *uploads, uint32_t stream, uint64_t bytes,
                           const struct pace_limits *limits, usec_t now)
{
    struct http2_upload *upload = find(uploads, stream);

    if (!upload) {
        if (uploads->n == uploads->capacity) {
            uploads->capacity = MAX(uploads->capacity * 2, (size_t)4);
            uploads->list = xrealloc(uploads->list, uploads->capacity, sizeof(uploads->list[0]));
        }
        upload = &uploads->list[uploads->n++];
        upload->stream = stream;
        pace_begin(&upload->pace, limits, now);
    }
    pace_progress(&upload->pace, limits, bytes, now);
}

uint32_t http2_uploads_late(const struct http2_uploads *uploads, const struct pace_limits *limits, usec_t now,
                            enum pace_verdict *ret_verdict)
{
    for (size_t i = 0; i < uploads->n; i++) {
        *ret_verdict = pace_judge(&uploads->list[i].pace, limits, now);
        if (*ret_verdict != PACE_IN_TIME)
            return uploads->list[i].stream;
    }
    return 0;
}
