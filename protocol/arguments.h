/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Arguments described once, in a table: name, type, optional or not, and where the value goes in
 * the handler's struct. The table refuses unknown, missing and ill-typed arguments; handlers see
 * only well-formed structs.
 *
 *     typedef struct {
 *         char **mountpoints;    // ARGUMENT_STRINGS; NULL when absent
 *         int64_t hold_timeout;  // ARGUMENT_INTEGER
 *         bool has_hold_timeout; // for optional numbers, booleans and enums
 *     } FreezeArguments;
 *
 *     static const Argument freeze_arguments[] = {
 *         ARGUMENT("mountpoints", ARGUMENT_STRINGS, OPTIONAL, FreezeArguments, mountpoints),
 *         ARGUMENT_WITH_PRESENCE("hold-timeout", ARGUMENT_INTEGER, FreezeArguments,
 *                                hold_timeout, has_hold_timeout),
 *         ARGUMENT_END,
 *     };
 */
typedef enum {
    ARGUMENT_BOOLEAN,   /* bool */
    ARGUMENT_INTEGER,   /* int64_t */
    ARGUMENT_UNSIGNED,  /* uint64_t; negative numbers are refused, unlike by qemu-ga */
    ARGUMENT_NUMBER,    /* double */
    ARGUMENT_STRING,    /* char *; a string with the character \u0000 in it is refused */
    ARGUMENT_BASE64,    /* ArgumentBytes: what a string in base64 (RFC 4648) stands for */
    ARGUMENT_ENUM,      /* int: index into .names */
    ARGUMENT_STRUCT,    /* pointer to a struct of .members_size described by .members */
    ARGUMENT_STRINGS,   /* char **, NULL-terminated: a list of strings */
    ARGUMENT_STRUCTS,   /* GPtrArray * of structs described by .members: a list of structs */
    ARGUMENT_ALTERNATE, /* ArgumentAlternate: whichever of .members matches the JSON type */
} ArgumentType;

typedef struct Argument Argument;
struct Argument {
    const char *name;
    ArgumentType type;
    bool optional;
    size_t offset;
    size_t presence_offset;   /* of a bool in the struct; ARGUMENT_NO_PRESENCE when there is none */
    const char *const *names; /* ARGUMENT_ENUM: the values, NULL-terminated */
    const Argument *members;  /* ARGUMENT_STRUCT, _STRUCTS, _ALTERNATE */
    size_t members_size;      /* sizeof the struct that .members describes */
    const char *type_name;    /* ARGUMENT_ALTERNATE: its name in the interface, for the error */
};

/* bytes is NULL when the argument is absent, and only then. */
typedef struct {
    uint8_t *bytes;
    size_t length;
} ArgumentBytes;

/* Which of the variants came, and its value. */
typedef struct {
    const Argument *variant; /* the row that matched; NULL when the argument is absent */
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double number;
        char *string;
        int enumeration;
    };
} ArgumentAlternate;

#define ARGUMENT_NO_PRESENCE ((size_t)-1)
#define ARGUMENT_REQUIRED false
#define ARGUMENT_OPTIONAL true

/* presence is REQUIRED or OPTIONAL; absent pointers stay NULL, absent scalars stay 0. */
#define ARGUMENT(name_, type_, presence_, struct_, member_) \
    { \
        .name = name_, .type = type_, .optional = ARGUMENT_##presence_, \
        .offset = offsetof(struct_, member_), .presence_offset = ARGUMENT_NO_PRESENCE \
    }

/* An optional value whose presence is stored in a bool of its own. */
#define ARGUMENT_WITH_PRESENCE(name_, type_, struct_, member_, has_member_) \
    { \
        .name = name_, .type = type_, .optional = true, .offset = offsetof(struct_, member_), \
        .presence_offset = offsetof(struct_, has_member_) \
    }

/* type_ is ARGUMENT_ENUM; names_ a NULL-terminated array of strings. */
#define ARGUMENT_ENUM_OF(name_, presence_, struct_, member_, names_) \
    { \
        .name = name_, .type = ARGUMENT_ENUM, .optional = ARGUMENT_##presence_, \
        .offset = offsetof(struct_, member_), .presence_offset = ARGUMENT_NO_PRESENCE, \
        .names = names_ \
    }

/* type_ is ARGUMENT_STRUCT or ARGUMENT_STRUCTS; members_ the table that describes members_struct_.
 */
#define ARGUMENT_STRUCT_OF(name_, type_, presence_, struct_, member_, members_, members_struct_) \
    { \
        .name = name_, .type = type_, .optional = ARGUMENT_##presence_, \
        .offset = offsetof(struct_, member_), .presence_offset = ARGUMENT_NO_PRESENCE, \
        .members = members_, .members_size = sizeof(members_struct_) \
    }

/*
 * A value of one of several JSON types. variants_ is a table of rows for ArgumentAlternate, one for
 * each JSON type; type_name_ the alternate's name in the interface, which the error tells.
 *
 *     static const Argument whence_variants[] = {
 *         ARGUMENT("value", ARGUMENT_INTEGER, REQUIRED, ArgumentAlternate, integer),
 *         ARGUMENT_ENUM_OF("name", REQUIRED, ArgumentAlternate, enumeration, whence_names),
 *         ARGUMENT_END,
 *     };
 */
#define ARGUMENT_ALTERNATE_OF(name_, presence_, struct_, member_, type_name_, variants_) \
    { \
        .name = name_, .type = ARGUMENT_ALTERNATE, .optional = ARGUMENT_##presence_, \
        .offset = offsetof(struct_, member_), .presence_offset = ARGUMENT_NO_PRESENCE, \
        .members = variants_, .type_name = type_name_ \
    }

#define ARGUMENT_END \
    { \
        .name = NULL \
    }

/*
 * Fills *values (values_size zeroed bytes are written first) from the JSON object "arguments",
 * which may be NULL for "no arguments". table may be NULL for a command that takes none.
 * Strings are copied; release with arguments_clear(), also after an error.
 * Errors have the texts of ../shared/protocol/README.md, e.g. "Parameter 'id' is missing".
 */
bool arguments_parse(const Argument *table, json_object *object, void *values, size_t values_size,
                     GError **error);

/* Frees what arguments_parse() allocated inside *values. */
void arguments_clear(const Argument *table, void *values);
