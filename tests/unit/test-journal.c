#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "journal/entry.h"
#include "journal/fields.h"
#include "journal/queue.h"
#include "journal/text.h"

/* A pipe in the place of stderr: what is written there can be read back, and can be made to stand still. */
struct captured_stderr {
    int saved;
    int pipe;
};

static struct captured_stderr capture_stderr(void)
{
    int ends[2];
    assert_return_code(pipe2(ends, O_CLOEXEC), errno);
    const struct captured_stderr c = {.saved = dup(STDERR_FILENO), .pipe = ends[0]};
    assert_return_code(dup2(ends[1], STDERR_FILENO), errno);
    close(ends[1]);
    return c;
}

static void restore_stderr(struct captured_stderr *c)
{
    if (c->saved >= 0)
        dup2(c->saved, STDERR_FILENO);
    close_and_forget(&c->saved);
}

/* Everything that was written until the last writer was gone; the caller frees it. */
static char *read_captured(struct captured_stderr *c)
{
    struct strbuf all = STRBUF_INIT;
    restore_stderr(c);
    for (;;) {
        char chunk[4096];
        const ssize_t n = read(c->pipe, chunk, sizeof(chunk));
        assert_true(n >= 0);
        if (n == 0)
            break;
        strbuf_add(&all, chunk, (size_t)n);
    }
    close(c->pipe);
    return strbuf_steal(&all);
}

static void test_events(void **state)
{
    for (int i = 0; i < _EVENT_MAX; i++) {
        const char *id = journal_event_id(i);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
        assert_true(strlen(journal_event_name(i)) > 0);
        assert_in_range(journal_event_priority(i), LOG_EMERG, LOG_DEBUG);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(id, journal_event_id(j));
            assert_string_not_equal(journal_event_name(i), journal_event_name(j));
        }
    }
    assert_string_equal(journal_event_name(EVENT_READY), "ready");
    assert_int_equal(journal_event_priority(EVENT_CONFIG_ERROR), LOG_ERR);
}

static void test_record_fields(void **state)
{
    struct journal_record record;
    journal_begin(&record, EVENT_REQUEST_CUT);
    assert_int_equal(record.priority, LOG_WARNING);
    journal_add_string(&record, FIELD_ROUTE, "/api/*rest");
    journal_add_u64(&record, FIELD_AGE_USEC, UINT64_MAX);
    journal_add(&record, FIELD_PATH, slice_make(NULL, 0));
    assert_int_equal(record.n_fields, 3);
    assert_memory_equal(record.data, "HOLDFAST_ROUTE=/api/*rest", record.fields[0].size);
    assert_memory_equal(record.data + record.fields[1].offset, "HOLDFAST_AGE_USEC=18446744073709551615",
                        record.fields[1].size);
    assert_int_equal(record.fields[2].size, strlen("HOLDFAST_PATH="));
}

static void test_record_truncation(void **state)
{
    static char big[JOURNAL_RECORD_SIZE * 40];
    memset(big, 'x', sizeof(big));
    struct journal_record record;
    journal_begin(&record, EVENT_ACCESS);
    journal_add_string(&record, FIELD_ROUTE, "/");
    journal_add(&record, FIELD_PATH, slice_make(big, sizeof(big)));
    journal_add(&record, FIELD_PATH, slice_make(big, JOURNAL_RECORD_SIZE));
    assert_int_equal(record.n_fields, 1);
    assert_int_equal(record.n_omitted, 2);

    /* What comes after the field that did not fit is still there, down to the last byte of room. */
    const size_t room = JOURNAL_RECORD_SIZE - record.size - strlen("HOLDFAST_HOST=");
    journal_add(&record, FIELD_HOST, slice_make(big, room + 1));
    assert_int_equal(record.n_omitted, 3);
    journal_add(&record, FIELD_HOST, slice_make(big, room));
    assert_int_equal(record.n_omitted, 3);
    assert_int_equal(record.size, JOURNAL_RECORD_SIZE);

    journal_begin(&record, EVENT_ACCESS);
    for (int i = 0; i < JOURNAL_RECORD_FIELDS + 2; i++)
        journal_add_u64(&record, FIELD_STATUS, 200);
    assert_int_equal(record.n_fields, JOURNAL_RECORD_FIELDS);
    assert_int_equal(record.n_omitted, 2);
}

