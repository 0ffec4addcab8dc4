/*
 * Addresses of clients: networks in CIDR notation, and texts for logs.
 */
#ifndef VTSHIM_PROXY_NETWORKS_H
#define VTSHIM_PROXY_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "config/options.h"
#include "protocol/proxy_header.h"

struct networks;

/* NULL when an entry is no "ADDRESS/BITS", "ADDRESS" or "unix"; *bad is then that entry. */
struct networks *networks_create(const struct string_list *list, const char **bad);
void networks_destroy(struct networks *ns);
bool networks_contain(const struct networks *ns, const struct sockaddr_storage *sa);

/* "address:port", "[address]:port", or "unix". */
void address_format(char *dst, size_t size, const struct sockaddr_storage *sa);
/* The same without the port. */
void address_format_host(char *dst, size_t size, const struct sockaddr_storage *sa);

/* What a PROXY header says, as a socket address (the source), and the other way round. */
void address_from_proxy(struct sockaddr_storage *sa, const struct proxy_address *pa);
void address_to_proxy(struct proxy_address *pa, const struct sockaddr_storage *source,
                      const struct sockaddr_storage *destination);

#endif
