#include "config/draft.h"

#include <search.h>

#include "config/ini.h"
#include "config/values.h"
#include "util/suggest.h"

static const struct {
    size_t object_size;
    size_t max; /* sections of this kind */
    const char *plural;
} kinds[_SECTION_KIND_MAX] = {
    [SECTION_GATEWAY] = {sizeof(struct gateway_config), 1, "gateways"},
    [SECTION_LISTENER] = {sizeof(struct listener_config), 1024, "listeners"},
    [SECTION_UPSTREAM] = {sizeof(struct upstream_config), 10000, "upstreams"},
    [SECTION_ROUTE] = {sizeof(struct route_config), 100000, "routes"},
    [SECTION_CHECK] = {sizeof(struct check_config), 256, "checks"},
};

/* Values in effect within one section. */
#define SECTION_SETTINGS_MAX 4096u

#define SECTIONS_ACCEPTED "[Gateway], [Listener NAME], [Upstream NAME], [Route PATTERN], [Check NAME]"

static int compare_sections(const void *a, const void *b)
{
    const struct section *x = a, *y = b;
    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : strcmp(x->name, y->name);
}

static void keep(void *node)
{
}

void draft_deinit(struct draft *draft)
{
    tdestroy(draft->by_name, keep); /* the sections are in the list too */
    for (size_t i = 0; i < draft->n_sections; i++) {
        struct section *section = draft->sections[i];
        assert(section->is_taken ||
               !section->object); /* whoever makes a configuration of the draft takes all of them */
        for (size_t j = 0; j < section->n_settings; j++)
            free(section->settings[j].value);
        free(section->settings);
        free(section->title);
        free(section->name);
        free(section);
    }
    free(draft->sections);
    *draft = (struct draft){0};
}

struct section *draft_find(const struct draft *draft, enum section_kind kind, const char *name)
{
    const struct section wanted = {.kind = kind, .name = (char *)name};
    void *node = tfind(&wanted, &draft->by_name, compare_sections);
    return node ? *(struct section **)node : NULL;
}

struct section *draft_next(const struct draft *draft, enum section_kind kind, size_t *cursor)
{
    while (*cursor < draft->n_sections) {
        struct section *section = draft->sections[(*cursor)++];
        if (section->kind == kind)
            return section;
    }
    return NULL;
}

const struct setting *section_setting(const struct section *section, const char *key)
{
    for (size_t i = section->n_settings; i > 0; i--)
        if (streq(section->settings[i - 1].option->key, key))
            return &section->settings[i - 1];
    return NULL;
}

void *section_take(struct section *section)
{
    assert(!section->is_taken);
    section->is_taken = true;
    return section->object;
}

void section_error(const struct draft *draft, const struct section *section, const struct setting *setting,
                   const char *accepted, const char *format, ...)
{
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    va_list args;

    va_start(args, format);
    strbuf_vaddf(&message, format, args);
    va_end(args);
    config_report_add(draft->report, true, setting ? setting->place : section->place, section->title,
                      setting ? setting->option->key : NULL, setting ? setting->value : NULL, accepted, "%s",
                      strbuf_string(&message));
}

/* Settings */

static void forget_settings(struct section *section, const struct config_option *option)
{
    size_t kept = 0;

    for (size_t i = 0; i < section->n_settings; i++) {
        if (section->settings[i].option == option)
            free(section->settings[i].value);
        else
            section->settings[kept++] = section->settings[i];
    }
    section->n_settings = kept;
}

static void *member_of(const struct section *section, const struct config_option *option)
{
    return (char *)section->object + option->offset;
}

/* Gives an option its default, by the text that the manual shows. */
static void apply_default(struct section *section, const struct config_option *option)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    void *member = member_of(section, option);

    if (option->type->reset)
        option->type->reset(member);
    if (!option->fallback || (option->flags & OPTION_DERIVED))
        return;
    if (!option->type->parse(option, option->fallback, member, &error))
        WRONG("an option does not accept its own default");
}

static void apply_defaults(struct section *section)
{
    size_t n;
    const struct config_option *options = config_options(&n);

    for (size_t i = 0; i < n; i++)
        if (options[i].section == section->kind)
            apply_default(section, &options[i]);
}

