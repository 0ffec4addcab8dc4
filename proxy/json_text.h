/*
 * Texts of others as JSON, which is UTF-8: a user's name in another character set, or an error that
 * was cut off in the middle of a character. Pure.
 */
#ifndef VTSHIM_PROXY_JSON_TEXT_H
#define VTSHIM_PROXY_JSON_TEXT_H

#include <jansson.h>

/* The text with "?" for each byte that is no UTF-8: never NULL, which would end whatever it is to
   be a part of. To be released. */
json_t *json_text(const char *text);

#endif
