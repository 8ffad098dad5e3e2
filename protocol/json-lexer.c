/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/json-lexer.h"

#include <glib.h>
#include <string.h>

#define EACH_BYTE UINT64_C(0x0101010101010101)

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} Cursor;

/* Looks at *cursor->at, which exists. MORE: go on, in whatever state the lexer now is. */
typedef JsonLexerResult (*Scanner)(JsonLexer *lexer, Cursor *cursor);

enum {
    STATE_OUTSIDE, /* between values */
    STATE_WORD,
    STATE_NUMBER,
    STATE_STRING,
    STATE_CHARACTER, /* inside a UTF-8 character of several bytes */
    STATE_ESCAPE,
    STATE_ESCAPE_HEX,
    STATE_ENDED, /* the last byte of the value has been replaced */
};

enum {
    NUMBER_WRONG,
    NUMBER_START,
    NUMBER_MINUS,
    NUMBER_ZERO,
    NUMBER_INTEGER,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_EXPONENT,
    NUMBER_EXPONENT_SIGN,
    NUMBER_EXPONENT_DIGITS,
    NUMBER_END,
    NUMBER_STATES,
};

enum {
    BYTE_OTHER,
    BYTE_LETTER,
    BYTE_ZERO,
    BYTE_DIGIT,
    BYTE_MINUS,
    BYTE_PLUS,
    BYTE_POINT,
    BYTE_E,
    BYTE_CLASSES
};

static const uint8_t number_classes[256] = {
    ['0'] = BYTE_ZERO,
    ['1' ... '9'] = BYTE_DIGIT,
    ['-'] = BYTE_MINUS,
    ['+'] = BYTE_PLUS,
    ['.'] = BYTE_POINT,
    ['e'] = BYTE_E,
    ['E'] = BYTE_E,
    ['a' ... 'd'] = BYTE_LETTER,
    ['f' ... 'z'] = BYTE_LETTER,
    ['A' ... 'D'] = BYTE_LETTER,
    ['F' ... 'Z'] = BYTE_LETTER,
};

/* RFC 8259, section 6; what is not named is NUMBER_WRONG. */
static const uint8_t number_transitions[NUMBER_STATES][BYTE_CLASSES] = {
    [NUMBER_START] =
        {[BYTE_MINUS] = NUMBER_MINUS, [BYTE_ZERO] = NUMBER_ZERO, [BYTE_DIGIT] = NUMBER_INTEGER},
    [NUMBER_MINUS] = {[BYTE_ZERO] = NUMBER_ZERO, [BYTE_DIGIT] = NUMBER_INTEGER},
    [NUMBER_ZERO] =
        {[BYTE_POINT] = NUMBER_POINT, [BYTE_E] = NUMBER_EXPONENT, [BYTE_OTHER] = NUMBER_END},
    [NUMBER_INTEGER] = {[BYTE_ZERO] = NUMBER_INTEGER,
                        [BYTE_DIGIT] = NUMBER_INTEGER,
                        [BYTE_POINT] = NUMBER_POINT,
                        [BYTE_E] = NUMBER_EXPONENT,
                        [BYTE_OTHER] = NUMBER_END},
    [NUMBER_POINT] = {[BYTE_ZERO] = NUMBER_FRACTION, [BYTE_DIGIT] = NUMBER_FRACTION},
    [NUMBER_FRACTION] = {[BYTE_ZERO] = NUMBER_FRACTION,
                         [BYTE_DIGIT] = NUMBER_FRACTION,
                         [BYTE_E] = NUMBER_EXPONENT,
                         [BYTE_OTHER] = NUMBER_END},
    [NUMBER_EXPONENT] = {[BYTE_ZERO] = NUMBER_EXPONENT_DIGITS,
                         [BYTE_DIGIT] = NUMBER_EXPONENT_DIGITS,
                         [BYTE_MINUS] = NUMBER_EXPONENT_SIGN,
                         [BYTE_PLUS] = NUMBER_EXPONENT_SIGN},
    [NUMBER_EXPONENT_SIGN] =
        {[BYTE_ZERO] = NUMBER_EXPONENT_DIGITS, [BYTE_DIGIT] = NUMBER_EXPONENT_DIGITS},
    [NUMBER_EXPONENT_DIGITS] = {[BYTE_ZERO] = NUMBER_EXPONENT_DIGITS,
                                [BYTE_DIGIT] = NUMBER_EXPONENT_DIGITS,
                                [BYTE_OTHER] = NUMBER_END},
};

