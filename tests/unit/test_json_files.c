#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/json_files.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/vtshim-json-files-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/plan.last", folder);
    unlink(path);
    return rmdir(folder);
}

static void write_last(const char *text)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/plan.last", folder);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void ids_go_up(void **state)
{
    (void)state;
    assert_int_equal(json_files_next_id(folder, "plan", 1), 1);
    assert_int_equal(json_files_next_id(folder, "plan", 1), 2);
    assert_int_equal(json_files_next_id(folder, "plan", 11), 11);
    assert_int_equal(json_files_next_id(folder, "plan", 3), 12);
}

static void without_a_count_it_is_what_the_caller_knows(void **state)
{
    static const char *const TEXTS[] = {"", "no number\n", "99999999999999999999999\n", "-1\n"};

    (void)state;
    assert_int_equal(json_files_next_id("", "plan", 7), 7);
    assert_int_equal(json_files_next_id("/nowhere/at/all", "plan", 7), 7);
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        write_last(TEXTS[i]);
        assert_int_equal(json_files_next_id(folder, "plan", 7), 7);
        assert_int_equal(json_files_next_id(folder, "plan", 7), 8);
    }
}

/* Processes that count at the same time, as two do after a restart without a gap. */
static void no_two_get_the_same(void **state)
{
    enum { PROCESSES = 4, EACH = 100 };
    bool seen[PROCESSES * EACH + 1] = {false};
    uint64_t id;
    int ids[2];

    (void)state;
    assert_int_equal(pipe(ids), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child > 0)
            continue;
        for (int n = 0; n < EACH; n++) {
            id = json_files_next_id(folder, "plan", 1);
            if (write(ids[1], &id, sizeof(id)) != sizeof(id))
                _exit(1);
        }
        _exit(0);
    }
    close(ids[1]);
    for (int n = 0; n < PROCESSES * EACH; n++) {
        assert_int_equal(read(ids[0], &id, sizeof(id)), sizeof(id));
        assert_in_range(id, 1, PROCESSES * EACH);
        assert_false(seen[id]);
        seen[id] = true;
    }
    close(ids[0]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_go_up, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(without_a_count_it_is_what_the_caller_knows, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(no_two_get_the_same, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
