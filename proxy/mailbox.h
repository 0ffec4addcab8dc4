/*
 * A queue of calls from any thread to the thread of one loop.
 */
#ifndef VTSHIM_PROXY_MAILBOX_H
#define VTSHIM_PROXY_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

typedef void mailbox_fn(void *context, void *arg);

STAILQ_HEAD(letter_list, letter);

struct mailbox {
    pthread_mutex_t lock;
    struct letter_list letters;
    int wake_fd; /* readable while there are letters: the loop watches it, and runs the mailbox */
};

/* False when the system has no descriptor left. */
bool mailbox_init(struct mailbox *mb);

/* Letters that were not delivered are dropped; their args must be owned elsewhere. */
void mailbox_fini(struct mailbox *mb);

/* Calls what was posted until now, in that order. The loop's thread. */
void mailbox_run(struct mailbox *mb);

/* Has fn(context, arg) called by mailbox_run. Any thread. */
void mailbox_post(struct mailbox *mb, mailbox_fn *fn, void *context, void *arg);

/* Has done(context, arg) called on back's thread after mb's has begun another turn: what mb's used
   before then, it does not use any more. Any thread. */
void mailbox_visit(struct mailbox *mb, struct mailbox *back, mailbox_fn *done, void *context,
                   void *arg);

#endif
