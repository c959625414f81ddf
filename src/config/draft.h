#pragma once
/* A configuration in the making: the sections as they were written, with the values that are in effect and
 * where each comes from. */

#include "config/config.h"
#include "config/options.h"
#include "config/report.h"

/* An assignment in effect. */
struct setting {
    const struct config_option *option;
    char *value;
    struct config_place place;
};

struct section {
    enum section_kind kind;
    char *name;  /* "" for [Gateway] */
    char *title; /* "Listener http", for messages */
    struct config_place place;
    void *object;  /* struct gateway_config, listener_config … by kind; defaults are filled in */
    bool is_taken; /* the object belongs to the configuration now */
    struct setting *settings;
    size_t n_settings;
};

struct draft {
    struct section **sections; /* in order of appearance */
    size_t n_sections;
    size_t n_of_kind[_SECTION_KIND_MAX];
    void *by_name;                /* tree of the sections that merge: all but routes */
    struct config_report *report; /* borrowed */
};

void draft_init(struct draft *draft, struct config_report *report);
void draft_deinit(struct draft *draft);

/* Reads the text of one file into the draft. `file` is borrowed for as long as the draft and what is made of
 * it. */
void draft_read(struct draft *draft, const char *file, const char *data, size_t size);

/* NULL when there is none. */
struct section *draft_find(const struct draft *draft, enum section_kind kind, const char *name);
/* The next section of a kind at or after *cursor (which starts at 0); NULL at the end. */
struct section *draft_next(const struct draft *draft, enum section_kind kind, size_t *cursor);
/* The assignment in effect, the last one for a list; NULL when the default is. */
const struct setting *section_setting(const struct section *section, const char *key);

/* Passes the object on to the caller; the section goes on pointing at it. */
void *section_take(struct section *section);

/* Reports an error about a setting in effect, or, with NULL, about the section as a whole. */
void section_error(const struct draft *draft, const struct section *section, const struct setting *setting,
                   const char *accepted, const char *format, ...) _printf_(5, 6);
