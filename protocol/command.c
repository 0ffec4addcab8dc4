/*
 * The command table.
 */
#include "protocol/command.h"

#include <stddef.h>

struct command_row {
    const char *name;
    enum response_shape shape;
};

static const struct command_row COMMANDS[COMMAND_COUNT] = {
#define COMMAND(byte, NAME, text, response) [byte] = {.name = text, .shape = SHAPE_##response},
#include "protocol/command.def"
#undef COMMAND
};

enum response_shape command_shape(uint8_t byte)
{
    if (byte >= COMMAND_COUNT || !COMMANDS[byte].name)
        return SHAPE_SIMPLE;
    return COMMANDS[byte].shape;
}

const char *command_name(uint8_t byte)
{
    if (byte >= COMMAND_COUNT || !COMMANDS[byte].name)
        return "unknown";
    return COMMANDS[byte].name;
}
