/*
 * The commands a client sends, and the shape of the response to each (command.def).
 */
#ifndef VTSHIM_PROTOCOL_COMMAND_H
#define VTSHIM_PROTOCOL_COMMAND_H

#include <stdint.h>

enum command {
#define COMMAND(byte, NAME, name, shape) COM_##NAME = byte,
#include "protocol/command.def"
#undef COMMAND
    COMMAND_COUNT = 0x20 /* one more than the largest byte above */
};

enum response_shape {
    SHAPE_NONE,    /* no response at all */
    SHAPE_SIMPLE,  /* one OK, EOF or ERR packet */
    SHAPE_SINGLE,  /* one packet of any kind */
    SHAPE_RESULT,  /* OK, ERR, a LOCAL INFILE request, or result sets */
    SHAPE_PREPARE, /* COM_STMT_PREPARE_OK with definitions, or ERR */
    SHAPE_FIELDS,  /* column definitions up to EOF, or ERR */
    SHAPE_ROWS,    /* rows up to EOF, or ERR */
    SHAPE_AUTH,    /* an authentication exchange up to OK or ERR */
    SHAPE_STREAM   /* ERR, or packets without an end that the protocol tells: the rest of the
                      connection */
};

/* The shape for a command byte; SHAPE_SIMPLE for an unknown one (a server answers it with ERR). */
enum response_shape command_shape(uint8_t byte);

/* "query", "stmt_execute" ...; "unknown" for a byte that is no command. */
const char *command_name(uint8_t byte);

#endif
