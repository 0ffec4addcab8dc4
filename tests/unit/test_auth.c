/*
 * The challenge-response schemes: who knows the password passes, nobody else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <string.h>

#include "proxy/auth.h"

static const uint8_t SALT[SALT_LENGTH] = "abcdefghijklmnopqrst";

/* mysql> SELECT PASSWORD('password') on servers that still had the function. */
#define NATIVE_HASH "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"
/* printf password | sha256sum, twice (binary). */
#define SHA2_HASH "$sha2$73641c99f7719f57d8f4beb11a303afcd190243a51ced8782ca6d3dbe014d146"

/* caching_sha2_password's scramble, as a client makes it. */
static void sha2_answer(const char *password, uint8_t out[32])
{
    uint8_t once[32], joined[32 + SALT_LENGTH], mask[32];

    EVP_Digest(password, strlen(password), once, NULL, EVP_sha256(), NULL);
    EVP_Digest(once, 32, joined, NULL, EVP_sha256(), NULL);
    memcpy(joined + 32, SALT, SALT_LENGTH);
    EVP_Digest(joined, sizeof(joined), mask, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < 32; i++)
        out[i] = once[i] ^ mask[i];
}

static void test_each_form_of_a_secret(void **state)
{
    static const struct {
        const char *text, *password;
        bool native, sha2;
    } ROWS[] = {
        {"password", "password", true, true},       {"password", "Password", false, false},
        {NATIVE_HASH, "password", true, false},     {NATIVE_HASH, "passwords", false, false},
        {SHA2_HASH, "password", false, true},       {SHA2_HASH, "", false, false},
        {"p\xc3\xa4ss", "p\xc3\xa4ss", true, true}, {"*short", "*short", true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct admin_secret secret;
        uint8_t native[AUTH_NATIVE_SIZE], sha2[32];

        admin_secret_parse(&secret, ROWS[i].text);
        auth_native_answer(ROWS[i].password, SALT, native);
        sha2_answer(ROWS[i].password, sha2);
        assert_int_equal(admin_auth_native(&secret, SALT, (struct bytes){native, sizeof(native)}),
                         ROWS[i].native);
        assert_int_equal(admin_auth_sha2(&secret, SALT, (struct bytes){sha2, sizeof(sha2)}),
                         ROWS[i].sha2);
    }
}

static void test_wrong_lengths_and_salts(void **state)
{
    static const uint8_t OTHER[SALT_LENGTH] = "abcdefghijklmnopqrsT";
    struct admin_secret secret;
    uint8_t native[AUTH_NATIVE_SIZE];

    (void)state;
    admin_secret_parse(&secret, "password");
    auth_native_answer("password", SALT, native);
    assert_true(admin_auth_native(&secret, SALT, (struct bytes){native, sizeof(native)}));
    assert_false(admin_auth_native(&secret, OTHER, (struct bytes){native, sizeof(native)}));
    for (size_t len = 0; len < sizeof(native); len++)
        assert_false(admin_auth_native(&secret, SALT, (struct bytes){native, len}));
    assert_false(admin_auth_sha2(&secret, SALT, (struct bytes){native, sizeof(native)}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_form_of_a_secret),
        cmocka_unit_test(test_wrong_lengths_and_salts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
