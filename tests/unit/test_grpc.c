/*
 * gRPC's frames and texts: each message is the same however it is cut, what is too long, compressed
 * or twice is refused, and no status or text of a peer leads astray.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "protocol/grpc.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct bytes text(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static void messages_are_collected_however_they_are_cut(void **state)
{
    static const char *const MESSAGES[] = {"", "x", "hello, vtctld"};

    (void)state;
    for (size_t i = 0; i < COUNT(MESSAGES); i++) {
        struct buffer wire;
        size_t len = strlen(MESSAGES[i]);

        buffer_init(&wire, 100);
        grpc_frame(&wire, MESSAGES[i], len);
        assert_int_equal(wire.len, len + 5);
        for (size_t cut = 0; cut <= wire.len; cut++) {
            struct grpc_collector c;

            grpc_collector_init(&c, 13);
            assert_true(grpc_collect(&c, wire.data, cut));
            assert_int_equal(grpc_collector_whole(&c), cut == wire.len);
            assert_true(grpc_collect(&c, wire.data + cut, wire.len - cut));
            assert_true(grpc_collector_whole(&c));
            assert_int_equal(c.message.len, len);
            if (len)
                assert_memory_equal(c.message.data, MESSAGES[i], len);
            grpc_collector_release(&c);
        }
        buffer_release(&wire);
    }
}

static void what_is_no_single_message_is_refused(void **state)
{
    static const struct {
        uint8_t wire[12];
        size_t len;
        const char *error;
    } BAD[] = {
        {{1, 0, 0, 0, 1, 'x'}, 6, "compressed"},
        {{0, 0, 0, 0, 9, 'x'}, 6, "too large"},
        {{0, 0xff, 0xff, 0xff, 0xff}, 5, "too large"},
        {{0, 0, 0, 0, 1, 'x', 'y'}, 7, "more than one"},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10, "more than one"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct grpc_collector c;

        grpc_collector_init(&c, 8);
        assert_false(grpc_collect(&c, BAD[i].wire, BAD[i].len));
        assert_non_null(strstr(c.error, BAD[i].error));
        assert_false(grpc_collector_whole(&c));
        assert_false(grpc_collect(&c, BAD[i].wire, 0));
        grpc_collector_release(&c);
    }
}

static void statuses_have_names(void **state)
{
    static const struct {
        const char *value;
        enum grpc_status status;
    } CASES[] = {
        {"0", GRPC_OK},
        {"3", GRPC_INVALID_ARGUMENT},
        {"14", GRPC_UNAVAILABLE},
        {"16", GRPC_UNAUTHENTICATED},
        {"17", GRPC_UNKNOWN},
        {"99", GRPC_UNKNOWN},
        {"", GRPC_UNKNOWN},
        {"-1", GRPC_UNKNOWN},
        {"1x", GRPC_UNKNOWN},
        {"000", GRPC_UNKNOWN},
        {"18446744073709551616", GRPC_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++)
        assert_int_equal(grpc_status_parse(text(CASES[i].value)), CASES[i].status);
    assert_string_equal(grpc_status_name(GRPC_UNAVAILABLE), "UNAVAILABLE");
    assert_string_equal(grpc_status_name((enum grpc_status)1000), "UNKNOWN");
    assert_int_equal(grpc_status_of_http(503), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(404), GRPC_UNIMPLEMENTED);
    assert_int_equal(grpc_status_of_http(302), GRPC_UNKNOWN);
}

static void messages_are_decoded(void **state)
{
    static const struct {
        const char *value, *decoded;
    } CASES[] = {
        {"", ""},
        {"plain text", "plain text"},
        {"caller %22e2e%22", "caller \"e2e\""},
        {"two%0Alines%09and a tab", "two lines and a tab"},
        {"na%C3%AFve", "na\xc3\xafve"},
        {"100%", "100%"},
        {"100%2", "100%2"},
        {"%zz%4g", "%zz%4g"},
        {"nul%00byte", "nul byte"},
        {"%25%41", "%A"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        assert_int_equal(grpc_message_decode(out, sizeof(out), text(CASES[i].value)),
                         strlen(CASES[i].decoded));
        assert_string_equal(out, CASES[i].decoded);
    }
    assert_int_equal(grpc_message_decode(out, 4, text("abcdef")), 3);
    assert_string_equal(out, "abc");
}

static void deadlines_have_at_most_eight_digits(void **state)
{
    static const struct {
        int64_t ms;
        const char *value;
    } CASES[] = {{-5, "1m"},
                 {0, "1m"},
                 {30000, "30000m"},
                 {99999999, "99999999m"},
                 {100000000, "100000S"},
                 {INT64_MAX, "99999999S"}};
    char out[16];

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        grpc_timeout_format(out, CASES[i].ms);
        assert_string_equal(out, CASES[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_collected_however_they_are_cut),
        cmocka_unit_test(what_is_no_single_message_is_refused),
        cmocka_unit_test(statuses_have_names),
        cmocka_unit_test(messages_are_decoded),
        cmocka_unit_test(deadlines_have_at_most_eight_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
