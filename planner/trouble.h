/*
 * What went wrong lately, and since when: a small table of hashes, so that an error that stays is
 * told from one that passes, and a tablet that is away from one that has just died. Pure: time is
 * an argument. Of more kinds than it has room for it forgets the oldest.
 */
#ifndef VTSHIM_PLANNER_TROUBLE_H
#define VTSHIM_PLANNER_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TROUBLE_ROWS 64
#define TROUBLE_WAYS 4

struct trouble {
    uint64_t key; /* 0: unused */
    int64_t first_ms, last_ms;
    uint64_t generation; /* of the table, when it began */
    bool lasting;        /* it was given up on */
};

/* Starts as zeros. */
struct troubles {
    uint64_t generation; /* grows with each that begins */
    struct trouble rows[TROUBLE_ROWS][TROUBLE_WAYS];
};

/* Never 0. */
uint64_t trouble_key(uint64_t seed, const char *text, size_t len);

/* How it stands with it; all zeros when it is not there, or has been quiet for longer than quiet_ms
   (lasting ones: than lasting_ms). */
struct trouble trouble_find(const struct troubles *t, uint64_t key, int64_t now_ms,
                            int64_t quiet_ms, int64_t lasting_ms);

/* It happened (again). `lasting`: and has been given up on. */
void trouble_note(struct troubles *t, uint64_t key, int64_t now_ms, int64_t quiet_ms,
                  int64_t lasting_ms, bool lasting);

/* It is over. */
void trouble_end(struct troubles *t, uint64_t key);

#endif