static void assert_escaped(struct slice text, size_t capacity, const char *expected)
{
    char out[64];
    memset(out, '#', sizeof(out));
    assert_true(capacity < sizeof(out));
    assert_int_equal(text_escape(text, out, capacity), strlen(expected));
    assert_string_equal(out, expected);
    assert_int_equal(out[capacity], '#');
}

static void test_escape(void **state)
{
    assert_escaped(SLICE_LITERAL("plain ü €"), 60, "plain ü €");
    assert_escaped(SLICE_LITERAL("a\nb\tc\033[2J\177"), 60, "a\\x0ab\\x09c\\x1b[2J\\x7f");
    assert_escaped(SLICE_LITERAL("a\0b"), 60, "a\\x00b");
    /* Overlong, surrogate, beyond Unicode, cut short, lone continuation. */
    assert_escaped(SLICE_LITERAL("\xc0\xaf"), 60, "\\xc0\\xaf");
    assert_escaped(SLICE_LITERAL("\xed\xa0\x80"), 60, "\\xed\\xa0\\x80");
    assert_escaped(SLICE_LITERAL("\xf4\x90\x80\x80"), 60, "\\xf4\\x90\\x80\\x80");
    assert_escaped(SLICE_LITERAL("\xe2\x82"), 60, "\\xe2\\x82");
    assert_escaped(SLICE_LITERAL("\x80z"), 60, "\\x80z");
    /* C1 control (CSI), right-to-left override. */
    assert_escaped(SLICE_LITERAL("\xc2\x9b"
                                 "2J"),
                   60, "\\xc2\\x9b2J");
    assert_escaped(SLICE_LITERAL("\xe2\x80\xae"), 60, "\\xe2\\x80\\xae");
    /* Exactly full, and one too many. */
    assert_escaped(SLICE_LITERAL("1234567"), 8, "1234567");
    assert_escaped(SLICE_LITERAL("12345678"), 8, "1234…");
    assert_escaped(SLICE_LITERAL("123\n5678"), 10, "123…");
    assert_escaped(SLICE_LITERAL("123üüüüü"), 10, "123ü…");
}

static void assert_value(const char *value, const char *expected)
{
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    text_add_value(&out, slice_of(value));
    assert_string_equal(strbuf_string(&out), expected);
}

static void test_values(void **state)
{
    assert_value("/api/*rest", "/api/*rest");
    assert_value("", "\"\"");
    assert_value("two words", "\"two words\"");
    assert_value("x route=/admin", "\"x route=/admin\"");
    assert_value("a\"b\\", "\"a\\\"b\\\\\"");
    assert_value("a)\nerror: forged", "\"a)\\x0aerror: forged\"");
    assert_value("grün", "\"grün\"");
}

