/*
 * Reading the text of an admin command. Pure: no server, no socket. What a command means is for the
 * handlers (admin_commands.c, admin_show.c).
 *
 * Each function reads on from *lx and is true, or says in *error what it would have liked to see
 * where; *lx is then anywhere.
 */
#ifndef VTSHIM_PROXY_ADMIN_PARSE_H
#define VTSHIM_PROXY_ADMIN_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/hold.h"
#include "planner/lexer.h"

struct admin_error {
    struct token near; /* borrowed from the command's text */
    char expected[96];
};

/* The text of the syntax error (1064). At most 255 bytes are written, and a NUL. */
#define ADMIN_ERROR_MAX 256
void admin_error_format(const struct admin_error *error, char text[ADMIN_ERROR_MAX]);

/* Sets *error; always false. */
bool admin_parse_refuse(struct admin_error *error, const struct token *near, const char *expected);

/* The row of admin_commands.def whose words the text begins with, or -1. */
int admin_parse_command(struct lexer *lx, struct admin_error *error);

/* Nothing but ';' follows. */
bool admin_parse_end(struct lexer *lx, struct admin_error *error);

/* A name, with or without backticks; `what` is what an error says was expected. */
bool admin_parse_name(struct lexer *lx, const char *what, char dst[HOLD_NAME_MAX],
                      struct admin_error *error);

/* HOLD, and EXPLAIN HOLD (admin_parse_hold.c). What is not said stays as it was. */
struct admin_hold {
    struct hold hold; /* scope, names, kinds, limits and reason */
    int64_t seconds;  /* FOR */
    bool sticky;
    bool local; /* not for the fleet */
};
/* max: of FOR, in seconds. */
bool admin_parse_hold(struct lexer *lx, int64_t max, struct admin_hold *h,
                      struct admin_error *error);

/* RELEASE: *id is 0 for ALL. */
bool admin_parse_release(struct lexer *lx, uint64_t *id, struct admin_error *error);

/* SHOW HOLD: the id. WAIT HOLD: the id, and *timeout_ms only if it is there. */
bool admin_parse_hold_id(struct lexer *lx, uint64_t *id, struct admin_error *error);
bool admin_parse_wait(struct lexer *lx, uint64_t *id, int64_t *timeout_ms,
                      struct admin_error *error);

/* The name of a vtgate between quotes; and, for DRAIN and RESUME VTGATE, nothing behind it. */
#define ADMIN_VTGATE_MAX HOLD_VTGATE_MAX
bool admin_parse_vtgate_name(struct lexer *lx, char name[ADMIN_VTGATE_MAX],
                             struct admin_error *error);
bool admin_parse_vtgate(struct lexer *lx, char name[ADMIN_VTGATE_MAX], struct admin_error *error);

/* RELOAD SCHEMA: "ks" or "ks/shard", with or without quotes. */
#define ADMIN_TARGET_MAX 160 /* a keyspace and a shard are at most 64 bytes each */
bool admin_parse_target(struct lexer *lx, char target[ADMIN_TARGET_MAX], struct admin_error *error);
/* The migration commands: 'uuid', then IN and a keyspace (else *keyspace is empty). */
#define ADMIN_UUID_MAX 64
bool admin_parse_migration(struct lexer *lx, char uuid[ADMIN_UUID_MAX],
                           char keyspace[HOLD_NAME_MAX], struct admin_error *error);

/* COMPLETE: FORCE, or nothing. */
bool admin_parse_force(struct lexer *lx, bool *force, struct admin_error *error);

/* THROTTLE: what follows, as it is to follow ALTER VITESS_MIGRATION .. THROTTLE: " EXPIRE '1h'
   RATIO 0.5", or empty. Checked: it goes into a statement of the shim. */
#define ADMIN_THROTTLE_MAX 64
bool admin_parse_throttle(struct lexer *lx, char options[ADMIN_THROTTLE_MAX],
                          struct admin_error *error);

/* SET: the setting's name and its value as text, DEFAULT being that of the table. */
#define ADMIN_KEY_MAX     64
#define ADMIN_SETTING_MAX 4200
bool admin_parse_set(struct lexer *lx, char key[ADMIN_KEY_MAX], char value[ADMIN_SETTING_MAX],
                     struct admin_error *error);

/* Whether what is behind SET has a value that must not be kept: a secret's, users', or that of no
   setting at all, whose name may be a secret's written wrongly. key: its name, "" if there is none
   to be read. */
bool admin_parse_set_hidden(struct lexer behind_set, char key[ADMIN_KEY_MAX]);

/* KILL: CONNECTION or QUERY, and the id. */
bool admin_parse_kill(struct lexer *lx, uint32_t *id, bool *query_only, struct admin_error *error);

#endif
