#pragma once
/* What the admin API tells of the gateway's parts, in the arrays that a snapshot borrows. */

#include "admin/admin.h"
#include "gateway/ancestors.h"
#include "gateway/crew.h"
#include "gateway/lineage.h"

struct snapshot;

struct snapshot *snapshot_new(const struct descriptors *descriptors, size_t n_workers);
/* Accepts NULL, returns NULL. */
struct snapshot *snapshot_free(struct snapshot *snapshot);
/* Fills in workers, descriptors, lineage, draining generations and history. Valid until the next call. */
void snapshot_fill(struct snapshot *snapshot, const struct crew_state *crew, const struct lineage *lineage,
                   const struct ancestors *ancestors, usec_t now, struct admin_snapshot *ret);
