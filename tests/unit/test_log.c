/*
 * Log lines as text and as JSON, on standard error and in a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/log.h"

/* What `emit` writes to standard error. */
static char *caught(void (*emit)(void))
{
    static char text[8192];
    char path[] = "/tmp/test_log-XXXXXX";
    int fd = mkstemp(path), saved = dup(STDERR_FILENO);

    assert_true(fd >= 0 && saved >= 0);
    unlink(path);
    dup2(fd, STDERR_FILENO);
    emit();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    close(fd);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static void emit_kinds(void)
{
    log_info("kinds", "name:s none:s count:u less:d empty:s", "a \"b\"\n\\", NULL, UINT64_MAX,
             INT64_MIN, "");
}

static void text_lines(void **state)
{
    (void)state;
    log_set_json(false);
    assert_non_null(strstr(caught(emit_kinds),
                           "Z level=info event=kinds name=\"a \\\"b\\\"\\x0a\\\\\" none=- "
                           "count=18446744073709551615 less=-9223372036854775808 empty=\"\"\n"));
}

static void json_lines(void **state)
{
    (void)state;
    log_set_json(true);
    assert_non_null(strstr(caught(emit_kinds),
                           "\"level\":\"info\",\"event\":\"kinds\",\"name\":\"a \\\"b\\\"\\u000a"
                           "\\\\\",\"none\":null,\"count\":18446744073709551615,"
                           "\"less\":-9223372036854775808,\"empty\":\"\"}\n"));
}

static char bytes[6000];

static void emit_bytes(void)
{
    log_warn("bytes", "first:s second:s third:u", bytes, bytes, (uint64_t)1);
}

/* Whatever the bytes and however many: one line, which is JSON. */
static void json_is_json(void **state)
{
    (void)state;
    log_set_json(true);
    srand(7);
    for (size_t len = 1; len < sizeof(bytes); len += len / 16 + 1) {
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(rand() % 255 + 1);
        bytes[len] = '\0';
        char *line = caught(emit_bytes);
        json_error_t error;
        json_t *o = json_loads(line, JSON_DECODE_ANY, &error);

        if (!o)
            fail_msg("%zu bytes: %s at %d: %s", len, error.text, error.position, line);
        assert_string_equal(json_string_value(json_object_get(o, "event")), "bytes");
        assert_true(strlen(line) <= 2048 && strchr(line, '\n') == line + strlen(line) - 1);
        json_decref(o);
    }
}

static void emit_levels(void)
{
    struct stat st;
    char stream[64];

    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_look_for_journal();
    log_info("one", "n:u", (uint64_t)1);
    log_warn("two", "n:u", (uint64_t)2);
    log_error("three", "n:u", (uint64_t)3);
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_look_for_journal();
    log_error("four", "n:u", (uint64_t)4);
}

/* The journal's priorities, and only to the journal. */
static void priorities_for_the_journal(void **state)
{
    (void)state;
    log_set_json(false);
    const char *text = caught(emit_levels);

    assert_true(strncmp(text, "<6>time=", 8) == 0);
    assert_non_null(strstr(text, "\n<4>time="));
    assert_non_null(strstr(text, "\n<3>time="));
    assert_non_null(strstr(text, " event=three n=3\ntime="));
}

static size_t lines_of(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t n = 0;

    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static char folder[] = "/tmp/test_log-XXXXXX";
static char path[64], rotated[64];

static void emit_to_files(void)
{
    log_set_file(path);
    for (int i = 0; i < 100; i++)
        log_info("line", "n:d", (int64_t)i);
    log_close_file();
    assert_int_equal(rename(path, rotated), 0);
    log_set_file(path);
    log_info("line", "n:d", (int64_t)100);
    log_close_file();
    log_set_file("/nonexistent/folder/log");
    log_info("lost", "n:d", (int64_t)101);
    log_close_file();
    log_info("back", "n:d", (int64_t)102);
}

/* A file, another one after a rotation, one that cannot be had, and none. */
static void files(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(rotated, sizeof(rotated), "%s/log.1", folder);
    const char *text = caught(emit_to_files);

    assert_int_equal(lines_of(rotated), 100);
    assert_int_equal(lines_of(path), 1);
    assert_non_null(strstr(text, "event=log_file_failed file=/nonexistent/folder/log"));
    assert_null(strstr(text, "event=lost"));
    assert_non_null(strstr(text, "event=back n=102\n"));
    unlink(path);
    unlink(rotated);
    rmdir(folder);
}

/* A reader that does not read: nobody waits for it, what is lost is counted, and said when there is
   room again. */
static void full_pipe(void **state)
{
    static char text[1 << 20];
    uint64_t before = log_dropped(), lost;
    int ends[2], saved = dup(STDERR_FILENO);
    char told[80];

    (void)state;
    log_set_json(false);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* as whoever starts the program has it */
    dup2(ends[1], STDERR_FILENO);
    alarm(20); /* (the end of a program that waits) */
    for (unsigned i = 0; i < 10000; i++)
        log_info("filler", "n:u", (uint64_t)i);
    lost = log_dropped() - before;
    ssize_t n = read(ends[0], text, sizeof(text) - 1);

    log_info("after", "n:u", (uint64_t)1);
    ssize_t more =
        read(ends[0], text + (n > 0 ? n : 0), sizeof(text) - 1 - (size_t)(n > 0 ? n : 0));

    dup2(saved, STDERR_FILENO);
    close(saved);
    alarm(0);
    close(ends[0]);
    close(ends[1]);
    assert_true(n > 0 && more > 0);
    assert_in_range(lost, 5000, 9999);
    snprintf(told, sizeof(told), "event=log_lines_dropped lines=%llu\n", (unsigned long long)lost);
    const char *dropped = strstr(text, told);

    assert_non_null(dropped);
    assert_non_null(strstr(dropped, "event=after n=1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),   cmocka_unit_test(json_lines),
        cmocka_unit_test(json_is_json), cmocka_unit_test(priorities_for_the_journal),
        cmocka_unit_test(files),        cmocka_unit_test(full_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
