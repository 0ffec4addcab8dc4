/* The connection phase: greetings of servers, answers of clients, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/handshake.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BYTES(text)  (const uint8_t *)(text), sizeof(text) - 1

struct packet {
    const uint8_t *wire;
    size_t len;
};

#define SALT_1  "\x01\x02\x03\x04\x05\x06\x07\x08"
#define SALT_2  "\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c"
#define SALT    SALT_1 SALT_2
#define ZEROS6  "\0\0\0\0\0\0"
#define ZEROS10 ZEROS6 "\0\0\0\0"
#define ZEROS23 ZEROS10 ZEROS10 "\0\0\0"

static void assert_bytes(struct bytes got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.p, want, got.len);
}

/* A copy of exactly that size, so that the sanitizer sees a read beyond it. */
static uint8_t *exact_copy(const uint8_t *p, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    memcpy(copy, p, len);
    return copy;
}

/* Greetings */

static const struct {
    const uint8_t *wire;
    size_t len;
    const char *version;
    uint32_t id, capabilities;
    uint8_t charset;
    uint16_t status;
    const char *plugin;
} greetings[] = {
    {BYTES("\x0a"
           "8.4.3\0"
           "\x0b\0\0\0" SALT_1 "\0"
           "\xff\xff"
           "\xff"
           "\x02\0"
           "\xff\xdf"
           "\x15" ZEROS10 SALT_2 "\0"
           "caching_sha2_password\0"),
     "8.4.3", 11, 0xdfffffff, 0xff, 2, "caching_sha2_password"},
    {BYTES("\x0a"
           "9.1.0-commercial\0"
           "\x78\x56\x34\x12" SALT_1 "\0"
           "\xff\xff"
           "\xff"
           "\x02\0"
           "\xff\xff"
           "\x15" ZEROS10 SALT_2 "\0"
           "caching_sha2_password\0"),
     "9.1.0-commercial", 0x12345678, 0xffffffff, 0xff, 2, "caching_sha2_password"},
    /* MariaDB: no CLIENT_LONG_PASSWORD, its own flags in the last four reserved bytes. */
    {BYTES("\x0a"
           "11.4.2-MariaDB-ubu2404\0"
           "\x03\0\0\0" SALT_1 "\0"
           "\xfe\xff"
           "\x2d"
           "\x02\0"
           "\xff\x81"
           "\x15" ZEROS6 "\x1d\0\0\0" SALT_2 "\0"
           "mysql_native_password\0"),
     "11.4.2-MariaDB-ubu2404", 3, 0x81fffffe, 0x2d, 2, "mysql_native_password"},
    {BYTES("\x0a"
           "8.4.6-Vitess\0"
           "\x01\0\0\0" SALT_1 "\0"
           "\x0f\xa2"
           "\x2d"
           "\x02\0"
           "\xbb\x01"
           "\x15" ZEROS10 SALT_2 "\0"
           "mysql_native_password\0"),
     "8.4.6-Vitess", 1, 0x01bba20f, 0x2d, 2, "mysql_native_password"},
    /* Before 5.5.10: the plugin's name without its NUL. */
    {BYTES("\x0a"
           "5.5.8\0"
           "\x02\0\0\0" SALT_1 "\0"
           "\xff\xf7"
           "\x08"
           "\x02\0"
           "\x0f\x80"
           "\x15" ZEROS10 SALT_2 "\0"
           "mysql_native_password"),
     "5.5.8", 2, 0x800ff7ff, 8, 2, "mysql_native_password"},
    /* 5.1: no plugins, and zero for the salt's length. */
    {BYTES("\x0a"
           "5.1.73\0"
           "\x02\0\0\0" SALT_1 "\0"
           "\xff\xf7"
           "\x08"
           "\x02\0"
           "\0\0"
           "\0" ZEROS10 SALT_2 "\0"),
     "5.1.73", 2, 0xf7ff, 8, 2, ""},
    /* A longer salt than any plugin uses: its first 20 bytes count. */
    {BYTES("\x0a"
           "x\0"
           "\x02\0\0\0" SALT_1 "\0"
           "\xff\xff"
           "\x08"
           "\x02\0"
           "\x08\0"
           "\x1f" ZEROS10 SALT_2 "more bytes\0"
           "p\0"),
     "x", 2, 0x0008ffff, 8, 2, "p"},
};

