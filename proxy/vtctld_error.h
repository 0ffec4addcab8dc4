/*
 * What vtctld says when it refuses a schema change, as an error of MySQL: as like as possible to
 * what vtgate says to the same statement. (go/vt/schemamanager of Vitess makes the texts.)
 */
#ifndef VTSHIM_PROXY_VTCTLD_ERROR_H
#define VTSHIM_PROXY_VTCTLD_ERROR_H

#include <stdint.h>

#include "protocol/grpc.h"

struct vtctld_error {
    uint16_t code;
    char state[6];
    char text[512];
};

/* text may hold the statement, and so may e->text: not for logs. */
void vtctld_error_read(struct vtctld_error *e, enum grpc_status status, const char *text);

/* MySQL's own code and state, where a text of Vitess has them: "(errno 1060) (sqlstate 42S21)", as
   Vitess writes errors of MySQL (go/mysql/sqlerror). Else both stay as they are. */
void vitess_error_code(const char *text, uint16_t *code, char state[6]);

#endif