/* Any sequence of sizes comes out as it went in, whatever wraps where. */
static void test_queue(void **state)
{
    struct queue queue;
    queue_init(&queue, 1000);
    assert_null(queue_front(&queue));
    assert_null(queue_push(&queue, 5000, SIZE_MAX));
    assert_null(queue_push(&queue, SIZE_MAX, SIZE_MAX));
    assert_null(queue_push(&queue, 100, 50));

    unsigned pushed = 0, popped = 0, refused = 0;
    uint32_t random = 12345;
    while (popped < 20000) {
        random = random * 1664525 + 1013904223;
        const size_t size = random >> 24;
        unsigned char *entry = queue_push(&queue, size + sizeof(unsigned), SIZE_MAX);
        if (entry) {
            assert_int_equal((uintptr_t)entry % _Alignof(max_align_t), 0);
            memcpy(entry, &pushed, sizeof(pushed));
            memset(entry + sizeof(pushed), (int)(pushed & 0xff), size);
            pushed++;
        } else {
            refused++;
        }
        if (!entry || (random >> 8 & 3) == 0) {
            const unsigned char *front = queue_front(&queue);
            assert_non_null(front);
            unsigned number;
            memcpy(&number, front, sizeof(number));
            assert_int_equal(number, popped);
            queue_pop(&queue);
            popped++;
        }
        assert_int_equal(queue.n_entries, pushed - popped);
        assert_true(queue.used <= queue.capacity);
    }
    assert_true(refused > 0);
    while (!queue_is_empty(&queue))
        queue_pop(&queue);
    assert_int_equal(queue.used, 0);
    queue_deinit(&queue);
}

static void test_stderr_lines(void **state)
{
    struct captured_stderr c = capture_stderr();
    struct journal *journal = NULL;
    assert_int_equal(journal_new(&journal, JOURNAL_STDERR), 0);
    journal_set_generation(journal, 7);

    struct journal_record record;
    journal_begin(&record, EVENT_READY);
    journal_add_string(&record, FIELD_ROUTE, "/x");
    journal_add_string(&record, FIELD_UPSTREAM, "orders\nerror: forged");
    assert_true(journal_send(journal, &record, "serving %s", "now\r\nerror: forged"));
    assert_true(journal_log(journal, EVENT_WARNING, "no fields"));
    journal_begin(&record, EVENT_CHECK_FAILED);
    for (int i = 0; i <= JOURNAL_RECORD_FIELDS; i++)
        journal_add(&record, "F", slice_make("", 0));
    assert_true(journal_send(journal, &record, "many"));
    assert_int_equal(journal_dropped(journal), 0);
    assert_null(journal_free(journal));

    _cleanup_free_ char *text = read_captured(&c);
    const char *expected =
        "notice: serving now\\x0d\\x0aerror: forged (route=/x upstream=\"orders\\x0aerror: forged\")\n"
        "warning: no fields\n"
        "error: many (f=\"\" f";
    assert_memory_equal(text, expected, strlen(expected));
    assert_non_null(strstr(text, "f=\"\" omitted=1)\n"));
}

static void test_long_message(void **state)
{
    static char big[8000];
    memset(big, 'y', sizeof(big) - 1);
    struct captured_stderr c = capture_stderr();
    struct journal *journal = NULL;
    assert_int_equal(journal_new(&journal, JOURNAL_STDERR), 0);
    assert_true(journal_log(journal, EVENT_MESSAGE, "%s", big));
    journal_flush(journal, USEC_INFINITY);
    journal_free(journal);
    _cleanup_free_ char *text = read_captured(&c);
    assert_true(strlen(text) < JOURNAL_MESSAGE_SIZE + 16);
    assert_non_null(strstr(text, "yyy…\n"));
}

#define FILLER "0123456789abcde\n"

/* Leaves no room at all in the pipe behind stderr. */
static void fill_stderr(void)
{
    const int size = fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096);
    assert_return_code(size, errno);
    for (int done = 0; done < size; done += (int)STRLEN(FILLER))
        assert_int_equal(write(STDERR_FILENO, FILLER, STRLEN(FILLER)), STRLEN(FILLER));
}

/* A reader that takes nothing: no caller waits, urgent records have room that others have not, and what was
 * lost is said once there is room again. */