/* Bytes of a string that need no look. */
static const bool plain_bytes[256] = {
    [0x20 ... '"' - 1] = true,
    ['"' + 1 ... '\'' - 1] = true,
    ['\'' + 1 ... '\\' - 1] = true,
    ['\\' + 1 ... 0x7F] = true,
};

/* The highest bit of each byte that is zero; those above the lowest such byte may be wrong. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH_BYTE) & ~word;
}

/* Eight bytes in one register: none is a control character, a quote, a backslash or beyond ASCII.
 */
static bool is_plain_word(const uint8_t *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    uint64_t special = word | ((word - EACH_BYTE * 0x20) & ~word);
    special |= zero_bytes(word ^ EACH_BYTE * '"') | zero_bytes(word ^ EACH_BYTE * '\'');
    special |= zero_bytes(word ^ EACH_BYTE * '\\');
    return (special & EACH_BYTE * 0x80) == 0;
}

size_t json_lexer_plain_run(const uint8_t *bytes, size_t length)
{
    size_t run = 0;

    while (length - run >= sizeof(uint64_t) && is_plain_word(bytes + run))
        run += sizeof(uint64_t);
    while (run < length && plain_bytes[bytes[run]])
        run++;
    return run;
}

static JsonLexerResult refuse(JsonLexer *lexer, const char *why)
{
    lexer->error = why;
    return JSON_LEXER_ERROR;
}

static JsonLexerResult replace(JsonLexer *lexer, const char *instead, size_t skip)
{
    lexer->instead = instead;
    lexer->skip = skip;
    return JSON_LEXER_REPLACE;
}

static JsonLexerResult pass(JsonLexer *lexer, Cursor *cursor)
{
    cursor->at++;
    return JSON_LEXER_MORE;
}

/* After a string, number or word: nothing follows when nothing encloses it. */
static JsonLexerResult leave_scalar(JsonLexer *lexer)
{
    lexer->state = STATE_OUTSIDE;
    return lexer->depth == 0 ? JSON_LEXER_END : JSON_LEXER_MORE;
}

static JsonLexerResult count_value(JsonLexer *lexer, Cursor *cursor)
{
    lexer->after_colon = false;
    if (++lexer->values > JSON_LEXER_MAX_VALUES)
        return refuse(lexer, "more than " G_STRINGIFY(JSON_LEXER_MAX_VALUES) " values");
    return pass(lexer, cursor);
}

static JsonLexerResult open_container(JsonLexer *lexer, Cursor *cursor)
{
    lexer->depth++;
    return count_value(lexer, cursor);
}

static JsonLexerResult close_container(JsonLexer *lexer, Cursor *cursor)
{
    cursor->at++;
    if (lexer->depth <= 1)
        return JSON_LEXER_END;
    lexer->depth--;
    return JSON_LEXER_MORE;
}

static JsonLexerResult count_member(JsonLexer *lexer, Cursor *cursor)
{
    lexer->members++;
    lexer->after_colon = true;
    return pass(lexer, cursor);
}

static bool begins_text(const Cursor *cursor)
{
    return cursor->end - cursor->at >= JSON_LEXER_TEXT_BYTES &&
           json_lexer_plain_run(cursor->at, JSON_LEXER_TEXT_BYTES) == JSON_LEXER_TEXT_BYTES;
}

static JsonLexerResult open_string(JsonLexer *lexer, Cursor *cursor)
{
    lexer->state = STATE_STRING;
    lexer->quote = (char)*cursor->at;
    if (lexer->quote == '\'')
        return replace(lexer, "\"", 1);
    cursor->at++;
    bool is_text = lexer->after_colon && begins_text(cursor);
    lexer->after_colon = false;
    return is_text ? JSON_LEXER_TEXT : JSON_LEXER_MORE;
}

