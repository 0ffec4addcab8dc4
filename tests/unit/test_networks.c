/*
 * Networks: which entries are some, and which addresses lie in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/networks.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct networks *create(const char *text, const char **bad)
{
    char *items[] = {(char *)text};
    struct string_list list = {.items = items, .n = 1};

    return networks_create(&list, bad);
}

/* "unix", or an address. */
static struct sockaddr_storage address(const char *text, uint16_t port)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNIX};
    struct sockaddr_in *in = (struct sockaddr_in *)&sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;

    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
    }
    return sa;
}

static const struct {
    const char *network, *inside, *outside;
} NETWORKS[] = {
    {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
    {"10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.0.0.0"},
    {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
    {"192.0.2.128/25", "192.0.2.129", "192.0.2.127"},
    {"192.0.2.4/31", "192.0.2.5", "192.0.2.6"},
    {"0.0.0.0/0", "255.255.255.255", "::1"},
    {"0.0.0.0/0", "0.0.0.0", "unix"},
    {"10.0.0.0/08", "10.0.0.1", "11.0.0.1"},
    {"::1", "::1", "::2"},
    {"::/0", "2001:db8::1", "192.0.2.1"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
    {"::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"},
    {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"},
    {"unix", "unix", "127.0.0.1"},
};

static void networks_have_the_addresses_in_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(NETWORKS); i++) {
        const char *bad;
        struct networks *ns = create(NETWORKS[i].network, &bad);
        struct sockaddr_storage inside = address(NETWORKS[i].inside, 1);
        struct sockaddr_storage outside = address(NETWORKS[i].outside, 1);

        if (!ns || !networks_contain(ns, &inside) || networks_contain(ns, &outside))
            fail_msg("%s, %s, %s", NETWORKS[i].network, NETWORKS[i].inside, NETWORKS[i].outside);
        networks_destroy(ns);
    }
}

/* Above all none that would count as a larger network than is written there. */
static void what_is_no_network_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "::ffff:10.0.0.0/10",
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/4294967296",
        "10.0.0.0/ 8",
        "10.0.0.0/8 ",
        "10.0.0.0/+8",
        "10.0.0.0/-1",
        "10.0.0/8",
        "10.0.0.0/8/8",
        "::/129",
        "::g",
        "localhost",
        "Unix",
        "unix/8",
        "[::1]",
        "10.0.0.0/18446744073709551617",
        "10.0.0.0/0000000000000000000000000000000000000000000000000000008",
    };

    for (size_t i = 0; i < COUNT(BAD); i++) {
        const char *bad = NULL;

        if (create(BAD[i], &bad))
            fail_msg("%s", BAD[i]);
        assert_ptr_equal(bad, BAD[i]);
    }
}

static void addresses_as_texts(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *whole;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", "192.0.2.1:3306"},
        {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:3306"},
        {"2001:db8::1", "2001:db8::1", "[2001:db8::1]:3306"},
        {"unix", "unix", "unix"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sockaddr_storage sa = address(cases[i].address, 3306);
        char text[64];

        address_format_host(text, sizeof(text), &sa);
        assert_string_equal(text, cases[i].host);
        address_format(text, sizeof(text), &sa);
        assert_string_equal(text, cases[i].whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_the_addresses_in_them),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(addresses_as_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
