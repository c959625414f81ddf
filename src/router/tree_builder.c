#include "router/tree_builder.h"

/* The routes of one exact pattern. */
struct claim {
    uint32_t methods;
    size_t n_params;
    const struct route_config *routes[_METHOD_MAX];
    const struct slice *names[_METHOD_MAX]; /* owned by the builder, one array per route */
    bool implied[_METHOD_MAX];              /* a catch-all that the route did not write */
};

/* Who called a parameter what, first. */
struct naming {
    struct slice name;
    const struct route_config *route;
};

struct branch {
    char *edge;
    size_t edge_size;
    struct branch **children; /* differ in the first byte of their edges */
    size_t n_children;
    struct branch *param;
    struct naming param_name, rest_name;
    struct claim *leaf, *rest;
};

struct tree_builder {
    struct branch *root;
    struct slice **names;
    size_t n_routes;
};

static struct branch *branch_new(const char *edge, size_t size)
{
    struct branch *branch = xcalloc(1, sizeof(*branch));
    branch->edge = xcalloc(size + 1, 1);
    memcpy(branch->edge, edge, size);
    branch->edge_size = size;
    return branch;
}

static struct branch *branch_free(struct branch *branch)
{
    if (!branch)
        return NULL;
    for (size_t i = 0; i < branch->n_children; i++)
        branch_free(branch->children[i]);
    branch_free(branch->param);
    free(branch->children);
    free(branch->leaf);
    free(branch->rest);
    free(branch->edge);
    free(branch);
    return NULL;
}

static void branch_add_child(struct branch *branch, struct branch *child)
{
    branch->children = xrealloc(branch->children, branch->n_children + 1, sizeof(struct branch *));
    branch->children[branch->n_children++] = child;
}

struct tree_builder *tree_builder_new(void)
{
    struct tree_builder *builder = xcalloc(1, sizeof(*builder));
    builder->root = branch_new("", 0);
    return builder;
}

struct tree_builder *tree_builder_free(struct tree_builder *builder)
{
    if (!builder)
        return NULL;
    branch_free(builder->root);
    for (size_t i = 0; i < builder->n_routes; i++)
        free(builder->names[i]);
    free(builder->names);
    free(builder);
    return NULL;
}

/* Cuts the edge of a child after `size` bytes; returns the new branch, which takes the child's place. */
static struct branch *split_edge(struct branch **child, size_t size)
{
    struct branch *lower = *child, *upper = branch_new(lower->edge, size);
    memmove(lower->edge, lower->edge + size, lower->edge_size - size);
    lower->edge_size -= size;
    branch_add_child(upper, lower);
    *child = upper;
    return upper;
}

/* The branch that `text` leads to from `branch`, grown as needed. */
static struct branch *grow_text(struct branch *branch, const char *text, size_t size)
{
    while (size > 0) {
        struct branch **child = NULL;
        for (size_t i = 0; i < branch->n_children && !child; i++)
            if (branch->children[i]->edge[0] == *text)
                child = &branch->children[i];
        if (!child) {
            struct branch *new = branch_new(text, size);
            branch_add_child(branch, new);
            return new;
        }
        size_t same = 0;
        while (same < size && same < (*child)->edge_size && (*child)->edge[same] == text[same])
            same++;
        branch = same < (*child)->edge_size ? split_edge(child, same) : *child;
        text += same;
        size -= same;
    }
    return branch;
}

static void report_conflict(struct config_report *report, const struct route_config *route,
                            const char *format, ...) _printf_(3, 4);
static void report_conflict(struct config_report *report, const struct route_config *route,
                            const char *format, ...)
{
    _cleanup_strbuf_ struct strbuf section = STRBUF_INIT, message = STRBUF_INIT;
    strbuf_addf(&section, "Route %s", route->pattern);
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&message, format, args);
    va_end(args);
    config_report_add(report, true, route->place, strbuf_string(&section), NULL, NULL, NULL, "%s",
                      strbuf_string(&message));
}

static const char *place_file(const struct route_config *route)
{
    return route->place.file ? route->place.file : "(no file)";
}

/* Within one tree a place has one parameter name, whoever asks: so a name in a record or a redirect means the
 * same in every route that passes there. */
static int check_name(struct naming *naming, char sigil, struct slice name, const struct route_config *route,
                      struct config_report *report)
{
    if (!naming->route) {
        *naming = (struct naming){name, route};
        return 0;
    }
    if (slice_eq(naming->name, name))
        return 0;
    report_conflict(
        report, route,
        "calls a parameter \"%c%.*s\" that [Route %s] at %s:%u calls \"%c%.*s\": give both the same name",
        sigil, (int)name.size, name.data, naming->route->pattern, place_file(naming->route),
        naming->route->place.line, sigil, (int)naming->name.size, naming->name.data);
    return -EEXIST;
}

