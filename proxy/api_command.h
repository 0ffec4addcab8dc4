/*
 * From an HTTP request of the API to a command of the admin console. Pure: no server, no socket.
 *
 * The API has no meaning of its own: it writes the command that an SRE would have typed, quoted so
 * that no value can become anything else, and the console's own parser reads it.
 *
 * Types in a route's form:
 *   word     letters and underscores, as they are
 *   words    one word, or a list of them, with commas between
 *   name     an identifier, in backquotes
 *   text     a string, in quotes
 *   number   a JSON number that is not negative, or the same in digits
 *   flag     true writes nothing, and the brackets around it stay; false is as if it were left out
 *   setting  the name of a setting
 *   value    of a setting: a string, a number or a boolean, in quotes
 *   document the body of the request, in quotes: JSON; or the name of a file, if it is a string
 *   conditions   what may stand behind WHERE of a SHOW, as it is: whole tokens, and no semicolon
 *   command  the whole command, as it is
 */
#ifndef VTSHIM_PROXY_API_COMMAND_H
#define VTSHIM_PROXY_API_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "protocol/bytes.h"

enum api_method { API_GET, API_POST, API_DELETE };

struct api_route {
    enum api_method method;
    const char *path, *form;
};

const struct api_route *api_routes(size_t *n);
const char *api_method_name(enum api_method method);

/*
 * The route for a path behind /api/v1, or NULL; *allowed then says, as a set of 1 << method, which
 * methods the path has. The path's parameters are put into `parameters`, an object, percent
 * encoding undone.
 */
const struct api_route *api_route_find(enum api_method method, const char *path, json_t *parameters,
                                       unsigned *allowed);

/*
 * The route's command, appended to out. False: a parameter is missing, unknown or of another kind;
 * the text says which.
 */
#define API_ERROR_MAX 200
bool api_command_build(const struct api_route *route, const json_t *parameters, struct buffer *out,
                       char error[API_ERROR_MAX]);

/* The commands that have no route, and why. */
struct api_without {
    const char *words, *why;
};
const struct api_without *api_withouts(size_t *n);

/* The parameters of a form, one by one: *form is moved on; false at its end. */
struct api_parameter {
    char name[32], type[12];
    bool optional;
};
bool api_parameter_next(const char **form, struct api_parameter *p);

/* The name of the parameter that is the body as a whole (p's storage), or NULL if there is none. */
const char *api_route_document(const struct api_route *route, struct api_parameter *p);

#endif
