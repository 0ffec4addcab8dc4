/*
 * A question of the shim itself, put to vtgate over a session's own connection while its client
 * waits: sent as a COM_QUERY, the answer collected and handed to the asker, the client sees
 * nothing.
 */
#ifndef VTSHIM_PROXY_ASK_H
#define VTSHIM_PROXY_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/reply.h"

struct session;

/* The answer lives until the callback returns. NULL: it was malformed or larger than ASK_MAX. The
   callback may ask again, or close the session. */
typedef void ask_callback(struct session *s, const struct answer *answer);

#define ASK_MAX (8u << 20) /* bytes of one answer */

/* The session must stand between two commands (no response under way). */
void ask_start(struct session *s, const char *sql, size_t len, ask_callback *done);

/* The same with a text made of a constant format, whose arguments the caller has bounded. */
__attribute__((format(printf, 3, 4))) void ask_format(struct session *s, ask_callback *done,
                                                      const char *format, ...);

/* Makes `target` vtgate's target of the session (ddl_use). It may be of any length: a client's own
   database at login is. */
void ask_use(struct session *s, const char *target, ask_callback *done);

/* Bytes of vtgate while the session is ASKING. */
void ask_feed(struct session *s, const uint8_t *data, size_t len);

/* Whether vtgate has taken so long that it may hang, with its connection up. While a client waits
   that is for it to say; what the shim does for itself is begun again elsewhere. now_ms:
   clock_ms's.
 */
bool ask_is_late(const struct session *s, int64_t now_ms);

/* Drops the question: the session is closing. Idempotent. */
void ask_forget(struct session *s);

#endif
