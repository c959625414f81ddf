#pragma once
/* The compressed radix tree of one host: built by tree_builder.h, then only read.
 *
 * An edge is a run of bytes, whatever segments it covers; a node has static children that differ in their
 * first byte, at most one parameter child and at most one catch-all. Nodes stand in one array, the static
 * children of a node side by side in the order of `index`, so that a step down is one comparison of eight
 * bytes at once and one of the edge.
 *
 * Each node can be reached by a path in one way only: static edges take exactly their bytes, a parameter
 * takes exactly the segment. So a lookup that backtracks never comes to a node twice, and needs no stack:
 * from a node and the position that its edge began at, `parent` leads back. */

#include "router/router.h"

struct tree_leaf {
    uint32_t methods; /* the bits of non-NULL routes */
    unsigned n_params;
    struct {
        const struct route_config *route;
        const struct slice *names; /* [n_params], owned by the tree */
    } by_method[_METHOD_MAX];
};

enum { TREE_INDEX_SIZE = 8 };

/* One cache line. */
struct tree_node {
    _Alignas(64) const char *edge; /* of a static child: the bytes that lead here */
    union {
        uint64_t index;       /* up to eight children: their first bytes, the first child's lowest */
        const uint8_t *table; /* more: by first byte, 0 or the child's number plus one; 256 entries */
    };
    const struct tree_leaf *leaf; /* the path may end here; or NULL */
    const struct tree_leaf *rest; /* it may go on in any way; or NULL */
    uint32_t children;            /* the first static child */
    uint32_t param;               /* the parameter child; 0: none */
    uint32_t parent;
    uint16_t edge_size; /* 0 for the root and for a parameter child */
    uint16_t n_children;
    bool is_param;
};

struct tree {
    struct tree_node *nodes; /* [0] is the root */
    size_t n_nodes;
    char *edges;
    uint8_t (*tables)[256];
    struct tree_leaf *leaves;
    struct slice *names;
};

/* Finds the most specific route for a path and method. Where a path has routes, but not for this method,
 * their methods are added to match->allowed; the rest of `match` is valid only with ROUTER_FOUND. */
enum router_result tree_lookup(const struct tree *tree, struct slice path, enum method method,
                               struct router_match *match);
struct tree *tree_free(struct tree *tree);