static JsonLexerResult open_number(JsonLexer *lexer, Cursor *cursor)
{
    lexer->state = STATE_NUMBER;
    lexer->number_state = NUMBER_START;
    lexer->number_negative = *cursor->at == '-';
    lexer->number_overflow = false;
    lexer->number_magnitude = 0;
    return JSON_LEXER_MORE;
}

static JsonLexerResult open_word(JsonLexer *lexer, Cursor *cursor)
{
    lexer->state = STATE_WORD;
    return pass(lexer, cursor);
}

static const Scanner outside_scanners[256] = {
    [' '] = pass,
    ['\t'] = pass,
    ['\n'] = pass,
    ['\r'] = pass,
    ['{'] = open_container,
    ['['] = open_container,
    ['}'] = close_container,
    [']'] = close_container,
    [','] = count_value,
    [':'] = count_member,
    ['"'] = open_string,
    ['\''] = open_string,
    ['-'] = open_number,
    ['0' ... '9'] = open_number,
    ['a' ... 'z'] = open_word, /* not NaN and Infinity, which the tokener knows */
};

static JsonLexerResult scan_outside(JsonLexer *lexer, Cursor *cursor)
{
    Scanner scanner = outside_scanners[*cursor->at];

    return scanner != NULL ? scanner(lexer, cursor) : refuse(lexer, "unexpected character");
}

/* Which words there are is the tokener's knowledge. */
static JsonLexerResult scan_word(JsonLexer *lexer, Cursor *cursor)
{
    return g_ascii_isalnum(*cursor->at) ? pass(lexer, cursor) : leave_scalar(lexer);
}

static void count_digit(JsonLexer *lexer, unsigned digit)
{
    if (lexer->number_magnitude > (G_MAXUINT64 - digit) / 10)
        lexer->number_overflow = true;
    lexer->number_magnitude = lexer->number_magnitude * 10 + digit;
}

static bool exceeds_64_bits(const JsonLexer *lexer)
{
    return lexer->number_overflow ||
           (lexer->number_negative && lexer->number_magnitude > (uint64_t)G_MAXINT64 + 1);
}

static JsonLexerResult scan_number(JsonLexer *lexer, Cursor *cursor)
{
    unsigned state = lexer->number_state;
    unsigned next = number_transitions[state][number_classes[*cursor->at]];

    if (next == NUMBER_WRONG)
        return refuse(lexer, "wrong number");
    if (next == NUMBER_END) {
        JsonLexerResult result = leave_scalar(lexer);
        bool is_integer = state == NUMBER_ZERO || state == NUMBER_INTEGER;
        if (!is_integer || !exceeds_64_bits(lexer))
            return result;
        /* With a fraction the tokener takes it for a double instead of clamping it. */
        lexer->state = result == JSON_LEXER_END ? STATE_ENDED : STATE_OUTSIDE;
        return replace(lexer, ".0", 0);
    }
    if (next == NUMBER_INTEGER)
        count_digit(lexer, (unsigned)(*cursor->at - '0'));
    lexer->number_state = next;
    return pass(lexer, cursor);
}

static JsonLexerResult close_string(JsonLexer *lexer, Cursor *cursor)
{
    JsonLexerResult result = leave_scalar(lexer);

    if (lexer->quote == '"') {
        cursor->at++;
        return result;
    }
    lexer->state = result == JSON_LEXER_END ? STATE_ENDED : STATE_OUTSIDE;
    return replace(lexer, "\"", 1);
}

