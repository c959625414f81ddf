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

/* The routes of one exact pattern. Their parameters' names follow it in memory. */
struct tree_leaf {
    uint32_t methods; /* those that have a route */
    uint8_t n_params;
    uint8_t entry_of[_METHOD_MAX]; /* 0: none; else the number of the entry plus one */
    struct tree_entry {
        const struct route_config *route;
        const struct slice *names; /* [n_params] */
    } entries[];
};

enum {
    TREE_INDEX_SIZE = 8,
    TREE_SHORT_EDGE = 32,
};

/* One cache line, which is all that a step down touches as a rule. */
struct tree_node {
    _Alignas(64) uint32_t leaf; /* the path may end here: where in `leaves`; 0: it may not */
    uint32_t rest;              /* it may go on in any way; the same */
    uint32_t children;          /* the first static child */
    uint32_t param;             /* the parameter child; 0: none */
    uint32_t parent;
    uint16_t edge_size; /* 0 for the root and for a parameter child */
    uint8_t n_children;
    bool is_param;
    union {
        uint64_t index;       /* up to eight children: their first bytes, the first child's lowest */
        const uint8_t *table; /* more: by first byte, 0 or the child's number plus one; 256 entries */
    };
    union {
        char short_edge[TREE_SHORT_EDGE]; /* of a static child: the bytes that lead here */
        const char *long_edge;
    };
};

struct tree {
    struct tree_node *nodes; /* [0] is the root */
    struct slice *leaves;    /* struct tree_leaf and its names, in units of a slice; [0] is not used */
    char *long_edges;
    uint8_t (*tables)[256];
};

/* Finds the most specific route for a path and method. Where a path has routes, but not for this method,
 * their methods are added to match->allowed; the rest of `match` is valid only with ROUTER_FOUND. */
enum router_result tree_lookup(const struct tree *tree, struct slice path, enum method method,
                               struct router_match *match);
struct tree *tree_free(struct tree *tree);