static void greetings_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(greetings); i++) {
        struct greeting g;
        uint8_t *wire = exact_copy(greetings[i].wire, greetings[i].len);

        assert_true(greeting_parse(wire, greetings[i].len, &g));
        assert_bytes(g.version, greetings[i].version);
        assert_int_equal(g.connection_id, greetings[i].id);
        assert_int_equal(g.capabilities, greetings[i].capabilities);
        assert_int_equal(g.charset, greetings[i].charset);
        assert_int_equal(g.status, greetings[i].status);
        assert_memory_equal(g.salt, SALT, SALT_LENGTH);
        assert_bytes(g.plugin, greetings[i].plugin);
        free(wire);
    }
}

/* Without a NUL the plugin's name may be any length; every byte before it has to be there. */
static void a_short_greeting_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(greetings); i++) {
        size_t name = strlen(greetings[i].plugin);
        bool has_nul = greetings[i].wire[greetings[i].len - 1] == '\0';
        size_t least = greetings[i].len - name - (name > 0 && has_nul);

        for (size_t len = 0; len < greetings[i].len; len++) {
            struct greeting g;
            uint8_t *wire = exact_copy(greetings[i].wire, len);

            assert_int_equal(greeting_parse(wire, len, &g), len >= least);
            free(wire);
        }
    }
}

static void other_first_packets_are_refused(void **state)
{
    (void)state;
    static const struct packet cases[] = {
        {BYTES("\xff\x10\x04"
               "Too many connections")},
        {BYTES("\xff\x6a\x04#HY000Host is not allowed to connect")},
        {BYTES("\x09"
               "3.22\0"
               "\x02\0\0\0" SALT_1 "\0")},
        {BYTES("\x0a"
               "no end of the version")},
        /* Neither PROTOCOL_41 nor SECURE_CONNECTION. */
        {BYTES("\x0a"
               "x\0"
               "\x02\0\0\0" SALT_1 "\0"
               "\xff\xfd"
               "\x08"
               "\x02\0"
               "\0\0"
               "\0" ZEROS10 SALT_2 "\0")},
        {BYTES("\x0a"
               "x\0"
               "\x02\0\0\0" SALT_1 "\0"
               "\xff\x7f"
               "\x08"
               "\x02\0"
               "\0\0"
               "\0" ZEROS10 SALT_2 "\0")},
        /* A salt that claims more bytes than there are. */
        {BYTES("\x0a"
               "x\0"
               "\x02\0\0\0" SALT_1 "\0"
               "\xff\xff"
               "\x08"
               "\x02\0"
               "\x08\0"
               "\xff" ZEROS10 SALT_2 "\0"
               "mysql_native_password\0")},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct greeting g;

        assert_false(greeting_parse(cases[i].wire, cases[i].len, &g));
    }
}

static void only_the_capabilities_are_patched(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(greetings); i++) {
        struct greeting g, again;
        uint8_t *wire = exact_copy(greetings[i].wire, greetings[i].len);
        uint32_t fewer =
            greetings[i].capabilities & ~(uint32_t)(CAP_COMPRESS | CAP_SSL | CAP_ZSTD_COMPRESSION);
        size_t changed = 0;

        assert_true(greeting_parse(wire, greetings[i].len, &g));
        greeting_set_capabilities(wire, &g, fewer);
        assert_true(greeting_parse(wire, greetings[i].len, &again));
        assert_int_equal(again.capabilities, fewer);
        greeting_set_capabilities(wire, &g, ~greetings[i].capabilities);
        for (size_t k = 0; k < greetings[i].len; k++)
            changed += wire[k] != greetings[i].wire[k];
        assert_int_equal(changed, 4);
        greeting_set_capabilities(wire, &g, greetings[i].capabilities);
        assert_memory_equal(wire, greetings[i].wire, greetings[i].len);
        free(wire);
    }
}

static void our_own_greeting_is_byte_exact(void **state)
{
    (void)state;
    struct buffer b;

    for (size_t i = 0; i < 2; i++) { /* MySQL's: the others differ in what is reserved */
        struct greeting g;

        assert_true(greeting_parse(greetings[i].wire, greetings[i].len, &g));
        buffer_init(&b, 1000);
        greeting_append(&b, &g);
        assert_int_equal(b.len, greetings[i].len);
        assert_memory_equal(b.data, greetings[i].wire, b.len);
        buffer_release(&b);
    }
}

/* Answers of clients */

