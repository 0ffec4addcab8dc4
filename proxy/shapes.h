/*
 * Statement shapes: which statements come most often, so that vtgates can plan them before they are
 * asked to (warm.h). Counted in bounded memory by each worker from samples (plans.sample), and
 * merged when somebody asks. A shape has no literal of a user in it if it came as a text
 * (planner/sample.h); a prepared statement is kept as its client wrote it, for vtgate's key has
 * just that. Neither is ever logged; SHOW SHAPES shows digests.
 */
#ifndef VTSHIM_PROXY_SHAPES_H
#define VTSHIM_PROXY_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHAPES_MAX 512 /* of one worker */

struct server;
struct shapes;

struct shape {
    uint64_t id; /* equal for equal shapes */
    uint64_t count;
    bool prepared; /* else a text */
    char *target;  /* the session's, as in USE; "": none */
    char *text;
    size_t len;
};

/* A worker's. */
struct shapes *shapes_create(void);
void shapes_destroy(struct shapes *sh); /* NULL is fine */

/* A statement that was picked; target may be NULL. The worker's thread, as the next two. */
void shapes_note_text(struct shapes *sh, const char *target, const char *sql, size_t len);
/* One that is prepared: its id for shapes_note_execute, or 0. */
uint64_t shapes_note_prepare(struct shapes *sh, const char *target, const char *sql, size_t len);
void shapes_note_execute(struct shapes *sh, uint64_t id);

/* The most frequent ones of all workers. */
struct shape_list {
    size_t n;
    struct shape *items; /* the most frequent first */
};

/* Calls done with the `max` most frequent shapes, on the control loop and never from inside of
   this; the list is the callee's to free. Control loop. */
typedef void shapes_done_fn(void *arg, struct shape_list *list);
void shapes_collect(struct server *server, size_t max, shapes_done_fn *done, void *arg);
void shape_list_free(struct shape_list *list);

#endif
