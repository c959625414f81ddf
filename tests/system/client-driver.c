/* Drives src/upstream/client.h against servers that a test plays.
 *
 *   client-driver [NAME=VALUE…] ADDRESS
 *
 * The address is written as in the configuration. Options set the upstream's: connect_ms, first_byte_ms,
 * between_ms, idle_ms, pool_size. Commands are read from stdin and answered by JSON, both in lines:
 *
 *   get [WORD…]   runs exchanges to their end and prints a line for each
 *   turn MS       turns the loop until the number of idle connections changes, at most MS
 *   drain         closes the idle connections
 *   state         prints idle, active, and the number of open descriptors
 *
 * Words of get:
 *
 *   head, upgrade, fresh   as in struct client_request
 *   body=N                 a POST of N bytes
 *   first_byte_ms=N        a timeout of its own
 *   count=N                so many at once
 *   chain                  count=N one after the other, each started from on_done
 *   hold_ms=N              keeps each piece of the body, or a 101, so long
 *   block_ms=N             the loop stands still after the start
 *   cancel=WHERE           in informational, head or body; held: while it holds a piece of the body;
 *                          start: after one turn of the loop */

#include <dirent.h>
#include <jansson.h>

#include "config/address.h"
#include "upstream/client.h"
#include "upstream/h2o.h"
#include "util/strbuf.h"

enum cancel_at {
    CANCEL_NEVER,
    CANCEL_START,
    CANCEL_INFORMATIONAL,
    CANCEL_HEAD,
    CANCEL_BODY,
    CANCEL_HELD,
};

struct command {
    bool head, upgrade, fresh, chain;
    uint64_t body, count, hold_ms, block_ms, first_byte_ms;
    enum cancel_at cancel;
};

struct driver {
    h2o_evloop_t *loop;
    struct client_context *context;
    struct client_pool *pool;
    struct upstream_config upstream;
    struct target_config target;
    h2o_timeout_t hold;
    int idle_seen; /* what on_pool_change adds up to */
    uint64_t started, running;
    struct command command;
};

struct exchange {
    struct driver *driver;
    struct client *client;
    h2o_timeout_entry_t hold;
    struct strbuf request, request_body, body;
    json_t *informational;
    int status;
    uint64_t pieces, content_length;
    bool has_body, final, starting;
};

static const char *const error_names[_CLIENT_ERROR_MAX] = {
    [CLIENT_OK] = "ok",
    [CLIENT_CONNECT_FAILED] = "connect_failed",
    [CLIENT_CONNECT_TIMEOUT] = "connect_timeout",
    [CLIENT_SEND_FAILED] = "send_failed",
    [CLIENT_CLOSED_EARLY] = "closed_early",
    [CLIENT_BAD_RESPONSE] = "bad_response",
    [CLIENT_FIRST_BYTE_TIMEOUT] = "first_byte_timeout",
    [CLIENT_BETWEEN_BYTES_TIMEOUT] = "between_bytes_timeout",
    [CLIENT_TRUNCATED] = "truncated",
};

static void start_exchange(struct driver *driver);

static void print_line(json_t *object)
{
    json_dumpf(object, stdout, JSON_ENSURE_ASCII | JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
}

/* Bytes as text: those that are not ASCII come out as the code points of the same number. */
static json_t *json_bytes(struct slice s)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c < 0x80) {
            strbuf_add_char(&text, (char)c);
        } else {
            strbuf_add_char(&text, (char)(0xc0 | c >> 6));
            strbuf_add_char(&text, (char)(0x80 | (c & 0x3f)));
        }
    }
    return json_stringn_nocheck(strbuf_string(&text), text.size);
}

static void end_exchange(struct exchange *x, const char *error, const struct client_outcome *outcome)
{
    struct driver *driver = x->driver;
    json_t *line = json_object();

    json_object_set_new(line, "error", json_string(error));
    if (outcome) {
        json_object_set_new(line, "os_error",
                            outcome->os_error ? json_string(strerrorname_np(outcome->os_error))
                                              : json_null());
        json_object_set_new(line, "detail", outcome->detail ? json_string(outcome->detail) : json_null());
        json_object_set_new(line, "sent", json_boolean(outcome->sent));
        json_object_set_new(line, "reused", json_boolean(outcome->reused));
        json_object_set_new(line, "response_began", json_boolean(outcome->response_began));
        json_object_set_new(line, "ms", json_integer((json_int_t)(outcome->duration / USEC_PER_MSEC)));
    }
    json_object_set_new(line, "status", json_integer(x->status));
    json_object_set_new(line, "has_body", json_boolean(x->has_body));
    json_object_set_new(line, "content_length",
                        x->content_length == UINT64_MAX ? json_null()
                                                        : json_integer((json_int_t)x->content_length));
    json_object_set_new(line, "informational", x->informational);
    json_object_set_new(line, "body_size", json_integer((json_int_t)x->body.size));
    if (x->body.size <= 65536)
        json_object_set_new(line, "body", json_bytes(slice_make(strbuf_string(&x->body), x->body.size)));
    json_object_set_new(line, "pieces", json_integer((json_int_t)x->pieces));
    json_object_set_new(line, "final", json_boolean(x->final));
    print_line(line);

    h2o_timeout_unlink(&x->hold);
    strbuf_deinit(&x->request);
    strbuf_deinit(&x->request_body);
    strbuf_deinit(&x->body);
    free(x);
    driver->running--;
    if (driver->command.chain && driver->started < driver->command.count)
        start_exchange(driver);
}

