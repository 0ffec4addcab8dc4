/*
 * A queue of calls from any thread to the thread of one event base.
 */
#ifndef VTSHIM_PROXY_MAILBOX_H
#define VTSHIM_PROXY_MAILBOX_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

typedef void mailbox_fn(void *context, void *arg);

STAILQ_HEAD(letter_list, letter);

struct mailbox {
    pthread_mutex_t lock;
    struct letter_list letters;
    int wake_fd;
    struct event wake_event;
};

/* False when the system has no descriptor left. */
bool mailbox_init(struct mailbox *mb, struct event_base *base);

/* Letters that were not delivered are dropped; their args must be owned elsewhere. */
void mailbox_fini(struct mailbox *mb);

/* Calls fn(context, arg) from the base's loop, in the order of posting. Any thread. */
void mailbox_post(struct mailbox *mb, mailbox_fn *fn, void *context, void *arg);

#endif
