/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The rules of JSON text that json-c's tokener leaves open, checked on the bytes on their way to
 * it, and where a value ends. Nothing is built here: that is the tokener's job.
 *
 * Tried out with json-c 0.16, strict flag set: fed byte by byte it takes [1-2] for [1] and refuses
 * every UTF-8 character of more than one byte; fed whole it lets overlong UTF-8 and surrogates
 * pass. Either way it takes "1." for a number, clamps 18446744073709551616 and
 * -9223372036854775809 silently, keeps the last of several members of one name, and lets control
 * characters and lone surrogate escapes into strings. 64 MiB of "{},{},{}," make it allocate 17 GB.
 *
 * The rule here is RFC 8259, with one addition that hosts use: strings may stand in single quotes,
 * and \' is a quote in any string. What the tokener does not know is passed on to it rewritten.
 */
#define JSON_LEXER_MAX_VALUES 262144

/*
 * A text: the value of a member that begins with so many plain characters, such as a file's
 * contents in base64. The tokener takes one byte at a time, so the caller may keep the plain
 * characters from it (json_lexer_plain_run()) and go on with json_lexer_scan() at the byte behind
 * them, or pass them on and go on there, too.
 */
#define JSON_LEXER_TEXT_BYTES 1024

typedef enum {
    JSON_LEXER_MORE,      /* all bytes are fine; the value goes on */
    JSON_LEXER_END,       /* the value is complete with the bytes used */
    JSON_LEXER_REPLACE,   /* pass on the bytes used, then .instead, and leave out .skip bytes */
    JSON_LEXER_TEXT,      /* the bytes used end with the quote that opens a long text: see below */
    JSON_LEXER_DELIMITER, /* the byte after those used is 0xFF */
    JSON_LEXER_ERROR,     /* the byte after those used cannot stand there; .error says why */
} JsonLexerResult;

/* Zeroed at the start of each value. */
typedef struct {
    const char *instead; /* static text */
    size_t skip;
    const char *error; /* static text */
    unsigned members;  /* name/value pairs in the value so far, at all depths */

    /* The rest is private. */
    unsigned state;
    unsigned depth;
    bool after_colon; /* what follows is a member's value */
    unsigned values;
    unsigned number_state;
    uint64_t number_magnitude; /* of the digits of an integer */
    bool number_negative;
    bool number_overflow;
    char quote;               /* that ends the string */
    bool high_surrogate;      /* the escape just read is the first half of a pair */
    uint8_t hex_digits;       /* of \uXXXX: still missing */
    uint16_t code_unit;       /* of \uXXXX: so far */
    uint8_t continuation;     /* of a UTF-8 character: bytes still missing ... */
    uint8_t continuation_low; /* ... and the range of the next one */
    uint8_t continuation_high;
} JsonLexer;

/* Looks at the next bytes of a value; *used is how many of them the result speaks of. */
JsonLexerResult json_lexer_scan(JsonLexer *lexer, const uint8_t *bytes, size_t length,
                                size_t *used);

/* How many of the bytes stand for themselves in a string, whatever its quotes. */
size_t json_lexer_plain_run(const uint8_t *bytes, size_t length);