static bool cancelled(struct exchange *x, enum cancel_at where)
{
    if (x->driver->command.cancel != where)
        return false;
    client_cancel(x->client);
    end_exchange(x, "cancelled", NULL);
    return true;
}

static void on_informational(void *userdata, const struct client_response *response)
{
    struct exchange *x = userdata;
    assert(!x->starting);
    json_array_append_new(x->informational, json_integer(response->status));
    (void)cancelled(x, CANCEL_INFORMATIONAL);
}

static void steal(struct exchange *x)
{
    h2o_socket_t *socket = client_steal(x->client);

    strbuf_add(&x->body, socket->input->bytes, socket->input->size);
    h2o_socket_close(socket);
    end_exchange(x, "stolen", NULL);
}

static void hold(struct exchange *x)
{
    h2o_timeout_link(x->driver->loop, &x->driver->hold, &x->hold);
}

static void on_head(void *userdata, const struct client_response *response)
{
    struct exchange *x = userdata;

    assert(!x->starting && x->status == 0);
    x->status = response->status;
    x->has_body = response->has_body;
    x->content_length = response->content_length;
    if (cancelled(x, CANCEL_HEAD))
        return;
    if (response->status == 101 && x->driver->command.hold_ms > 0)
        hold(x);
    else if (response->status == 101)
        steal(x);
}

static void on_hold_end(h2o_timeout_entry_t *entry)
{
    struct exchange *x = container_of(entry, struct exchange, hold);
    if (cancelled(x, CANCEL_HELD))
        return;
    if (x->status == 101)
        steal(x);
    else
        client_continue(x->client);
}

static void on_body(void *userdata, struct slice data, bool final)
{
    struct exchange *x = userdata;

    assert(!x->starting && x->has_body && !x->final && (data.size > 0 || final));
    strbuf_add_slice(&x->body, data);
    x->pieces++;
    x->final = final;
    if (cancelled(x, CANCEL_BODY))
        return;
    if (x->driver->command.hold_ms > 0)
        hold(x);
    else
        client_continue(x->client);
}

static void on_done(void *userdata, const struct client_outcome *outcome)
{
    struct exchange *x = userdata;
    assert(!x->starting && !h2o_timeout_is_linked(&x->hold));
    end_exchange(x, error_names[outcome->error], outcome);
}

