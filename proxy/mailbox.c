/*
 * Cross-thread calls: a locked list and an eventfd.
 */
#include "proxy/mailbox.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/memory.h"

struct letter {
    STAILQ_ENTRY(letter) next;
    mailbox_fn *fn;
    void *context, *arg;
};

void mailbox_run(struct mailbox *mb)
{
    struct letter_list letters = STAILQ_HEAD_INITIALIZER(letters);
    uint64_t count;
    ssize_t ignored = read(mb->wake_fd, &count, sizeof(count));

    (void)ignored;
    pthread_mutex_lock(&mb->lock);
    STAILQ_CONCAT(&letters, &mb->letters);
    pthread_mutex_unlock(&mb->lock);
    while (!STAILQ_EMPTY(&letters)) {
        struct letter *l = STAILQ_FIRST(&letters);

        STAILQ_REMOVE_HEAD(&letters, next);
        l->fn(l->context, l->arg);
        free(l);
    }
}

bool mailbox_init(struct mailbox *mb)
{
    STAILQ_INIT(&mb->letters);
    pthread_mutex_init(&mb->lock, NULL);
    mb->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return mb->wake_fd >= 0;
}

void mailbox_fini(struct mailbox *mb)
{
    close(mb->wake_fd);
    while (!STAILQ_EMPTY(&mb->letters)) {
        struct letter *l = STAILQ_FIRST(&mb->letters);

        STAILQ_REMOVE_HEAD(&mb->letters, next);
        free(l);
    }
    pthread_mutex_destroy(&mb->lock);
}

void mailbox_post(struct mailbox *mb, mailbox_fn *fn, void *context, void *arg)
{
    struct letter *l = memory_zalloc(sizeof(*l));
    uint64_t one = 1;

    l->fn = fn;
    l->context = context;
    l->arg = arg;
    pthread_mutex_lock(&mb->lock);
    STAILQ_INSERT_TAIL(&mb->letters, l, next);
    pthread_mutex_unlock(&mb->lock);
    ssize_t ignored = write(mb->wake_fd, &one, sizeof(one));

    (void)ignored; /* a full counter wakes as well */
}

struct visit {
    struct mailbox *back;
    mailbox_fn *done;
    void *context, *arg;
};

static void visited(void *context, void *arg)
{
    struct visit *visit = arg;

    (void)context;
    mailbox_post(visit->back, visit->done, visit->context, visit->arg);
    free(visit);
}

void mailbox_visit(struct mailbox *mb, struct mailbox *back, mailbox_fn *done, void *context,
                   void *arg)
{
    struct visit *visit = memory_zalloc(sizeof(*visit));

    *visit = (struct visit){back, done, context, arg};
    mailbox_post(mb, visited, NULL, visit);
}
