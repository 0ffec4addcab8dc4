/*
 * Several statements in one COM_QUERY of which at least one is DDL (or sets what the shim tracks):
 * they are run one by one, and their responses are joined so that the client sees one response with
 * several results. Stops at the first error, as servers do.
 */
#ifndef VTSHIM_PROXY_SCRIPT_H
#define VTSHIM_PROXY_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* Begins with the session between two commands; `sequence` is that of the first answer packet.
   Copies the text. */
void script_start(struct session *s, const char *text, size_t len, uint8_t sequence);

/* Bytes of vtgate's response to the statement under way. */
void script_feed(struct session *s, const uint8_t *data, size_t len);

/* The statement under way was answered by the shim itself, whose next packet would be `sequence`.
 */
void script_statement_done(struct session *s, bool succeeded, uint8_t sequence);

/* Sends vtgate the statement under way, after the gate has let it pass. */
void script_send(struct session *s, const char *text, size_t len);

/* Plans the statement under way again. */
void script_retry(struct session *s);

/* A KILL QUERY while it is PAUSING: ends it with an error. */
void script_interrupt(struct session *s);

/* Whether another statement follows the one under way: its answer has to say so. */
bool script_has_more(const struct session *s);

/* The session is closing. Idempotent. */
void script_forget(struct session *s);

#endif