/* Whether a claim of another shape covers the same pattern as written: "/" of a static route and "/" alone.
 */
static int check_claim(const struct claim *claim, bool implied_only, const struct route_config *route,
                       uint32_t methods, struct config_report *report)
{
    if (!claim)
        return 0;
    for (enum method m = 0; m < _METHOD_MAX; m++) {
        if (!(methods & claim->methods & METHOD_BIT(m)) || (implied_only && !claim->implied[m]))
            continue;
        const struct route_config *other = claim->routes[m];
        const char *meaning =
            claim->implied[m] ? " (Static= with a pattern that ends in '/' takes everything beneath)" : "";
        report_conflict(report, route, "takes %s%s requests that [Route %s] at %s:%u takes already%s",
                        m == METHOD_OTHER ? "" : method_to_string(m),
                        m == METHOD_OTHER ? "extension-method" : "", other->pattern, place_file(other),
                        other->place.line, meaning);
        return -EEXIST;
    }
    return 0;
}

static void claim_add(struct tree_builder *builder, struct claim **claim, const struct pattern *pattern,
                      const struct route_config *route, uint32_t methods)
{
    struct slice *names = xcalloc(pattern->n_params, sizeof(*names));
    memcpy(names, pattern->names, pattern->n_params * sizeof(*names));
    builder->names = xrealloc(builder->names, builder->n_routes + 1, sizeof(*builder->names));
    builder->names[builder->n_routes++] = names;

    if (!*claim)
        *claim = xcalloc(1, sizeof(**claim));
    (*claim)->methods |= methods;
    (*claim)->n_params = pattern->n_params;
    for (enum method m = 0; m < _METHOD_MAX; m++)
        if (methods & METHOD_BIT(m)) {
            (*claim)->routes[m] = route;
            (*claim)->implied[m] = pattern->end == PATTERN_END_IMPLIED_REST;
            (*claim)->names[m] = names;
        }
}

int tree_builder_add(struct tree_builder *builder, const struct pattern *pattern,
                     const struct route_config *route, uint32_t methods, struct config_report *report)
{
    struct branch *branch = builder->root;
    const char *text = pattern->text;
    bool has_rest = pattern->end != PATTERN_END_EXACT;
    size_t n_segments = pattern->n_params - (has_rest ? 1 : 0);
    int r;

    for (size_t i = 0; i < n_segments; i++) {
        branch = grow_text(branch, text, pattern->text_sizes[i]);
        text += pattern->text_sizes[i];
        r = check_name(&branch->param_name, ':', pattern->names[i], route, report);
        if (r < 0)
            return r;
        if (!branch->param)
            branch->param = branch_new("", 0);
        branch = branch->param;
    }
    branch = grow_text(branch, text, pattern->text_sizes[n_segments]);

    bool implied = pattern->end == PATTERN_END_IMPLIED_REST;
    r = check_claim(branch->rest, !has_rest, route, methods, report);
    if (r >= 0 && (implied || !has_rest))
        r = check_claim(branch->leaf, false, route, methods, report);
    if (r >= 0 && pattern->end == PATTERN_END_REST)
        r = check_name(&branch->rest_name, '*', pattern->names[n_segments], route, report);
    if (r < 0)
        return r;
    claim_add(builder, has_rest ? &branch->rest : &branch->leaf, pattern, route, methods);
    return 0;
}

/* How much memory a tree needs, and how much of it was given out. */
struct extent {
    size_t nodes, leaf_units, tables, long_edge_bytes;
};

/* The distinct routes of a claim. They differ in names too, so that a route has one entry. */
static size_t claim_entries(const struct claim *claim)
{
    size_t n = 0;
    for (enum method m = 0; m < _METHOD_MAX; m++) {
        bool is_first = claim->routes[m] != NULL;
        for (enum method k = 0; k < m && is_first; k++)
            is_first = claim->routes[k] != claim->routes[m];
        n += is_first;
    }
    return n;
}

static size_t claim_units(const struct claim *claim)
{
    return claim ? 1 + claim_entries(claim) * (1 + claim->n_params) : 0;
}

static void measure(const struct branch *branch, struct extent *extent)
{
    extent->nodes++;
    if (branch->edge_size > TREE_SHORT_EDGE)
        extent->long_edge_bytes += branch->edge_size;
    if (branch->n_children > TREE_INDEX_SIZE)
        extent->tables++;
    extent->leaf_units += claim_units(branch->leaf) + claim_units(branch->rest);
    for (size_t i = 0; i < branch->n_children; i++)
        measure(branch->children[i], extent);
    if (branch->param)
        measure(branch->param, extent);
}

