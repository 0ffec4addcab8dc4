/*
 * What an unknown key may have been meant to be.
 */
#ifndef VTSHIM_CONFIG_SUGGEST_H
#define VTSHIM_CONFIG_SUGGEST_H

#include "config/options.h"

#include <stdbool.h>

#define SUGGEST_KEY_MAX 64 /* more than the longest key, with its NUL */

/* The known key, or group of keys like "ddl", that is closest to key: a slip of the pen, or a
   key without its group. Written to buf[SUGGEST_KEY_MAX]; false: nothing is close enough. */
bool suggest_key(const char *key, char *buf);

/* Whether keys begin with name and a dot. */
bool suggest_is_group(const char *name);

/* Sets err to "KEY: unknown setting" (or: a group), with a suggestion if there is one. Returns
 * false. */
bool suggest_unknown(const char *key, struct config_error *err);

#endif
