/*
 * Commands that vtgate refuses ("command handling not implemented yet", error 1047) and that the
 * shim can do itself: COM_CHANGE_USER, COM_STATISTICS. They are passed on first: a server that
 * knows them answers for itself.
 */
#ifndef VTSHIM_PROXY_FALLBACK_H
#define VTSHIM_PROXY_FALLBACK_H

#include <stddef.h>
#include <stdint.h>

#define FALLBACK_PACKET_MAX (128u << 10) /* a larger COM_CHANGE_USER is vtgate's alone */

struct session;

/* The whole packet was passed on. Remembers it if it is one of those commands. */
void fallback_expect(struct session *s, const uint8_t *packet, size_t len);

/* vtgate's answer to it, while s->fallback is set. */
void fallback_feed(struct session *s, const uint8_t *data, size_t len);

/* The session is closing. Idempotent. */
void fallback_forget(struct session *s);

#endif
