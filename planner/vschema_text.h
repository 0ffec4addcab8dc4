/*
 * A VSchema, or a part of it, as JSON: in Vitess's own form (protojson of vschema.Keyspace with the
 * field names of the .proto), so that vtctldclient takes it. Keys are sorted. Pure.
 */
#ifndef VTSHIM_PLANNER_VSCHEMA_TEXT_H
#define VTSHIM_PLANNER_VSCHEMA_TEXT_H

#include <stddef.h>

#include "planner/vschema.h"

/* A text that grows. */
struct text {
    char *at; /* owned; NULL: nothing yet. Ends with a NUL */
    size_t len, room;
};

void text_add(struct text *t, const char *text);
void text_format(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_json(struct text *t, const char *value); /* as a JSON string, quotes included */
void text_free(struct text *t);
/* Takes the text: to be freed with free(). Never NULL. */
char *text_take(struct text *t);

void vschema_write(struct text *out, const struct vschema *v);
void vschema_write_vindex(struct text *out, const struct vschema_vindex *vindex);
void vschema_write_table(struct text *out, const struct vschema_table *t);
void vschema_write_column(struct text *out, const struct vschema_column *c);

/* ["a","b"] */
void vschema_write_names(struct text *out, const char *const *names, size_t n);

#endif
