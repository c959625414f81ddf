#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>

#include "http/body.h"

#define MEMORY 100000u

struct fixture {
    char folder[32];
    struct body_store store;
    struct body body;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/test-body.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    body_budget_init(&f->store.budget, 10 * MEMORY);
    f->store.memory_max = MEMORY;
    f->store.folder = f->folder;
    body_init(&f->body, &f->store, 0);
    *state = f;
    return 0;
}

static void assert_used(const struct fixture *f, uint64_t memory, uint64_t disk)
{
    uint64_t in_memory, on_disk;
    body_budget_look(&f->store.budget, &in_memory, &on_disk);
    assert_int_equal(in_memory, memory);
    assert_int_equal(on_disk, disk);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    body_deinit(&f->body);
    body_deinit(&f->body); /* harmless */
    assert_used(f, 0, 0);
    assert_int_equal(rmdir(f->folder), 0); /* nothing is left in it */
    free(f);
    return 0;
}

/* The n-th byte of every body here. */
static char byte_at(uint64_t n)
{
    return (char)(n * 31 + n / 256);
}

static int add(struct body *body, size_t size)
{
    char *data = xcalloc(1, size);
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(body->size + i);
    const int r = body_add(body, data, size);
    free(data);
    return r;
}

static void assert_content(const struct body *body)
{
    char *data = xcalloc(1, body->size);
    if (body_is_on_disk(body))
        assert_int_equal(pread(body->fd, data, body->size, 0), body->size);
    else
        memcpy(data, body->memory, body->size);
    for (uint64_t i = 0; i < body->size; i++)
        assert_int_equal(data[i], byte_at(i));
    free(data);
}

static void test_memory_up_to_the_limit_then_a_file(void **state)
{
    struct fixture *f = *state;
    for (size_t size = 1; f->body.size + size <= MEMORY; size = size * 3 + 1)
        assert_int_equal(add(&f->body, size), 0);
    assert_int_equal(add(&f->body, MEMORY - f->body.size), 0);
    assert_false(body_is_on_disk(&f->body));
    assert_content(&f->body);
    assert_used(f, f->body.capacity, 0);
    assert_true(f->body.capacity <= MEMORY);

    assert_int_equal(add(&f->body, 1), 0);
    assert_true(body_is_on_disk(&f->body));
    assert_null(f->body.memory);
    assert_used(f, 0, MEMORY + 1);
    assert_int_equal(add(&f->body, MEMORY), 0);
    assert_content(&f->body);
    assert_used(f, 0, 2 * MEMORY + 1);
}

static void test_a_known_size_takes_no_more_than_that(void **state)
{
    struct fixture *f = *state;
    body_init(&f->body, &f->store, 1000);
    assert_int_equal(add(&f->body, 10), 0);
    assert_used(f, 1000, 0);
    assert_int_equal(add(&f->body, 990), 0);
    assert_used(f, 1000, 0);
    assert_content(&f->body);
}

static void test_what_will_not_fit_into_memory_goes_to_disk_at_once(void **state)
{
    struct fixture *f = *state;
    body_init(&f->body, &f->store, MEMORY + 1);
    assert_int_equal(add(&f->body, 10), 0);
    assert_true(body_is_on_disk(&f->body));
    assert_used(f, 0, 10);
    assert_content(&f->body);
}

static void test_the_announced_size_takes_nothing_before_it_comes(void **state)
{
    struct fixture *f = *state;
    body_init(&f->body, &f->store, MEMORY);
    assert_int_equal(add(&f->body, 1), 0);
    assert_true(f->body.capacity <= 16384);
    assert_used(f, f->body.capacity, 0);
}

static void test_the_file_has_no_name_and_is_private(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    assert_int_equal(add(&f->body, MEMORY + 1), 0);
    DIR *folder = opendir(f->folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        assert_int_equal(entry->d_name[0], '.');
    closedir(folder);
    assert_int_equal(fstat(f->body.fd, &status), 0);
    assert_int_equal(status.st_nlink, 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, MEMORY + 1);
}

static void test_bodies_share_one_budget(void **state)
{
    struct fixture *f = *state;
    struct body other;
    body_init(&other, &f->store, 0);
    assert_int_equal(add(&f->body, 9 * MEMORY), 0);
    assert_true(body_budget_has(&f->store.budget, MEMORY));
    assert_false(body_budget_has(&f->store.budget, MEMORY + 1));
    assert_int_equal(add(&other, MEMORY), 0);
    assert_int_equal(add(&f->body, 1), BODY_NO_ROOM);
    body_deinit(&other);
    assert_used(f, 0, 9 * MEMORY);
    body_init(&other, &f->store, 0);
    assert_int_equal(add(&other, 2 * MEMORY), BODY_NO_ROOM);
    assert_used(f, 0, 9 * MEMORY);
    body_deinit(&other);
}

static void test_a_folder_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->store.folder = "/nonexistent";
    assert_int_equal(add(&f->body, MEMORY), 0);
    assert_int_equal(add(&f->body, 1), -ENOENT);
}

static void test_without_a_store_all_is_memory(void **state)
{
    struct fixture *f = *state;
    struct body body;
    body_init(&body, NULL, 0);
    assert_int_equal(add(&body, 20 * MEMORY), 0);
    assert_false(body_is_on_disk(&body));
    assert_content(&body);
    assert_used(f, 0, 0);
    body_deinit(&body);
}

static void test_budget_is_exact_at_its_ends(void **state)
{
    struct body_budget budget;
    body_budget_init(&budget, 10);
    assert_false(body_budget_take(&budget, 11));
    assert_false(body_budget_take(&budget, UINT64_MAX));
    assert_true(body_budget_take(&budget, 10));
    assert_false(body_budget_take(&budget, 1));
    assert_true(body_budget_take(&budget, 0));
    body_budget_give(&budget, 1);
    assert_true(body_budget_take(&budget, 1));

    body_budget_init(&budget, UINT64_MAX);
    assert_true(body_budget_take(&budget, UINT64_MAX));
    assert_false(body_budget_take(&budget, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory_up_to_the_limit_then_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_known_size_takes_no_more_than_that, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_will_not_fit_into_memory_goes_to_disk_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_announced_size_takes_nothing_before_it_comes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_file_has_no_name_and_is_private, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies_share_one_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_that_is_not_there_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_store_all_is_memory, setup, teardown),
        cmocka_unit_test(test_budget_is_exact_at_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