static void apply(struct draft *draft, struct section *section, const struct config_option *option,
                  const char *value, struct config_place place)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    bool is_list = option->flags & OPTION_LIST;

    if (section->n_settings == SECTION_SETTINGS_MAX) {
        config_report_add(draft->report, true, place, section->title, option->key, value, NULL,
                          "the section has more than %u values", SECTION_SETTINGS_MAX);
        return;
    }
    if (*value == '\0') {
        forget_settings(section, option);
        apply_default(section, option);
        return;
    }
    /* The first of a list takes the place of the default, the others add to it. */
    if (is_list && option->type->reset && !section_setting(section, option->key))
        option->type->reset(member_of(section, option));
    if (!option->type->parse(option, value, member_of(section, option), &error))
        config_report_add(draft->report, true, place, section->title, option->key, value, option->accepted,
                          "%s", error.size > 0 ? strbuf_string(&error) : "not a valid value");

    /* A bad value is remembered too: that it was meant to be there keeps later checks from complaining that
     * it is missing. */
    if (!is_list)
        forget_settings(section, option);
    section->settings = xrealloc(section->settings, section->n_settings + 1, sizeof(*section->settings));
    section->settings[section->n_settings++] = (struct setting){option, xstrdup(value), place};

    /* Targets are named by their places later on. */
    if (section->kind == SECTION_UPSTREAM && is_list) {
        struct upstream_config *upstream = section->object;
        if (upstream->n_targets > 0 && !upstream->targets[upstream->n_targets - 1].place.file)
            upstream->targets[upstream->n_targets - 1].place = place;
    }
}

static void report_unknown_key(struct draft *draft, const struct section *section, const char *key,
                               const char *value, struct config_place place)
{
    _cleanup_strbuf_ struct strbuf accepted = STRBUF_INIT, message = STRBUF_INIT;
    struct suggestion suggestion;
    const struct config_option *elsewhere = NULL;
    size_t n;
    const struct config_option *options = config_options(&n);

    suggest_init(&suggestion, key);
    for (size_t i = 0; i < n; i++) {
        if (options[i].section == section->kind) {
            strbuf_addf(&accepted, "%s%s=", accepted.size > 0 ? ", " : "", options[i].key);
            suggest_consider(&suggestion, options[i].key);
        } else if (streq(options[i].key, key)) {
            elsewhere = &options[i];
        }
    }
    if (elsewhere)
        strbuf_addf(&message, "an option of [%s], not of [%s]", section_kind_to_string(elsewhere->section),
                    section_kind_to_string(section->kind));
    else if (suggestion.best)
        strbuf_addf(&message, "unknown option, is %s= meant?", suggestion.best);
    else
        strbuf_add_string(&message, "unknown option");
    config_report_add(draft->report, true, place, section->title, key, value, strbuf_string(&accepted), "%s",
                      strbuf_string(&message));
}

/* Sections */

static struct section *add_section(struct draft *draft, enum section_kind kind, const char *name,
                                   const char *title, struct config_place place)
{
    if (draft->n_of_kind[kind] > kinds[kind].max)
        return NULL;
    if (draft->n_of_kind[kind] == kinds[kind].max) {
        draft->n_of_kind[kind]++; /* it is enough to say so once */
        config_report_add(draft->report, true, place, title, NULL, NULL, NULL, "there are more than %zu %s",
                          kinds[kind].max, kinds[kind].plural);
        return NULL;
    }
    struct section *section = xcalloc(1, sizeof(*section));
    section->kind = kind;
    section->name = xstrdup(name);
    section->title = xstrdup(title);
    section->place = place;
    section->object = xcalloc(1, kinds[kind].object_size);
    apply_defaults(section);

    if ((draft->n_sections & (draft->n_sections - 1)) == 0)
        draft->sections =
            xrealloc(draft->sections, MAX(draft->n_sections * 2, (size_t)1), sizeof(struct section *));
    draft->sections[draft->n_sections++] = section;
    draft->n_of_kind[kind]++;
    if (kind != SECTION_ROUTE && !tsearch(section, &draft->by_name, compare_sections))
        abort();
    return section;
}

