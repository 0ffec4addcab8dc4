/* For tests: VSchemas and routing rules from JSON that must be right. Include behind cmocka.h. */
#ifndef VTSHIM_TESTS_UNIT_READ_VSCHEMA_H
#define VTSHIM_TESTS_UNIT_READ_VSCHEMA_H

#include <string.h>

#include "proxy/vschema_json.h"

/* To be given to vschema_free. */
static inline struct vschema *read_vschema(const char *json)
{
    char error[VSCHEMA_JSON_ERROR_SIZE] = "";
    struct vschema *v = vschema_read(json, strlen(json), error);

    if (!v)
        fail_msg("%s: %s", json, error);
    return v;
}

/* To be given to routing_free. */
static inline struct routing_rules *read_rules(const char *json)
{
    char error[VSCHEMA_JSON_ERROR_SIZE] = "";
    struct routing_rules *r = routing_read(json, strlen(json), error);

    if (!r)
        fail_msg("%s: %s", json, error);
    return r;
}

#endif
