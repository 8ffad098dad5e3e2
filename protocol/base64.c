/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/base64.h"

#include <endian.h>
#include <string.h>

#define NO_DIGIT 0x01000000u /* above the three bytes of a group */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Made when first needed, so that an agent that moves no files has no page of them. */
static struct {
    bool ready;
    char pairs[4096][2];     /* two digits for 12 bits */
    uint32_t places[4][256]; /* a digit's value in each place of its group, or NO_DIGIT */
} tables;

static void prepare_tables(void)
{
    if (tables.ready)
        return;
    for (unsigned bits = 0; bits < 4096; bits++) {
        tables.pairs[bits][0] = alphabet[bits >> 6];
        tables.pairs[bits][1] = alphabet[bits & 63];
    }
    for (unsigned place = 0; place < 4; place++) {
        for (unsigned byte = 0; byte < 256; byte++)
            tables.places[place][byte] = NO_DIGIT;
        for (uint32_t value = 0; value < 64; value++)
            tables.places[place][(uint8_t)alphabet[value]] = value << (18 - 6 * place);
    }
    tables.ready = true;
}

static void put_pair(char *text, uint64_t bits)
{
    memcpy(text, tables.pairs[bits & 0xFFF], 2);
}

/* Six bytes at a time, as long as eight can be read. Returns how many were taken. */
static size_t encode_sixes(const uint8_t *bytes, size_t length, char *text)
{
    size_t at = 0;

    for (; length - at >= 8; at += 6, text += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        word = be64toh(word);
        put_pair(text, word >> 52);
        put_pair(text + 2, word >> 40);
        put_pair(text + 4, word >> 28);
        put_pair(text + 6, word >> 16);
    }
    return at;
}

size_t base64_encode(const uint8_t *bytes, size_t length, char *text)
{
    prepare_tables();
    size_t at = encode_sixes(bytes, length, text);
    char *end = text + at / 3 * 4;

    for (; at < length; at += 3, end += 4) {
        size_t left = length - at;
        uint32_t word = (uint32_t)bytes[at] << 16;
        word |= left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0;
        word |= left > 2 ? bytes[at + 2] : 0;
        put_pair(end, word >> 12);
        put_pair(end + 2, word);
        if (left < 3)
            end[3] = '=';
        if (left < 2)
            end[2] = '=';
    }
    return (size_t)(end - text);
}

static void put_group(uint8_t *bytes, uint32_t word)
{
    word = htobe32(word << 8);
    memcpy(bytes, &word, sizeof word);
}

/* Groups of four digits, up to the first that is none. Returns how many digits were taken. */
static size_t decode_groups(const char *text, size_t length, uint8_t *bytes)
{
    const uint8_t *digits = (const uint8_t *)text;
    size_t at = 0;

    for (; length - at >= 4; at += 4, bytes += 3) {
        uint32_t word = tables.places[0][digits[at]] | tables.places[1][digits[at + 1]] |
                        tables.places[2][digits[at + 2]] | tables.places[3][digits[at + 3]];
        if (word & NO_DIGIT)
            break;
        put_group(bytes, word);
    }
    return at;
}

bool base64_decode(const char *text, size_t length, uint8_t *bytes, size_t *decoded)
{
    uint8_t *end = bytes;
    uint32_t word = 0;
    unsigned digits = 0, padding = 0;

    prepare_tables();
    for (size_t at = 0; at < length; at++) {
        if (digits == 0 && padding == 0) {
            size_t taken = decode_groups(text + at, length - at, end);
            at += taken;
            end += taken / 4 * 3;
            if (at == length)
                break;
        }
        uint32_t value = tables.places[3][(uint8_t)text[at]];
        if (text[at] == '\n')
            continue;
        if (text[at] == '=') {
            padding++;
            continue;
        }
        if (value == NO_DIGIT || padding > 0)
            return false;
        word = word << 6 | value;
        digits = (digits + 1) % 4;
        if (digits == 0) {
            put_group(end, word & 0xFFFFFF);
            end += 3;
        }
    }
    if (padding > 2 || (digits + padding) % 4 != 0)
        return false;
    if (digits > 0)
        put_group(end, (word << (6 * padding)) & 0xFFFFFF);
    *decoded = (size_t)(end - bytes) + (digits > 0 ? digits - 1 : 0);
    return true;
}