/* The Unicode Standard, table 3-7: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static JsonLexerResult open_character(JsonLexer *lexer, Cursor *cursor)
{
    uint8_t byte = *cursor->at;

    if (byte < 0xC2 || byte > 0xF4)
        return refuse(lexer, "invalid UTF-8 sequence in string");
    lexer->continuation = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    lexer->continuation_low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    lexer->continuation_high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    lexer->state = STATE_CHARACTER;
    return pass(lexer, cursor);
}

static JsonLexerResult scan_character(JsonLexer *lexer, Cursor *cursor)
{
    uint8_t byte = *cursor->at;

    if (byte < lexer->continuation_low || byte > lexer->continuation_high)
        return refuse(lexer, "invalid UTF-8 sequence in string");
    lexer->continuation_low = 0x80;
    lexer->continuation_high = 0xBF;
    if (--lexer->continuation == 0)
        lexer->state = STATE_STRING;
    return pass(lexer, cursor);
}

static JsonLexerResult scan_string(JsonLexer *lexer, Cursor *cursor)
{
    if (lexer->high_surrogate && *cursor->at != '\\')
        return refuse(lexer, "half a surrogate pair in string");
    cursor->at += json_lexer_plain_run(cursor->at, (size_t)(cursor->end - cursor->at));
    if (cursor->at == cursor->end || *cursor->at == 0xFF)
        return JSON_LEXER_MORE;

    uint8_t byte = *cursor->at;
    if (byte == lexer->quote)
        return close_string(lexer, cursor);
    if (byte == '\\')
        lexer->state = STATE_ESCAPE;
    else if (byte == '"')
        return replace(lexer, "\\\"", 1);
    else if (byte < 0x20)
        return refuse(lexer, "control character in string");
    else if (byte >= 0x80)
        return open_character(lexer, cursor);
    return pass(lexer, cursor);
}

static JsonLexerResult scan_escape(JsonLexer *lexer, Cursor *cursor)
{
    static const bool known[256] = {
        ['"'] = true, ['\\'] = true, ['/'] = true, ['b'] = true, ['f'] = true,
        ['n'] = true, ['r'] = true,  ['t'] = true, ['u'] = true, ['\''] = true,
    };
    uint8_t byte = *cursor->at;

    if (!known[byte])
        return refuse(lexer, "invalid escape sequence in string");
    if (lexer->high_surrogate && byte != 'u')
        return refuse(lexer, "half a surrogate pair in string");
    lexer->state = STATE_STRING;
    if (byte == '\'')
        return replace(lexer, "u0027", 1);
    if (byte == 'u') {
        lexer->state = STATE_ESCAPE_HEX;
        lexer->hex_digits = 4;
        lexer->code_unit = 0;
    }
    return pass(lexer, cursor);
}

static JsonLexerResult scan_escape_hex(JsonLexer *lexer, Cursor *cursor)
{
    int digit = g_ascii_xdigit_value((char)*cursor->at);

    if (digit < 0)
        return refuse(lexer, "invalid escape sequence in string");
    lexer->code_unit = (uint16_t)(lexer->code_unit << 4 | digit);
    if (--lexer->hex_digits == 0) {
        bool is_low = lexer->code_unit >> 10 == 0xDC00 >> 10;
        if (is_low != lexer->high_surrogate)
            return refuse(lexer, "half a surrogate pair in string");
        lexer->high_surrogate = lexer->code_unit >> 10 == 0xD800 >> 10;
        lexer->state = STATE_STRING;
    }
    return pass(lexer, cursor);
}

static JsonLexerResult scan_ended(JsonLexer *lexer, Cursor *cursor)
{
    return JSON_LEXER_END;
}

JsonLexerResult json_lexer_scan(JsonLexer *lexer, const uint8_t *bytes, size_t length, size_t *used)
{
    static const Scanner scanners[] = {
        [STATE_OUTSIDE] = scan_outside,       [STATE_WORD] = scan_word,
        [STATE_NUMBER] = scan_number,         [STATE_STRING] = scan_string,
        [STATE_CHARACTER] = scan_character,   [STATE_ESCAPE] = scan_escape,
        [STATE_ESCAPE_HEX] = scan_escape_hex, [STATE_ENDED] = scan_ended,
    };
    Cursor cursor = {.at = bytes, .end = bytes + length};
    JsonLexerResult result = JSON_LEXER_MORE;

    while (result == JSON_LEXER_MORE && cursor.at < cursor.end)
        result = *cursor.at == 0xFF ? JSON_LEXER_DELIMITER : scanners[lexer->state](lexer, &cursor);
    *used = (size_t)(cursor.at - bytes);
    return result;
}
