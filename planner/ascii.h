/*
 * Byte classes and case folding that do not depend on the locale. SQL keywords are ASCII; bytes
 * from 0x80 up belong to identifiers (whatever the connection's character set makes of them).
 */
#ifndef VTSHIM_PLANNER_ASCII_H
#define VTSHIM_PLANNER_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ascii_class {
    ASCII_BLANK = 1, /* space, \t \n \v \f \r */
    ASCII_DIGIT = 2,
    ASCII_WORD = 4 /* may be inside of an unquoted identifier: letter, digit, _, $, 0x80 and up */
};

/* Bit set of enum ascii_class for each byte. Defined in lexer.c. */
extern const uint8_t ascii_classes[256];

static inline bool ascii_is(char c, enum ascii_class wanted)
{
    return (ascii_classes[(unsigned char)c] & (unsigned)wanted) != 0;
}

static inline unsigned char ascii_upper(char c)
{
    unsigned char u = (unsigned char)c;
    return (unsigned char)(u >= 'a' && u <= 'z' ? u - 'a' + 'A' : u);
}

static inline char ascii_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Whether text[0..len) is `upper` (upper_len bytes, letters in upper case), ignoring ASCII case. */
static inline bool ascii_equals(const char *text, size_t len, const char *upper, size_t upper_len)
{
    if (len != upper_len)
        return false;
    for (size_t i = 0; i < upper_len; i++) {
        if (ascii_upper(text[i]) != (unsigned char)upper[i])
            return false;
    }
    return true;
}

#endif