#define AUTH20 "aaaaaaaaaaaaaaaaaaaa"
#define AUTH32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct {
    const char *client;
    const uint8_t *wire;
    size_t len;
    size_t least; /* a payload of this length is still complete, as far as it goes */
    uint32_t capabilities, max_packet;
    uint8_t charset;
    const char *user, *auth, *database, *plugin;
} responses[] = {
    {"mysql 8.4",
     BYTES("\x8d\xae\xbf\x19"
           "\0\0\0\x01"
           "\xff" ZEROS23 "root\0"
           "\x20" AUTH32 "commerce\0"
           "caching_sha2_password\0"
           "\x0c\x04_pid\x06"
           "123456"),
     32 + 5 + 33, 0x19bfae8d, 0x1000000, 0xff, "root", AUTH32, "commerce", "caching_sha2_password"},
    {"MariaDB Connector/C",
     BYTES("\x8c\xa6\xbf\x01"
           "\0\0\0\x40"
           "\x2d" ZEROS23 "app\0"
           "\x14" AUTH20 "ks@replica\0"
           "mysql_native_password\0"
           "\0"),
     32 + 4 + 21, 0x01bfa68c, 0x40000000, 0x2d, "app", AUTH20, "ks@replica",
     "mysql_native_password"},
    {"go-sql-driver",
     BYTES("\x8d\xa2\x0a\x00"
           "\0\0\0\0"
           "\x2d" ZEROS23 "vt\0"
           "\x14" AUTH20 "ks:-80\0"
           "mysql_native_password\0"),
     32 + 3 + 21, 0x000aa28d, 0, 0x2d, "vt", AUTH20, "ks:-80", "mysql_native_password"},
    {"Connector/J, no database, no password",
     BYTES("\x87\xa2\x3a\x00"
           "\xff\xff\xff\0"
           "\xff" ZEROS23 "u\0"
           "\0"
           "caching_sha2_password\0"
           "\0"),
     32 + 2 + 1, 0x003aa287, 0xffffff, 0xff, "u", "", "", "caching_sha2_password"},
    {"anonymous, says there is a database but sends none",
     BYTES("\x0d\xa2\x00\x00"
           "\0\0\0\x01"
           "\x08" ZEROS23 "\0"
           "\0"),
     32 + 1 + 1, 0xa20d, 0x1000000, 8, "", "", "", ""},
    {"5.1, native password without plugins",
     BYTES("\x85\xa2\x03\x00"
           "\0\0\0\x40"
           "\x08" ZEROS23 "old\0"
           "\x14" AUTH20),
     32 + 4 + 21, 0x0003a285, 0x40000000, 8, "old", AUTH20, "", ""},
    {"without SECURE_CONNECTION: a password up to a NUL",
     BYTES("\x08\x02\x08\x00"
           "\0\0\0\x01"
           "\x08" ZEROS23 "clear\0"
           "secret\0"
           "db\0"
           "mysql_clear_password"),
     32 + 6 + 7, 0x00080208, 0x1000000, 8, "clear", "secret", "db", "mysql_clear_password"},
};

static void responses_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        struct handshake_response hr;
        uint8_t *wire = exact_copy(responses[i].wire, responses[i].len);

        if (!handshake_response_parse(wire, responses[i].len, &hr))
            fail_msg("%s", responses[i].client);
        assert_int_equal(hr.capabilities, responses[i].capabilities);
        assert_int_equal(hr.max_packet, responses[i].max_packet);
        assert_int_equal(hr.charset, responses[i].charset);
        assert_bytes(hr.user, responses[i].user);
        assert_bytes(hr.auth, responses[i].auth);
        assert_bytes(hr.database, responses[i].database);
        assert_bytes(hr.plugin, responses[i].plugin);
        free(wire);
    }
}

/* The database must end with its NUL; the plugin's name need not. */
static void a_short_response_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        size_t database = strlen(responses[i].database);

        for (size_t len = 0; len < responses[i].len; len++) {
            struct handshake_response hr;
            uint8_t *wire = exact_copy(responses[i].wire, len);
            bool in_database = len > responses[i].least && len <= responses[i].least + database;
            bool want = len >= responses[i].least && !(database > 0 && in_database);

            if (handshake_response_parse(wire, len, &hr) != want)
                fail_msg("%s, cut to %zu bytes", responses[i].client, len);
            free(wire);
        }
    }
}

