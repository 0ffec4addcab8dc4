/*
 * The configured vtgates: their addresses, whether they answer, how many sessions they carry.
 */
#ifndef VTSHIM_PROXY_VTGATES_H
#define VTSHIM_PROXY_VTGATES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/options.h"

#define VTGATES_MAX 64 /* as in options.def */

struct vtgates;
struct vtgate;

/* The vtgates of a configuration, which must live as long. */
struct vtgates *vtgates_create(const struct config *config);
void vtgates_destroy(struct vtgates *vs);
size_t vtgates_count(const struct vtgates *vs);
struct vtgate *vtgates_at(struct vtgates *vs, size_t i);
size_t vtgates_index(const struct vtgates *vs, const struct vtgate *v);

/*
 * The best vtgate that is not drained and whose bit is not set in *tried: healthy ones before
 * others, then the one with the fewest sessions. Counts the session there (vtgate_release) and sets
 * its bit. NULL: all tried.
 */
struct vtgate *vtgates_choose(struct vtgates *vs, uint64_t *tried);
void vtgate_release(struct vtgate *v);

/*
 * Starts connecting, without blocking. Returns the socket, or -1 with *error an errno (or EAI
 * failure as EHOSTUNREACH). Names are resolved by vtgate_resolve beforehand. Keepalive is the
 * caller's, if the connection is to last (socket_keep_alive).
 */
int vtgate_connect(struct vtgate *v, int *error);

/* Looks up the name again; blocking: for start-up and the control thread. False: no address; the
   old ones, if any, are kept. */
bool vtgate_resolve(struct vtgate *v);

/* How many addresses the name has now, at least 1. vtgate_connect takes them in turn. Any thread.
 */
size_t vtgate_address_count(struct vtgate *v);

/*
 * Where its web pages are (vtgate_web.*): an address as text, for the first that its name has now.
 * False: none is configured or known. Any thread.
 */
#define VTGATE_IP_SIZE 64
bool vtgate_web_address(struct vtgate *v, char ip[VTGATE_IP_SIZE], uint16_t *port);
/* The host of it, as configured, or NULL. */
const char *vtgate_web_host(const struct vtgate *v);

const char *vtgate_name(const struct vtgate *v); /* "host:port" as configured */
const struct endpoint *vtgate_endpoint(const struct vtgate *v);
uint64_t vtgate_sessions(const struct vtgate *v);

/* Health, as the control thread or a failed connect found it. Any thread. */
bool vtgate_is_healthy(const struct vtgate *v);
void vtgate_set_healthy(struct vtgate *v, bool healthy);

/* A session could not connect, for that errno: the vtgate counts as down, unless the reason is that
   this host has run out of something, which says nothing about the vtgate. Any thread. */
void vtgate_connect_failed(struct vtgate *v, int error);

/* A vtgate that is drained gets no new sessions; the ones it has go on. Any thread. */
bool vtgate_is_draining(const struct vtgate *v);
void vtgate_set_draining(struct vtgate *v, bool draining);

/* By its name as configured; NULL: there is none. */
struct vtgate *vtgates_find(struct vtgates *vs, const char *name);

#endif
