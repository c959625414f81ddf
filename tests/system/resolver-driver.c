/* Drives src/upstream/resolver.h against a DNS server that a test plays. Commands are read from stdin, all
 * output is JSON in lines:
 *
 *   watch NAME TARGET   begins a watch, which the test calls NAME; the target is written as in the
 * configuration unwatch NAME        ends it free                ends the resolver with all its watches state
 * prints the number of open descriptors
 *
 * Each command is answered by a line with its "done", each callback prints one with "watch". */

#include <dirent.h>
#include <jansson.h>

#include "config/address.h"
#include "upstream/resolver.h"
#include "util/list.h"

struct watch {
    struct list node;
    char *name;
    struct resolver_watch *watch;
};

/* Whole lines, whichever thread writes. */
static void print_line(json_t *object)
{
    _cleanup_free_ char *line = json_dumps(object, JSON_ENSURE_ASCII | JSON_COMPACT);
    flockfile(stdout);
    puts(line);
    fflush(stdout);
    funlockfile(stdout);
    json_decref(object);
}

static void on_answer(void *userdata, const struct resolver_answer *answer)
{
    const struct watch *watch = userdata;
    json_t *addresses = json_array();

    for (size_t i = 0; i < answer->n; i++) {
        const struct resolver_address *item = &answer->addresses[i];
        struct address_config again = {0};
        if (address_parse(item->address.text, false, &again) || !address_eq(&item->address, &again))
            WRONG("an address is not what its text says");
        free(again.text);
        json_array_append_new(addresses, json_pack("[s, i]", item->address.text, (int)item->weight));
    }
    print_line(json_pack("{s:s, s:o, s:f, s:s?}", "watch", watch->name, "addresses", addresses, "ttl",
                         (double)answer->ttl / (double)USEC_PER_SEC, "error", answer->error));
}

static size_t count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 3; /* ".", ".." and the folder itself */
}

static _noreturn_ void usage(const char *what)
{
    fprintf(stderr, "resolver-driver: cannot make sense of \"%s\"\n", what);
    exit(2);
}

static void begin(struct resolver *resolver, struct list *watches, const char *name, char *text)
{
    struct target_config target = {.address.text = text};
    struct address_config address = {0};

    target.is_service = strncmp(text, "srv:", 4) == 0;
    if (!target.is_service) {
        if (address_parse(text, true, &address) || address.size > 0)
            usage(text);
        free(address.text);
    }
    struct watch *watch = xcalloc(1, sizeof(*watch));
    watch->name = xstrdup(name);
    list_append(watches, &watch->node);
    watch->watch = resolver_watch(resolver, &target, on_answer, watch);
}

static void forget(struct watch *watch)
{
    list_unlink(&watch->node);
    free(watch->name);
    free(watch);
}

static void end(struct list *watches, const char *name)
{
    list_for_each_safe (node, watches) {
        struct watch *watch = list_entry(node, struct watch, node);
        if (streq(watch->name, name)) {
            watch->watch = resolver_unwatch(watch->watch);
            forget(watch);
            return;
        }
    }
    usage(name);
}

static void forget_all(struct list *watches)
{
    list_for_each_safe (node, watches)
        forget(list_entry(node, struct watch, node));
}

int main(void)
{
    struct resolver *resolver;
    struct list watches = LIST_INIT(watches);
    char line[4096];

    const size_t n_before = count_descriptors();
    if (resolver_new(&resolver) < 0)
        return 1;
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        char *words = line, *verb = strsep(&words, " "), *name = strsep(&words, " ");

        if (streq(verb, "watch") && name && words && resolver) {
            begin(resolver, &watches, name, words);
        } else if (streq(verb, "unwatch") && name) {
            end(&watches, name);
        } else if (streq(verb, "free")) {
            resolver = resolver_free(resolver);
            forget_all(&watches);
        } else if (!streq(verb, "state")) {
            usage(verb);
        }
        print_line(
            json_pack("{s:s, s:i}", "done", verb, "descriptors", (int)(count_descriptors() - n_before)));
    }
    resolver_free(resolver);
    forget_all(&watches);
    return 0;
}
