/*
 * Digests, and who can answer to what.
 */
#include "proxy/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/bytes.h"
#include "proxy/memory.h"

#define NATIVE_SIZE ((size_t)AUTH_NATIVE_SIZE)
#define SHA2_SIZE   32u

/* digest(a || b) */
static void digest(const EVP_MD *md, const void *a, size_t a_len, const void *b, size_t b_len,
                   uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestInit_ex(ctx, md, NULL) != 1 || EVP_DigestUpdate(ctx, a, a_len) != 1 ||
        EVP_DigestUpdate(ctx, b, b_len) != 1 || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
        memory_exhausted();
    EVP_MD_CTX_free(ctx);
}

static void digest_twice(const EVP_MD *md, size_t size, const char *password, uint8_t *out)
{
    uint8_t once[EVP_MAX_MD_SIZE];

    digest(md, password, strlen(password), "", 0, once);
    digest(md, once, size, "", 0, out);
    OPENSSL_cleanse(once, sizeof(once));
}

static bool parse_hex(const char *text, uint8_t *out, size_t size)
{
    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int value = bytes_hex_byte(text + 2 * i);

        if (value < 0)
            return false;
        out[i] = (uint8_t)value;
    }
    return true;
}

void admin_secret_hash(char text[AUTH_HASH_SIZE], const char *password)
{
    uint8_t twice[SHA2_SIZE];

    digest_twice(EVP_sha256(), SHA2_SIZE, password, twice);
    memcpy(text, "$sha2$", 6);
    for (size_t i = 0; i < SHA2_SIZE; i++)
        snprintf(text + 6 + 2 * i, 3, "%02x", twice[i]);
}

void admin_secret_parse(struct admin_secret *secret, const char *text)
{
    memset(secret, 0, sizeof(*secret));
    if (*text == '*' && parse_hex(text + 1, secret->native, NATIVE_SIZE)) {
        secret->has_native = true;
    } else if (strncmp(text, "$sha2$", 6) == 0 && parse_hex(text + 6, secret->sha2, SHA2_SIZE)) {
        secret->has_sha2 = true;
    } else {
        digest_twice(EVP_sha1(), NATIVE_SIZE, text, secret->native);
        digest_twice(EVP_sha256(), SHA2_SIZE, text, secret->sha2);
        secret->has_native = secret->has_sha2 = true;
    }
}

/* answer XOR mask must be a value whose digest is `stored`. */
static bool proves(const EVP_MD *md, size_t size, const uint8_t *stored, const uint8_t *mask,
                   struct bytes answer)
{
    uint8_t candidate[EVP_MAX_MD_SIZE], again[EVP_MAX_MD_SIZE];

    if (answer.len != size)
        return false;
    for (size_t i = 0; i < size; i++)
        candidate[i] = answer.p[i] ^ mask[i];
    digest(md, candidate, size, "", 0, again);
    bool ok = CRYPTO_memcmp(again, stored, size) == 0;

    OPENSSL_cleanse(candidate, sizeof(candidate));
    return ok;
}

bool admin_auth_native(const struct admin_secret *secret, const uint8_t salt[SALT_LENGTH],
                       struct bytes answer)
{
    uint8_t mask[EVP_MAX_MD_SIZE];

    if (!secret->has_native)
        return false;
    digest(EVP_sha1(), salt, SALT_LENGTH, secret->native, NATIVE_SIZE, mask);
    return proves(EVP_sha1(), NATIVE_SIZE, secret->native, mask, answer);
}

bool admin_auth_sha2(const struct admin_secret *secret, const uint8_t salt[SALT_LENGTH],
                     struct bytes answer)
{
    uint8_t mask[EVP_MAX_MD_SIZE];

    if (!secret->has_sha2)
        return false;
    digest(EVP_sha256(), secret->sha2, SHA2_SIZE, salt, SALT_LENGTH, mask);
    return proves(EVP_sha256(), SHA2_SIZE, secret->sha2, mask, answer);
}

bool admin_secret_is(const struct admin_secret *secret, const char *password)
{
    uint8_t twice[SHA2_SIZE];

    digest_twice(EVP_sha256(), SHA2_SIZE, password, twice);
    return secret->has_sha2 && CRYPTO_memcmp(twice, secret->sha2, SHA2_SIZE) == 0;
}

void auth_native_answer(const char *password, const uint8_t salt[SALT_LENGTH],
                        uint8_t answer[AUTH_NATIVE_SIZE])
{
    uint8_t once[EVP_MAX_MD_SIZE], twice[EVP_MAX_MD_SIZE], mask[EVP_MAX_MD_SIZE];

    digest(EVP_sha1(), password, strlen(password), "", 0, once);
    digest(EVP_sha1(), once, NATIVE_SIZE, "", 0, twice);
    digest(EVP_sha1(), salt, SALT_LENGTH, twice, NATIVE_SIZE, mask);
    for (size_t i = 0; i < NATIVE_SIZE; i++)
        answer[i] = once[i] ^ mask[i];
    OPENSSL_cleanse(once, sizeof(once));
    OPENSSL_cleanse(twice, sizeof(twice));
}
