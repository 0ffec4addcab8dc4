/*
 * What SHOW WARNINGS tells after a DDL that the shim answered itself: vtgate knows nothing of it.
 * The notes last until the session's next statement that is not a question about them, as in MySQL
 * ("SHOW WARNINGS Statement").
 */
#ifndef VTSHIM_PROXY_NOTES_H
#define VTSHIM_PROXY_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct notes;

enum note_level { NOTE_NOTE, NOTE_WARNING, NOTE_ERROR };

#define NOTES_MAX 256 /* more are counted, not kept */

/* Copies the text. */
void notes_add(struct session *s, enum note_level level, uint16_t code, const char *text);

/* How many, for the OK packet. */
uint16_t notes_count(const struct session *s);

/* Forgets them. Idempotent. */
void notes_clear(struct session *s);

/*
 * While there are notes: answers SHOW WARNINGS, SHOW ERRORS, SHOW COUNT(*) WARNINGS | ERRORS,
 * SELECT
 * @@warning_count | @@error_count. *sequence is the answer's first packet's and becomes the next
 * one's; `more` results follow. False: it is none of these, nothing was sent.
 */
bool notes_answer(struct session *s, const char *text, size_t len, uint8_t *sequence, bool more);

#endif
