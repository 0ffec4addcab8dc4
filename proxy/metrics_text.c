/*
 * Lines of /metrics.
 */
#include "proxy/metrics_text.h"

#include <inttypes.h>

void metrics_text_head(struct evbuffer *out, const char *name, const char *kind, const char *help)
{
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

const char *metrics_text_family(struct evbuffer *out, enum metric_family family)
{
    const struct metric_family_row *row = metric_family_row(family);

    metrics_text_head(out, row->name, row->kind, row->help);
    return row->name;
}

void metrics_text_value(struct evbuffer *out, enum metric_family family, uint64_t value)
{
    const char *name = metrics_text_family(out, family);

    evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}
