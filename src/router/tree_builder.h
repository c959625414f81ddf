#pragma once
/* Grows the routes of one host into a tree and finds the conflicts between them. */

#include "router/pattern.h"
#include "router/tree.h"

struct tree_builder;

struct tree_builder *tree_builder_new(void);
struct tree_builder *tree_builder_free(struct tree_builder *builder);

/* Adds a route for the given methods. A conflict with an earlier one goes to `report`, naming both places,
 * and gives -EEXIST; the rest of the route's methods may have been added then. The pattern is not kept, but
 * what its names point into must outlive the tree. */
int tree_builder_add(struct tree_builder *builder, const struct pattern *pattern,
                     const struct route_config *route, uint32_t methods, struct config_report *report)
    _warn_unused_;

/* The tree of what was added so far. Routes for GET take HEAD too where no other does. */
struct tree *tree_builder_finish(const struct tree_builder *builder);