static void malformed_responses_are_refused(void **state)
{
    (void)state;
    static const struct packet cases[] = {
        /* Before 4.1: 16 bits of capabilities, no CAP_PROTOCOL_41. */
        {BYTES("\x05\xa0"
               "\0\0\x01"
               "root\0"
               "12345678"
               "and more bytes than there should be")},
        {BYTES("\x8d\xa2\x00\x00"
               "\0\0\0\x01"
               "\x08" ZEROS23 "user without an end")},
        /* The password's length is beyond the end; NULL; ERR; 2^64 - 1. */
        {BYTES("\x05\xa2\x00\x00"
               "\0\0\0\x01"
               "\x08" ZEROS23 "u\0"
               "\xff" AUTH20)},
        {BYTES("\x05\xa2\x20\x00"
               "\0\0\0\x01"
               "\x08" ZEROS23 "u\0"
               "\xfb" AUTH20)},
        {BYTES("\x05\xa2\x20\x00"
               "\0\0\0\x01"
               "\x08" ZEROS23 "u\0"
               "\xff" AUTH20)},
        {BYTES("\x05\xa2\x20\x00"
               "\0\0\0\x01"
               "\x08" ZEROS23 "u\0"
               "\xfe\xff\xff\xff\xff\xff\xff\xff\xff" AUTH20)},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct handshake_response hr;

        assert_false(handshake_response_parse(cases[i].wire, cases[i].len, &hr));
    }
}

static void a_long_password_has_a_length_encoded_length(void **state)
{
    (void)state;
    struct buffer b;
    struct handshake_response hr;
    char auth[300];

    memset(auth, 'j', sizeof auth); /* a token of authentication_openid_connect, say */
    buffer_init(&b, 1000);
    buffer_bytes(&b, BYTES("\x05\xa2\x28\x00"
                           "\0\0\0\x01"
                           "\x08" ZEROS23 "u\0"));
    buffer_lenenc_bytes(&b, auth, sizeof auth);
    buffer_bytes(&b, BYTES("plugin\0"));
    assert_true(handshake_response_parse(b.data, b.len, &hr));
    assert_int_equal(hr.auth.len, sizeof auth);
    assert_bytes(hr.plugin, "plugin");
    buffer_release(&b);
}

static void ssl_requests_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *wire;
        size_t len;
        bool is;
    } cases[] = {
        {BYTES("\x8d\xae\xbf\x19"
               "\0\0\0\x01"
               "\xff" ZEROS23),
         true},
        {BYTES("\x8d\xa6\xbf\x19"
               "\0\0\0\x01"
               "\xff" ZEROS23),
         false}, /* no CAP_SSL */
        {BYTES("\x8d\xae\xbf\x19"
               "\0\0\0\x01"
               "\xff" ZEROS23 "\0"),
         false},
        {BYTES("\x8d\xae\xbf\x19"
               "\0\0\0\x01"
               "\xff" ZEROS10 ZEROS10 "\0\0"),
         false},
        {BYTES(""), false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t capabilities = 0;
        uint8_t *wire = exact_copy(cases[i].wire, cases[i].len);

        assert_int_equal(ssl_request_parse(wire, cases[i].len, &capabilities), cases[i].is);
        if (cases[i].is)
            assert_int_equal(capabilities, 0x19bfae8d);
        free(wire);
    }
}

static void response_capabilities_are_patched(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        uint8_t *wire = exact_copy(responses[i].wire, responses[i].len);

        handshake_response_set_capabilities(wire, 0x12345678);
        assert_memory_equal(wire, "\x78\x56\x34\x12", 4);
        assert_memory_equal(wire + 4, responses[i].wire + 4, responses[i].len - 4);
        free(wire);
    }
}

/* Connection attributes, and answers of our own */

static void attributes_are_found(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *wire; /* the attributes as they follow the plugin's name */
        size_t len;
        const char *name, *value; /* NULL: not there */
    } cases[] = {
        {BYTES("\x0c\x04_pid\x06"
               "123456"),
         "_pid", "123456"},
        {BYTES("\x0c\x04_pid\x06"
               "123456"),
         "_pi", NULL},
        {BYTES("\x0c\x04_pid\x06"
               "123456"),
         "123456", NULL},
        {BYTES("\x07\x01"
               "a\0\x01"
               "b\x01"
               "c"),
         "a", ""},
        {BYTES("\x07\x01"
               "a\0\x01"
               "b\x01"
               "c"),
         "b", "c"},
        {BYTES("\0"), "a", NULL},
        {BYTES(""), "a", NULL},
        /* Malformed ones are not there; the login goes on. */
        {BYTES("\x0c\x04_pid\x06"
               "12345"),
         "_pid", NULL},
        {BYTES("\x0c\x04_pid\x07"
               "123456"),
         "_pid", NULL},
        {BYTES("\x05\x04_pid"), "_pid", NULL},
        {BYTES("\xff"), "a", NULL},
        {BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff"), "a", NULL},
    };
    static const char head[] = "\x05\xa2\x18\x00"
                               "\0\0\0\x01"
                               "\x08" ZEROS23 "u\0"
                               "\0"
                               "p";

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = sizeof head + cases[i].len;
        uint8_t *wire = malloc(len);
        struct handshake_response hr;

        assert_non_null(wire);
        memcpy(wire, head, sizeof head); /* with its NUL */
        memcpy(wire + sizeof head, cases[i].wire, cases[i].len);
        assert_true(handshake_response_parse(wire, len, &hr));
        struct bytes value = handshake_attribute(&hr, cases[i].name);
        assert_int_equal(value.p != NULL, cases[i].value != NULL);
        if (cases[i].value)
            assert_bytes(value, cases[i].value);
        free(wire);
    }
}

