/*
 * Socket addresses as networks, texts and PROXY headers. IPv4-mapped IPv6 addresses count as IPv4.
 */
#include "proxy/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"

/* ::ffff:0:0/96, the IPv4-mapped addresses of IPv6. */
#define MAPPED_BITS 96u
static const uint8_t MAPPED[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

struct network {
    int family;
    uint8_t address[16];
    unsigned bits;
};

struct networks {
    size_t n;
    struct network items[];
};

/* The bytes and the family of an address; 0 bytes for a unix socket. */
static size_t address_bytes(const struct sockaddr_storage *sa, int *family, const uint8_t **bytes)
{
    *family = sa->ss_family;
    if (sa->ss_family == AF_INET) {
        *bytes = (const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr;
        return 4;
    }
    if (sa->ss_family != AF_INET6)
        return 0;
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;

    *bytes = in6->s6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(in6))
        return 16;
    *family = AF_INET;
    *bytes += 12;
    return 4;
}

/* What stands behind the '/': digits only, and at most max. */
static bool parse_bits(const char *text, unsigned max, unsigned *bits)
{
    *bits = 0;
    if (!*text)
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        *bits = *bits * 10 + (unsigned)(*text - '0');
        if (*bits > max)
            return false;
    }
    return !*text;
}

static bool parse_network(const char *text, struct network *n)
{
    char host[64], *slash;

    if (strlen(text) >= sizeof(host))
        return false;
    strcpy(host, text);
    if (strcmp(host, "unix") == 0) {
        n->family = AF_UNIX;
        return true;
    }
    if ((slash = strchr(host, '/')))
        *slash++ = '\0';
    n->family = strchr(host, ':') ? AF_INET6 : AF_INET;
    n->bits = n->family == AF_INET6 ? 128 : 32;
    if (inet_pton(n->family, host, n->address) != 1 ||
        (slash && !parse_bits(slash, n->bits, &n->bits)))
        return false;
    if (n->family == AF_INET6 && memcmp(n->address, MAPPED, sizeof(MAPPED)) == 0) {
        if (n->bits < MAPPED_BITS)
            return false; /* it would be of IPv6, and the address in it is of IPv4 */
        n->family = AF_INET;
        n->bits -= MAPPED_BITS;
        memmove(n->address, n->address + sizeof(MAPPED), 4);
    }
    return true;
}

struct networks *networks_create(const struct string_list *list, const char **bad)
{
    struct networks *ns = memory_zalloc(sizeof(*ns) + list->n * sizeof(ns->items[0]));

    for (ns->n = 0; ns->n < list->n; ns->n++) {
        if (!parse_network(list->items[ns->n], &ns->items[ns->n])) {
            *bad = list->items[ns->n];
            free(ns);
            return NULL;
        }
    }
    return ns;
}

void networks_destroy(struct networks *ns)
{
    free(ns);
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(a, b, whole) == 0 &&
           (rest == 0 || ((a[whole] ^ b[whole]) & (0xff00 >> rest & 0xff)) == 0);
}

bool networks_contain(const struct networks *ns, const struct sockaddr_storage *sa)
{
    const uint8_t *bytes = NULL;
    int family;

    address_bytes(sa, &family, &bytes);
    for (size_t i = 0; i < ns->n; i++) {
        const struct network *n = &ns->items[i];

        if (n->family == family && (family == AF_UNIX || same_bits(n->address, bytes, n->bits)))
            return true;
    }
    return false;
}

void address_format_host(char *dst, size_t size, const struct sockaddr_storage *sa)
{
    const uint8_t *bytes = NULL;
    int family;

    if (address_bytes(sa, &family, &bytes) == 0 || !inet_ntop(family, bytes, dst, (socklen_t)size))
        snprintf(dst, size, "unix");
}

void address_format(char *dst, size_t size, const struct sockaddr_storage *sa)
{
    char host[INET6_ADDRSTRLEN];

    address_format_host(host, sizeof(host), sa);
    if (sa->ss_family == AF_INET || sa->ss_family == AF_INET6)
        snprintf(dst, size, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
                 (unsigned)ntohs(sa->ss_family == AF_INET
                                     ? ((const struct sockaddr_in *)sa)->sin_port
                                     : ((const struct sockaddr_in6 *)sa)->sin6_port));
    else
        snprintf(dst, size, "%s", host);
}

void address_from_proxy(struct sockaddr_storage *sa, const struct proxy_address *pa)
{
    memset(sa, 0, sizeof(*sa));
    if (pa->family == PROXY_IPV4) {
        struct sockaddr_in *in = (struct sockaddr_in *)sa;

        in->sin_family = AF_INET;
        in->sin_port = htons(pa->source_port);
        memcpy(&in->sin_addr, pa->source, 4);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(pa->source_port);
        memcpy(&in6->sin6_addr, pa->source, 16);
    }
}

static uint16_t port_of(const struct sockaddr_storage *sa)
{
    return ntohs(sa->ss_family == AF_INET ? ((const struct sockaddr_in *)sa)->sin_port
                                          : ((const struct sockaddr_in6 *)sa)->sin6_port);
}

void address_to_proxy(struct proxy_address *pa, const struct sockaddr_storage *source,
                      const struct sockaddr_storage *destination)
{
    const uint8_t *from = NULL, *to = NULL;
    int from_family, to_family;
    size_t n = address_bytes(source, &from_family, &from);
    size_t m = address_bytes(destination, &to_family, &to);

    memset(pa, 0, sizeof(*pa));
    if (n == 0 || n != m)
        return; /* a unix socket, or a mixture: UNKNOWN */
    pa->family = n == 4 ? PROXY_IPV4 : PROXY_IPV6;
    memcpy(pa->source, from, n);
    memcpy(pa->destination, to, n);
    pa->source_port = port_of(source);
    pa->destination_port = port_of(destination);
}
