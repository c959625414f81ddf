#pragma once
/* A JSON document in a sealed memory file, for what is too large for a message: its descriptor goes beside
 * one. */

#include <jansson.h>

#include "util/macros.h"

/* Bytes. */
#define BLOB_MAX (64u << 20)

/* *ret_fd is the caller's: close-on-exec, sealed against any change. -EFBIG when the document is too large.
 */
int blob_new(const json_t *document, int *ret_fd) _warn_unused_;
/* The same in two steps, for what has to be sent before it is known: until it is filled the file is empty,
 * and nobody can read a document from it. */
int blob_reserve(int *ret_fd) _warn_unused_;
int blob_fill(int fd, const json_t *document) _warn_unused_;
/* Reads what another process made, who may be anybody: -EFBIG, -ENODATA when it was reserved and never
 * filled, -EBADMSG when it is no JSON object or array, or another errno. The descriptor stays open. The
 * reference is the caller's. */
int blob_read(int fd, json_t **ret) _warn_unused_;
