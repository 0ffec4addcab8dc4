/*
 * Any text as an entry of proxy_protocol.from and as an address to listen on. A network has its own
 * address in it and no other once all bits count; one that is written with fewer bits has more. An
 * endpoint is shown in a form that gives the same endpoint.
 */
#include "proxy/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "config/load.h"
#include "tests/fuzz/fuzz.h"

static struct networks *create(char *text)
{
    struct string_list list = {.items = &text, .n = 1};
    const char *bad = NULL;
    struct networks *ns = networks_create(&list, &bad);

    CHECK(ns ? !bad : bad == text);
    return ns;
}

/* The address in front of a '/', if there is one. */
static bool read_address(const char *text, struct sockaddr_storage *sa)
{
    char host[64];

    memset(sa, 0, sizeof(*sa));
    snprintf(host, sizeof(host), "%.*s", (int)strcspn(text, "/"), text);
    if (inet_pton(AF_INET, host, &((struct sockaddr_in *)sa)->sin_addr) == 1)
        sa->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)sa)->sin6_addr) == 1)
        sa->ss_family = AF_INET6;
    return sa->ss_family != 0;
}

static void check_shown(const struct sockaddr_storage *sa)
{
    struct sockaddr_storage again;
    char host[64], whole[96];

    address_format_host(host, sizeof(host), sa);
    address_format(whole, sizeof(whole), sa);
    CHECK(strstr(whole, host) && strlen(whole) >= strlen(host) + 2);
    CHECK(read_address(host, &again));
    /* The shown address is a network of its own, with the address in it. */
    struct networks *ns = create(host);

    CHECK(ns && networks_contain(ns, sa) && networks_contain(ns, &again));
    networks_destroy(ns);
}

static void fuzz_network(char *text)
{
    struct networks *ns = create(text);
    struct sockaddr_storage sa, unix_socket = {.ss_family = AF_UNIX};

    if (!ns)
        return;
    CHECK(networks_contain(ns, &unix_socket) == (strcmp(text, "unix") == 0));
    if (strcmp(text, "unix") != 0) {
        CHECK(read_address(text, &sa));
        CHECK(networks_contain(ns, &sa));
        check_shown(&sa);
        /* The address beside it: in a network of all bits it is not. */
        uint8_t *last = sa.ss_family == AF_INET
                            ? (uint8_t *)&((struct sockaddr_in *)&sa)->sin_addr + 3
                            : ((struct sockaddr_in6 *)&sa)->sin6_addr.s6_addr + 15;

        *last ^= 1;
        if (!strchr(text, '/'))
            CHECK(!networks_contain(ns, &sa));
    }
    networks_destroy(ns);
}

static void fuzz_endpoint(const char *key, const char *text)
{
    struct config *c = config_create_default(), *again = config_create_default();
    const struct option_row *row = option_find(key);
    struct config_error error;
    char shown[8192];

    if (option_set_text(c, key, text, &error)) {
        CHECK(option_format(c, row, shown, sizeof(shown)) < sizeof(shown));
        CHECK(option_set_text(again, key, shown, &error));
        CHECK(option_equal(c, again, row));
    } else {
        CHECK(*error.text);
    }
    config_destroy(again);
    config_destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2000 || memchr(data, '\0', size))
        return 0;
    char *text = malloc(size + 1);

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    fuzz_network(text);
    fuzz_endpoint("listen", text);
    fuzz_endpoint("vtgate", text);
    if (size > 0)
        fuzz_endpoint("http", text);
    free(text);
    return 0;
}
