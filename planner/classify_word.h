/*
 * The rows of statements.def's KEYWORDs: shared by classify.c and classify_quick.c alone.
 */
#ifndef VTSHIM_PLANNER_CLASSIFY_WORD_H
#define VTSHIM_PLANNER_CLASSIFY_WORD_H

#include <stddef.h>

enum first_word_row {
    ROW_UNKNOWN,
#define KEYWORD(word, kind, quick, parse) ROW_##word,
#include "planner/statements.def"
};

/* The row for the whole word that text[0..len) begins with. */
enum first_word_row classify_first_word(const char *text, size_t len);

#endif
