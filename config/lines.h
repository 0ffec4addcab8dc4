/*
 * Where in a JSON text a key stands: jansson's values do not know their lines.
 */
#ifndef VTSHIM_CONFIG_LINES_H
#define VTSHIM_CONFIG_LINES_H

#include <stddef.h>

/* The line, from 1, of the key path[n - 1] in the object under path[n - 2] and so on up to
   path[0] in the outermost object; 0 if it is not there. text[0..len) must be JSON that jansson has
   accepted, without duplicate keys. */
size_t lines_of_key(const char *text, size_t len, const char *const *path, size_t n);

#endif