/* With all flags set the members are written as they were read. */
static void our_own_response_is_read_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        struct handshake_response hr, again;
        struct buffer b;

        assert_true(handshake_response_parse(responses[i].wire, responses[i].len, &hr));
        hr.capabilities |= CAP_SECURE_CONNECTION | CAP_CONNECT_WITH_DB | CAP_PLUGIN_AUTH;
        buffer_init(&b, 1000);
        handshake_response_append(&b, &hr);
        assert_false(b.failed);
        assert_true(handshake_response_parse(b.data, b.len, &again));
        assert_int_equal(again.capabilities, hr.capabilities);
        assert_int_equal(again.max_packet, hr.max_packet);
        assert_bytes(again.user, responses[i].user);
        assert_bytes(again.auth, responses[i].auth);
        assert_bytes(again.database, responses[i].database);
        assert_bytes(again.plugin, responses[i].plugin);
        assert_int_equal(again.attributes.len, hr.attributes.len);
        buffer_release(&b);
    }
}

static void a_password_too_long_for_its_length_fails(void **state)
{
    (void)state;
    char auth[256];
    struct buffer b;
    struct handshake_response hr = {.capabilities = CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION};

    memset(auth, 'a', sizeof auth);
    for (size_t len = 255; len <= 256; len++) {
        hr.auth = (struct bytes){(const uint8_t *)auth, len};
        buffer_init(&b, 1000);
        handshake_response_append(&b, &hr);
        assert_int_equal(b.failed, len > 255);
        buffer_release(&b);
    }
}

/* AuthSwitchRequest */

static void auth_switch_is_written_and_read(void **state)
{
    (void)state;
    static const char wire[] = "\xfe"
                               "mysql_native_password\0" SALT;
    struct buffer b;
    struct bytes plugin, data;

    buffer_init(&b, 100);
    auth_switch_append(&b, "mysql_native_password", (const uint8_t *)SALT);
    assert_int_equal(b.len, sizeof wire);
    assert_memory_equal(b.data, wire, sizeof wire);
    assert_true(auth_switch_parse(b.data, b.len, &plugin, &data));
    assert_bytes(plugin, "mysql_native_password");
    assert_int_equal(data.len, SALT_LENGTH + 1);
    assert_memory_equal(data.p, SALT, SALT_LENGTH);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *cut = exact_copy(b.data, len);
        bool want = len == 1 || len >= 1 + sizeof "mysql_native_password";

        assert_int_equal(auth_switch_parse(cut, len, &plugin, &data), want);
        if (len == 1) /* the old form: mysql_old_password, with the greeting's salt */
            assert_int_equal(plugin.len + data.len, 0);
        free(cut);
    }
    assert_false(auth_switch_parse((const uint8_t *)"\x01\x04", 2, &plugin, &data));
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings_are_read),
        cmocka_unit_test(a_short_greeting_is_refused),
        cmocka_unit_test(other_first_packets_are_refused),
        cmocka_unit_test(only_the_capabilities_are_patched),
        cmocka_unit_test(our_own_greeting_is_byte_exact),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(a_short_response_is_refused),
        cmocka_unit_test(malformed_responses_are_refused),
        cmocka_unit_test(a_long_password_has_a_length_encoded_length),
        cmocka_unit_test(ssl_requests_are_told_apart),
        cmocka_unit_test(response_capabilities_are_patched),
        cmocka_unit_test(attributes_are_found),
        cmocka_unit_test(our_own_response_is_read_again),
        cmocka_unit_test(a_password_too_long_for_its_length_fails),
        cmocka_unit_test(auth_switch_is_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
