#include "router/tree.h"

_Static_assert(sizeof(struct tree_node) == 64, "a tree node is one cache line");
_Static_assert(sizeof(struct tree_leaf) == sizeof(struct slice), "leaves are counted in slices");
_Static_assert(sizeof(struct tree_entry) == sizeof(struct slice), "leaves are counted in slices");

static inline uint64_t load64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t load32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* memcmp() for a few bytes, without the call. n is not 0. */
static inline bool bytes_equal(const char *a, const char *b, size_t n)
{
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            if (load64(a + i) != load64(b + i))
                return false;
        return load64(a + n - 8) == load64(b + n - 8);
    }
    if (n >= 4)
        return load32(a) == load32(b) && load32(a + n - 4) == load32(b + n - 4);
    return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
}

/* The child whose edge begins with this byte, or NULL. */
static inline const struct tree_node *static_child(const struct tree *tree, const struct tree_node *node,
                                                   unsigned char first)
{
    unsigned i;
    if (node->n_children <= TREE_INDEX_SIZE) {
        /* The lowest byte of `index` that equals `first` is the lowest zero byte of x. */
        uint64_t ones = UINT64_C(0x0101010101010101), x = node->index ^ (ones * first);
        uint64_t zeros = (x - ones) & ~x & (ones << 7);
        if (!zeros)
            return NULL;
        i = (unsigned)__builtin_ctzll(zeros) / 8;
        if (i >= node->n_children)
            return NULL;
    } else {
        i = node->table[first];
        if (i-- == 0)
            return NULL;
    }
    return &tree->nodes[node->children + i];
}

static inline bool edge_matches(const struct tree_node *node, const char *at, const char *end)
{
    size_t size = node->edge_size;
    const char *edge = size <= TREE_SHORT_EDGE ? node->short_edge : node->long_edge;
    return (size_t)(end - at) >= size && bytes_equal(at, edge, size);
}

static inline bool take_leaf(const struct tree *tree, uint32_t offset, enum method method,
                             struct router_match *match)
{
    const struct tree_leaf *leaf = (const struct tree_leaf *)&tree->leaves[offset];
    if (!leaf->entry_of[method]) {
        match->allowed |= leaf->methods;
        return false;
    }
    const struct tree_entry *entry = &leaf->entries[leaf->entry_of[method] - 1];
    match->route = entry->route;
    match->n_params = leaf->n_params;
    for (unsigned i = 0; i < leaf->n_params; i++)
        match->params[i].name = entry->names[i];
    return true;
}

enum router_result tree_lookup(const struct tree *tree, struct slice path, enum method method,
                               struct router_match *match)
{
    const struct tree_node *node = tree->nodes;
    const char *at = path.data, *end = path.data + path.size;
    size_t n_params = 0;

    for (;;) {
        /* Down: `at` stands behind the edge that led to `node`. */
        if (at == end) {
            if (node->leaf && take_leaf(tree, node->leaf, method, match))
                return ROUTER_FOUND;
        } else {
            const struct tree_node *child = static_child(tree, node, (unsigned char)*at);
            if (child && edge_matches(child, at, end)) {
                at += child->edge_size;
                node = child;
                continue;
            }
        }

        /* A parameter next, a catch-all last; and when neither helps, up and there what has not been tried.
         */
        for (;;) {
            if (node->param && at < end && *at != '/') {
                const char *begin = at;
                while (at < end && *at != '/')
                    at++;
                match->params[n_params++].value = slice_make(begin, (size_t)(at - begin));
                node = &tree->nodes[node->param];
                break;
            }
            for (;;) {
                if (node->rest) {
                    /* A catch-all stands behind a '/', which belongs to its value. */
                    match->params[n_params].value = slice_make(at - 1, (size_t)(end - at) + 1);
                    if (take_leaf(tree, node->rest, method, match))
                        return ROUTER_FOUND;
                }
                if (!node->is_param)
                    break;
                at = match->params[--n_params].value.data;
                node = &tree->nodes[node->parent];
            }
            if (node == tree->nodes)
                return match->allowed ? ROUTER_METHOD_NOT_ALLOWED : ROUTER_NOT_FOUND;
            at -= node->edge_size;
            node = &tree->nodes[node->parent];
        }
    }
}

struct tree *tree_free(struct tree *tree)
{
    if (!tree)
        return NULL;
    free(tree->nodes);
    free(tree->leaves);
    free(tree->long_edges);
    free(tree->tables);
    free(tree);
    return NULL;
}