static void start_exchange(struct driver *driver)
{
    static const struct client_callbacks callbacks = {on_informational, on_head, on_body, on_done};
    const struct command *command = &driver->command;
    struct exchange *x = xcalloc(1, sizeof(*x));

    x->driver = driver;
    x->hold.cb = on_hold_end;
    x->informational = json_array();
    strbuf_addf(&x->request, "%s / HTTP/1.1\r\nHost: test\r\n",
                command->head       ? "HEAD"
                : command->body > 0 ? "POST"
                                    : "GET");
    if (command->upgrade)
        strbuf_add_string(&x->request, "Connection: upgrade\r\nUpgrade: test\r\n");
    if (command->body > 0) {
        strbuf_addf(&x->request, "Content-Length: %llu\r\n", (unsigned long long)command->body);
        memset(strbuf_reserve(&x->request_body, command->body), 'x', command->body);
        x->request_body.size = command->body;
    }
    strbuf_add_string(&x->request, "\r\n");

    const struct client_request request = {
        .head = {x->request.data, x->request.size},
        .body = {x->request_body.data, x->request_body.size},
        .is_head = command->head,
        .is_upgrade = command->upgrade,
        .fresh = command->fresh,
        .first_byte_timeout = command->first_byte_ms * USEC_PER_MSEC,
    };
    driver->started++;
    driver->running++;
    x->starting = true;
    x->client = client_start(driver->pool, &request, &callbacks, x);
    x->starting = false;
    if (command->cancel == CANCEL_START) {
        h2o_evloop_run(driver->loop, 0);
        (void)cancelled(x, CANCEL_START);
    }
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

static bool parse_number(const char *word, const char *name, uint64_t *ret)
{
    size_t size = strlen(name);
    if (strncmp(word, name, size) != 0 || word[size] != '=')
        return false;
    *ret = strtoull(word + size + 1, NULL, 10);
    return true;
}

static _noreturn_ void usage(const char *what)
{
    fprintf(stderr, "client-driver: cannot make sense of \"%s\"\n", what);
    exit(2);
}

static void run_get(struct driver *driver, char *words)
{
    static const char *const places[] = {"", "start", "informational", "head", "body", "held"};
    struct command *command = &driver->command;

    *command = (struct command){.count = 1};
    for (char *word; (word = strsep(&words, " "));) {
        if (streq(word, "head"))
            command->head = true;
        else if (streq(word, "upgrade"))
            command->upgrade = true;
        else if (streq(word, "fresh"))
            command->fresh = true;
        else if (streq(word, "chain"))
            command->chain = true;
        else if (strncmp(word, "cancel=", 7) == 0)
            for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
                command->cancel = streq(places[i], word + 7) ? i : command->cancel;
        else if (!parse_number(word, "body", &command->body) &&
                 !parse_number(word, "count", &command->count) &&
                 !parse_number(word, "hold_ms", &command->hold_ms) &&
                 !parse_number(word, "block_ms", &command->block_ms) &&
                 !parse_number(word, "first_byte_ms", &command->first_byte_ms))
            usage(word);
    }

    driver->started = 0;
    h2o_timeout_init(driver->loop, &driver->hold, command->hold_ms);
    do
        start_exchange(driver);
    while (!command->chain && driver->started < command->count);
    usleep((useconds_t)command->block_ms * 1000);
    while (driver->running > 0)
        h2o_evloop_run(driver->loop, 1000);
    h2o_timeout_dispose(driver->loop, &driver->hold);
}

static void run_command(struct driver *driver, char *line)
{
    char *words = line, *verb = strsep(&words, " ");

    if (streq(verb, "get")) {
        run_get(driver, words);
        return;
    }
    if (streq(verb, "turn")) {
        usec_t until = now_monotonic() + strtoull(words ? words : "0", NULL, 10) * USEC_PER_MSEC, now;
        size_t before = client_pool_idle(driver->pool);
        while (client_pool_idle(driver->pool) == before && (now = now_monotonic()) < until)
            h2o_evloop_run(driver->loop, (int)((until - now) / USEC_PER_MSEC) + 1);
    } else if (streq(verb, "drain")) {
        client_pool_drain(driver->pool);
    } else if (!streq(verb, "state")) {
        usage(verb);
    }
    if (driver->idle_seen != (int)client_pool_idle(driver->pool))
        WRONG("on_pool_change and client_pool_idle() disagree");
    print_line(json_pack("{s:i, s:i, s:i}", "idle", (int)client_pool_idle(driver->pool), "active",
                         (int)client_pool_active(driver->pool), "descriptors", (int)count_descriptors()));
}

static void on_pool_change(void *userdata, int change)
{
    struct driver *driver = userdata;
    driver->idle_seen += change;
}

int main(int argc, char *argv[])
{
    uint64_t connect_ms = 2000, first_byte_ms = 2000, between_ms = 2000, idle_ms = 60000, pool_size = 8;
    struct driver driver = {0};
    char line[4096];

    for (int i = 1; i < argc - 1; i++)
        if (!parse_number(argv[i], "connect_ms", &connect_ms) &&
            !parse_number(argv[i], "first_byte_ms", &first_byte_ms) &&
            !parse_number(argv[i], "between_ms", &between_ms) &&
            !parse_number(argv[i], "idle_ms", &idle_ms) && !parse_number(argv[i], "pool_size", &pool_size))
            usage(argv[i]);
    if (argc < 2)
        usage("");
    driver.upstream.connect_timeout = connect_ms * USEC_PER_MSEC;
    driver.upstream.first_byte_timeout = first_byte_ms * USEC_PER_MSEC;
    driver.upstream.between_bytes_timeout = between_ms * USEC_PER_MSEC;
    driver.upstream.pool_idle_timeout = idle_ms * USEC_PER_MSEC;
    driver.upstream.pool_size = (unsigned)pool_size;
    const char *wrong = address_parse(argv[argc - 1], false, &driver.target.address);
    if (wrong)
        usage(wrong);

    driver.loop = h2o_evloop_create();
    if (client_context_new(&driver.context, driver.loop) < 0)
        return 1;
    driver.pool =
        client_pool_new(driver.context, &driver.upstream, &driver.target, on_pool_change, NULL, &driver);

    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        run_command(&driver, line);
    }
    client_pool_free(driver.pool);
    client_context_free(driver.context);
    h2o_evloop_run(driver.loop, 0); /* frees the sockets that were closed */
    h2o_evloop_destroy(driver.loop);
    free(driver.target.address.text);
    return 0;
}
