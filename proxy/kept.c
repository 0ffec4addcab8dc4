/*
 * The stock of places for commands.
 */
#include "proxy/kept.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"

struct kept_command *kept_take(struct kept_stock *stock, const uint8_t *packet, size_t len)
{
    struct kept_command *k = stock->first;

    if (len > KEPT_SMALL) {
        k = memory_resize(NULL, sizeof(*k) + len);
    } else if (k) {
        stock->first = k->next;
        stock->n--;
    } else {
        k = memory_resize(NULL, sizeof(*k) + KEPT_SMALL);
    }
    k->len = len;
    memcpy(k->bytes, packet, len);
    return k;
}

void kept_give(struct kept_stock *stock, struct kept_command *k)
{
    if (k->len > KEPT_SMALL || stock->n >= KEPT_FREE) {
        free(k);
        return;
    }
    k->next = stock->first;
    stock->first = k;
    stock->n++;
}

void kept_stock_fini(struct kept_stock *stock)
{
    while (stock->first) {
        struct kept_command *k = stock->first;

        stock->first = k->next;
        free(k);
    }
    stock->n = 0;
}
