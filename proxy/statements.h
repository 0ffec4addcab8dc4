/*
 * The prepared statements of one session: by id (COM_STMT_PREPARE) and by name (PREPARE .. FROM).
 * Only what planning their execution needs is kept, and of at most STATEMENTS_MAX: the ones beyond
 * are unknown to the shim, which then treats them as concerned by every hold.
 */
#ifndef VTSHIM_PROXY_STATEMENTS_H
#define VTSHIM_PROXY_STATEMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "planner/plan.h"

#define STATEMENTS_MAX 16384 /* MySQL's own default for max_prepared_stmt_count is 16382 */

struct statements;

struct statements *statements_create(void);
void statements_destroy(struct statements *sts); /* NULL is fine */

/* Both take over *p (moved). An old one under the same id or name is replaced. */
void statements_put(struct statements *sts, uint32_t id, struct prepared *p);
void statements_put_named(struct statements *sts, struct sql_name name, struct prepared *p);

/* Borrowed until the next change; NULL: unknown. */
struct prepared *statements_get(const struct statements *sts, uint32_t id);
struct prepared *statements_get_named(const struct statements *sts, struct sql_name name);

/* COM_STMT_SEND_LONG_DATA came for it. */
void statements_note_long_data(struct statements *sts, uint32_t id);
/* It is executed. False: it cannot be executed again in the same way, since long data had come. */
bool statements_note_run(struct statements *sts, uint32_t id);

/* All of them, one after the other. fn must not change them. */
void statements_each(const struct statements *sts, void (*fn)(void *arg, const struct prepared *p),
                     void *arg);

void statements_remove(struct statements *sts, uint32_t id);
void statements_remove_named(struct statements *sts, struct sql_name name);

#endif