void draft_init(struct draft *draft, struct config_report *report)
{
    *draft = (struct draft){.report = report};
    /* There always is a gateway: what it does not say is the default. */
    add_section(draft, SECTION_GATEWAY, "", "Gateway", (struct config_place){0});
}

static void report_unknown_section(struct draft *draft, const char *title, const char *word,
                                   struct config_place place)
{
    struct suggestion suggestion;

    suggest_init(&suggestion, word);
    for (enum section_kind kind = 0; kind < _SECTION_KIND_MAX; kind++)
        suggest_consider(&suggestion, section_kind_to_string(kind));
    if (suggestion.best)
        config_report_add(draft->report, true, place, title, NULL, NULL, SECTIONS_ACCEPTED,
                          "unknown section, is [%s%s] meant?", suggestion.best,
                          streq(suggestion.best, "Gateway") ? "" : " …");
    else
        config_report_add(draft->report, true, place, title, NULL, NULL, SECTIONS_ACCEPTED,
                          "unknown section");
}

/* What a section header stands for: a new section, or one that was there already. NULL when it was refused,
 * and what follows it is skipped. */
static struct section *open_section(struct draft *draft, const char *title, struct config_place place)
{
    size_t word_size = strcspn(title, " \t");
    _cleanup_free_ char *word = xstrndup(title, word_size);
    const char *name = title + word_size + strspn(title + word_size, " \t");
    enum section_kind kind = section_kind_from_string(word);

    if (kind == _SECTION_KIND_MAX) {
        report_unknown_section(draft, title, word, place);
        return NULL;
    }
    if (kind == SECTION_GATEWAY && *name != '\0') {
        config_report_add(draft->report, true, place, title, NULL, NULL, "[Gateway]",
                          "this section has no name");
        return NULL;
    }
    if (kind == SECTION_ROUTE && *name == '\0') {
        config_report_add(draft->report, true, place, title, NULL, NULL, "[Route /path] or [Route host/path]",
                          "the pattern is missing");
        return NULL;
    }
    if (kind != SECTION_GATEWAY && kind != SECTION_ROUTE && !section_name_is_valid(name)) {
        config_report_add(draft->report, true, place, title, NULL, NULL, SECTION_NAME_ACCEPTED, "%s",
                          *name == '\0' ? "the name is missing" : "not a name");
        return NULL;
    }
    /* Every [Route …] is a route of its own, so that one pattern can go different ways by method. */
    struct section *section = kind == SECTION_ROUTE ? NULL : draft_find(draft, kind, name);
    if (!section)
        return add_section(draft, kind, name, title, place);
    if (!section->place.file)
        section->place = place;
    return section;
}

void draft_read(struct draft *draft, const char *file, const char *data, size_t size)
{
    _cleanup_free_ struct ini *ini = xcalloc(1, sizeof(*ini));
    struct section *section = NULL;
    bool skip = false; /* the header above was refused and reported, what belongs to it goes with it */

    ini_init(ini, data, size);
    for (;;) {
        struct ini_item item;
        ini_next(ini, &item);
        struct config_place place = {file, item.line};
        const struct config_option *option;

        switch (item.kind) {
        case INI_END:
            return;
        case INI_SECTION:
            section = open_section(draft, item.section, place);
            skip = !section;
            break;
        case INI_ASSIGNMENT:
            if (skip)
                break;
            if (!section) {
                config_report_add(draft->report, true, place, NULL, item.key, item.value, SECTIONS_ACCEPTED,
                                  "this stands before the first section");
                break;
            }
            option = config_option_find(section->kind, item.key);
            if (option)
                apply(draft, section, option, item.value, place);
            else
                report_unknown_key(draft, section, item.key, item.value, place);
            break;
        case INI_MALFORMED:
            config_report_add(draft->report, true, place, section ? section->title : NULL, NULL, item.value,
                              NULL, "%s", item.problem);
            if (item.is_header) {
                section = NULL;
                skip = true;
            }
            break;
        default:
            WRONG("what was read");
        }
    }
}
