#pragma once
/* An intrusive, circular, doubly linked list. A head and an unlinked node both point at themselves. */

#include "util/macros.h"

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_INIT(name) ((struct list){&(name), &(name)})

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

/* Whether a node is in some list. */
static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}

/* Takes a node out of its list; harmless on an unlinked node. */
static inline void list_unlink(struct list *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
    list_init(node);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each(iter, head) for (struct list *iter = (head)->next; iter != (head); iter = iter->next)
/* The same, where the body may unlink or free the current node. */
#define list_for_each_safe(iter, head)                                          \
    for (struct list *iter = (head)->next, *_next = iter->next; iter != (head); \
         iter = _next, _next = iter->next)
