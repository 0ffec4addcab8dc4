/*
 * Lines of /metrics.
 */
#include "proxy/metrics_text.h"

#include <inttypes.h>

void metrics_text_head(struct evbuffer *out, const char *name, const char *kind, const char *help)
{
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void metrics_text_value(struct evbuffer *out, const char *name, const char *kind, const char *help,
                        uint64_t value)
{
    metrics_text_head(out, name, kind, help);
    evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}
