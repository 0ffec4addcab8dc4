/*
 * Copies of commands that may have to be sent again, until the first byte of their answer is here.
 * Small ones, as nearly all are, have places of one size that the worker uses over and over, the
 * one given back last first, so that it is still in the processor's cache. A worker's own thread.
 */
#ifndef VTSHIM_PROXY_KEPT_H
#define VTSHIM_PROXY_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEPT_SMALL 480 /* bytes of a command that fit into a place */
#define KEPT_FREE  128 /* places that a worker keeps in stock */

struct kept_command {
    struct kept_command *next; /* in the stock */
    uint64_t generation;       /* of what went wrong before it was sent (planner/trouble.h) */
    size_t len;
    bool in_transaction, first; /* as in struct retry_facts */
    uint8_t bytes[];            /* the packet, header included */
};

/* Starts as zeros. */
struct kept_stock {
    struct kept_command *first;
    unsigned n;
};

struct kept_command *kept_take(struct kept_stock *stock, const uint8_t *packet, size_t len);
void kept_give(struct kept_stock *stock, struct kept_command *k);
void kept_stock_fini(struct kept_stock *stock);

#endif
