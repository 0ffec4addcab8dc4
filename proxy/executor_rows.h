/*
 * What SHOW VITESS_MIGRATIONS answers, as rows of an executor.
 */
#ifndef VTSHIM_PROXY_EXECUTOR_ROWS_H
#define VTSHIM_PROXY_EXECUTOR_ROWS_H

#include <stddef.h>

#include "proxy/ask.h"
#include "proxy/executor.h"

/* To be freed, *n of them (also if that is 0); their bytes are borrowed from the answer. NULL: it
   is no such answer, for instance an error, or without a column that is needed. */
struct executor_row *executor_rows_read(const struct answer *a, size_t *n);

#endif