static void test_overflow(void **state)
{
    struct captured_stderr c = capture_stderr();
    struct journal *journal = NULL;
    assert_int_equal(journal_new(&journal, JOURNAL_STDERR), 0);
    fill_stderr();

    uint64_t accesses = 0;
    while (journal_log(journal, EVENT_ACCESS, "%0900d", 1))
        accesses++;
    assert_true(accesses > 400);
    assert_int_equal(journal_dropped(journal), 1);
    uint64_t warnings = 0;
    while (journal_log(journal, EVENT_WARNING, "%0900d", 2))
        warnings++;
    assert_true(warnings > 100);
    assert_int_equal(journal_dropped(journal), 2);

    const usec_t before = now_monotonic();
    journal_flush(journal, 10 * USEC_PER_MSEC);
    assert_true(now_monotonic() - before >= 10 * USEC_PER_MSEC);

    /* Reading lets it go on; the lines are counted as they come. */
    FILE *lines = fdopen(c.pipe, "r");
    assert_non_null(lines);
    uint64_t n = 0, told = 0;
    char line[2048];
    while (n < accesses + warnings || told == 0) {
        assert_non_null(fgets(line, sizeof(line), lines));
        if (strstr(line, "lost"))
            told++, assert_string_equal(line, "warning: 2 journal records were lost (records_lost=2)\n");
        else if (!strstr(line, FILLER))
            n++;
    }
    journal_flush(journal, USEC_INFINITY);
    assert_int_equal(told, 1);
    journal_free(journal);
    restore_stderr(&c);
    assert_null(fgets(line, sizeof(line), lines));
    fclose(lines);
}

/* Nobody reads, ever: the end of the process is not held up for longer than a second. */
static void test_free_does_not_hang(void **state)
{
    struct captured_stderr c = capture_stderr();
    const usec_t before = now_monotonic();
    const pid_t pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        struct journal *journal = NULL;
        if (journal_new(&journal, JOURNAL_STDERR) < 0)
            _exit(1);
        while (journal_log(journal, EVENT_ACCESS, "%0900d", 1))
            ;
        journal_free(journal);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(now_monotonic() - before < 10 * USEC_PER_SEC);
    free(read_captured(&c));
}

static void *send_many(void *userdata)
{
    for (int i = 0; i < 100; i++) {
        struct journal_record record;
        journal_begin(&record, EVENT_ACCESS);
        journal_add_u64(&record, FIELD_STATUS, 200);
        assert_true(journal_send(userdata, &record, "number %d", i));
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct captured_stderr c = capture_stderr();
    struct journal *journal = NULL;
    assert_int_equal(journal_new(&journal, JOURNAL_STDERR), 0);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, journal), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    journal_free(journal);
    _cleanup_free_ char *text = read_captured(&c);
    int lines = 0;
    for (char *at = text; *at; at = strchr(at, '\n') + 1, lines++)
        assert_memory_equal(at, "info: number ", strlen("info: number "));
    assert_int_equal(lines, 400);
}

/* $JOURNAL_STREAM of somebody else's stderr must not send the lines of this one away. */
static void test_auto(void **state)
{
    struct captured_stderr c = capture_stderr();
    const char *const wrong[] = {"1:2", "", "x", "1:2:3", "-1:-1"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        setenv("JOURNAL_STREAM", wrong[i], true);
        struct journal *journal = NULL;
        assert_int_equal(journal_new(&journal, JOURNAL_AUTO), 0);
        journal_log(journal, EVENT_MESSAGE, "here");
        journal_free(journal);
    }
    unsetenv("JOURNAL_STREAM");
    _cleanup_free_ char *text = read_captured(&c);
    assert_string_equal(text, "info: here\ninfo: here\ninfo: here\ninfo: here\ninfo: here\n");
}

static void test_nowhere(void **state)
{
    struct journal_record record;
    journal_begin(&record, EVENT_ACCESS);
    assert_true(journal_send(NULL, &record, "x"));
    assert_true(journal_log(NULL, EVENT_ACCESS, "x"));
    journal_set_generation(NULL, 1);
    journal_flush(NULL, USEC_INFINITY);
    assert_int_equal(journal_dropped(NULL), 0);
    assert_null(journal_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_record_fields),
        cmocka_unit_test(test_record_truncation),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_stderr_lines),
        cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_free_does_not_hang),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_auto),
        cmocka_unit_test(test_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
