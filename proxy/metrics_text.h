/*
 * Prometheus' text format, as far as several files write it.
 */
#ifndef VTSHIM_PROXY_METRICS_TEXT_H
#define VTSHIM_PROXY_METRICS_TEXT_H

#include <event2/buffer.h>
#include <stdint.h>

#include "proxy/metrics.h"

/* The HELP and TYPE lines of a metric, whose samples are to follow. */
void metrics_text_head(struct evbuffer *out, const char *name, const char *kind, const char *help);

/* The same of a family, whose name is returned. */
const char *metrics_text_family(struct evbuffer *out, enum metric_family family);

/* A family with one sample and no labels. */
void metrics_text_value(struct evbuffer *out, enum metric_family family, uint64_t value);

#endif
