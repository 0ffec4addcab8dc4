/*
 * Reads a configuration file: one JSON object whose keys are those of options.def. A dotted key is
 * written either so ("ddl.strategy": "vitess") or as nested objects ("ddl": {"strategy":
 * "vitess"}); the same setting twice, an unknown key or a value of another type is an error.
 */
#ifndef VTSHIM_CONFIG_LOAD_H
#define VTSHIM_CONFIG_LOAD_H

#include "config/check.h"
#include "config/options.h"

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_FILE_MAX 1048576 /* bytes, 1 MiB; a larger file is refused unread */

/* Sets in *into what the file at path contains; the other settings keep their values. The rules
   across settings are not checked: command-line options may follow; see config_check. On false,
   *err is "FILE:LINE: KEY: ..." (without KEY or LINE where there is none), and *into is still
   valid but may have got some of the settings: throw it away. */
bool config_load_file(const char *path, struct config *into, struct config_error *err);

/* The same from text[0..len), which need not end in NUL; name stands for FILE in errors. */
bool config_load_text(const char *name, const char *text, size_t len, struct config *into,
                      struct config_error *err);

#endif