static uint32_t build_leaf(struct tree *tree, struct extent *fill, const struct claim *claim)
{
    if (!claim)
        return 0;
    uint32_t offset = (uint32_t)fill->leaf_units;
    struct tree_leaf *leaf = (struct tree_leaf *)&tree->leaves[offset];
    struct slice *names = &tree->leaves[offset + 1 + claim_entries(claim)];
    fill->leaf_units += claim_units(claim);

    leaf->methods = claim->methods;
    leaf->n_params = (uint8_t)claim->n_params;
    uint8_t n_entries = 0;
    for (enum method m = 0; m < _METHOD_MAX; m++) {
        if (!claim->routes[m])
            continue;
        uint8_t entry = 0;
        while (entry < n_entries && leaf->entries[entry].route != claim->routes[m])
            entry++;
        if (entry == n_entries) {
            leaf->entries[n_entries++] = (struct tree_entry){claim->routes[m], names};
            memcpy(names, claim->names[m], claim->n_params * sizeof(*names));
            names += claim->n_params;
        }
        leaf->entry_of[m] = (uint8_t)(entry + 1);
    }
    if (!leaf->entry_of[METHOD_HEAD] && leaf->entry_of[METHOD_GET]) {
        leaf->entry_of[METHOD_HEAD] = leaf->entry_of[METHOD_GET];
        leaf->methods |= METHOD_BIT(METHOD_HEAD);
    }
    return offset;
}

static void build_edge(struct tree *tree, struct extent *fill, const struct branch *branch,
                       struct tree_node *node)
{
    char *edge = node->short_edge;
    if (branch->edge_size > TREE_SHORT_EDGE) {
        node->long_edge = edge = tree->long_edges + fill->long_edge_bytes;
        fill->long_edge_bytes += branch->edge_size;
    }
    memcpy(edge, branch->edge, branch->edge_size);
    node->edge_size = (uint16_t)branch->edge_size;
}

static void build_index(struct tree *tree, struct extent *fill, const struct branch *branch,
                        struct tree_node *node)
{
    if (branch->n_children <= TREE_INDEX_SIZE) {
        for (size_t i = 0; i < branch->n_children; i++)
            node->index |= (uint64_t)(unsigned char)branch->children[i]->edge[0] << (8 * i);
    } else {
        uint8_t *table = tree->tables[fill->tables++];
        for (size_t i = 0; i < branch->n_children; i++)
            table[(unsigned char)branch->children[i]->edge[0]] = (uint8_t)(i + 1);
        node->table = table;
    }
    node->n_children = (uint8_t)branch->n_children;
}

static void build_node(struct tree *tree, struct extent *fill, const struct branch *branch, size_t at,
                       size_t parent)
{
    struct tree_node *node = &tree->nodes[at];
    node->parent = (uint32_t)parent;
    build_edge(tree, fill, branch, node);
    build_index(tree, fill, branch, node);
    node->leaf = build_leaf(tree, fill, branch->leaf);
    node->rest = build_leaf(tree, fill, branch->rest);

    node->children = (uint32_t)fill->nodes;
    fill->nodes += branch->n_children;
    for (size_t i = 0; i < branch->n_children; i++)
        build_node(tree, fill, branch->children[i], node->children + i, at);
    if (branch->param) {
        node->param = (uint32_t)fill->nodes++;
        tree->nodes[node->param].is_param = true;
        build_node(tree, fill, branch->param, node->param, at);
    }
}

struct tree *tree_builder_finish(const struct tree_builder *builder)
{
    struct extent extent = {.leaf_units = 1};
    measure(builder->root, &extent);

    struct tree *tree = xcalloc(1, sizeof(*tree));
    tree->nodes = aligned_alloc(_Alignof(struct tree_node), extent.nodes * sizeof(*tree->nodes));
    if (!tree->nodes)
        abort();
    memset(tree->nodes, 0, extent.nodes * sizeof(*tree->nodes));
    tree->leaves = xcalloc(extent.leaf_units, sizeof(*tree->leaves));
    tree->long_edges = xcalloc(extent.long_edge_bytes, 1);
    tree->tables = xcalloc(extent.tables, sizeof(*tree->tables));

    struct extent fill = {.nodes = 1, .leaf_units = 1};
    build_node(tree, &fill, builder->root, 0, 0);
    assert(memcmp(&fill, &extent, sizeof(fill)) == 0);
    return tree;
}
