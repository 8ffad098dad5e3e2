/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/lvm-text.h"
#include "prober/probe-error.h"

#include <string.h>

typedef struct {
    const char *at;
    const char *end;
    unsigned line;
    unsigned nodes;
    unsigned depth;
    GError **error;
} Parser;

static LvmNode *parse_value(Parser *parser);
static bool parse_members(Parser *parser, LvmNode *section, bool braced);

static bool fail(Parser *parser, const char *what)
{
    g_set_error(parser->error, PROBE_ERROR, PROBE_ERROR_DISK, "LVM metadata, line %u: %s",
                parser->line, what);
    return false;
}

static LvmNode *node_new(Parser *parser, LvmNodeKind kind)
{
    if (++parser->nodes > LVM_TEXT_MAX_NODES) {
        fail(parser, "too many entries");
        return NULL;
    }
    LvmNode *node = g_new0(LvmNode, 1);
    node->kind = kind;
    if (kind == LVM_LIST || kind == LVM_SECTION)
        node->children = g_ptr_array_new_with_free_func((GDestroyNotify)lvm_node_free);
    return node;
}

void lvm_node_free(LvmNode *node)
{
    g_free(node->name);
    g_free(node->string);
    g_clear_pointer(&node->children, g_ptr_array_unref);
    g_free(node);
}

/* The next character that means something, '\0' at the end. */
static char peek(Parser *parser)
{
    while (parser->at < parser->end) {
        char c = *parser->at;
        if (c == '#') {
            while (parser->at < parser->end && *parser->at != '\n')
                parser->at++;
        } else if (g_ascii_isspace(c)) {
            parser->line += c == '\n';
            parser->at++;
        } else {
            return c;
        }
    }
    return '\0';
}

static bool take(Parser *parser, char wanted)
{
    if (peek(parser) != wanted)
        return false;
    parser->at++;
    return true;
}

static bool is_word(char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr("_-+./@", c));
}

static char *parse_word(Parser *parser)
{
    const char *begin = parser->at;

    while (parser->at < parser->end && is_word(*parser->at))
        parser->at++;
    return parser->at > begin ? g_strndup(begin, (size_t)(parser->at - begin)) : NULL;
}

static LvmNode *parse_string(Parser *parser)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (parser->at++; parser->at < parser->end && *parser->at != '"'; parser->at++) {
        if (*parser->at == '\\' && parser->at + 1 < parser->end)
            parser->at++;
        parser->line += *parser->at == '\n';
        g_string_append_c(text, *parser->at);
    }
    if (parser->at >= parser->end) {
        fail(parser, "a string that does not end");
        return NULL;
    }
    parser->at++;
    LvmNode *node = node_new(parser, LVM_STRING);
    if (node)
        node->string = g_utf8_make_valid(text->str, (gssize)text->len);
    return node;
}

static LvmNode *parse_number(Parser *parser)
{
    g_autofree char *word = parse_word(parser);
    char *rest = NULL;

    int64_t number = word ? g_ascii_strtoll(word, &rest, 10) : 0;
    /* Times and the like may have decimals; nobody asks for them. */
    if (!word || rest == word || (*rest != '\0' && *rest != '.')) {
        fail(parser, "neither number, string nor list");
        return NULL;
    }
    LvmNode *node = node_new(parser, LVM_NUMBER);
    if (node)
        node->number = number;
    return node;
}

static LvmNode *parse_list(Parser *parser)
{
    g_autoptr(LvmNode) list = node_new(parser, LVM_LIST);

    parser->at++;
    while (list && !take(parser, ']')) {
        LvmNode *element = parse_value(parser);
        if (!element)
            return NULL;
        g_ptr_array_add(list->children, element);
        if (!take(parser, ',') && peek(parser) != ']') {
            fail(parser, "a list that does not end");
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

static LvmNode *parse_nested(Parser *parser, LvmNode *(*parse)(Parser *))
{
    if (parser->depth >= LVM_TEXT_MAX_DEPTH) {
        fail(parser, "nested too deep");
        return NULL;
    }
    parser->depth++;
    LvmNode *node = parse(parser);
    parser->depth--;
    return node;
}

static LvmNode *parse_section(Parser *parser)
{
    g_autoptr(LvmNode) section = node_new(parser, LVM_SECTION);

    parser->at++;
    if (!section || !parse_members(parser, section, true))
        return NULL;
    return g_steal_pointer(&section);
}

static LvmNode *parse_value(Parser *parser)
{
    char next = peek(parser);

    if (next == '"')
        return parse_string(parser);
    if (next == '[')
        return parse_nested(parser, parse_list);
    return parse_number(parser);
}

/* NAME = VALUE, or NAME { MEMBERS } */
static LvmNode *parse_member(Parser *parser)
{
    LvmNode *node = NULL;
    g_autofree char *name = parse_word(parser);

    if (!name) {
        fail(parser, "no name where one should stand");
        return NULL;
    }
    if (peek(parser) == '{')
        node = parse_nested(parser, parse_section);
    else if (take(parser, '='))
        node = parse_value(parser);
    else
        fail(parser, "a name without a value");
    if (node)
        node->name = g_steal_pointer(&name);
    return node;
}

static bool parse_members(Parser *parser, LvmNode *section, bool braced)
{
    for (;;) {
        char next = peek(parser);
        if (next == '\0')
            return braced ? fail(parser, "a section that does not end") : true;
        if (next == '}' && braced) {
            parser->at++;
            return true;
        }
        LvmNode *member = parse_member(parser);
        if (!member)
            return false;
        g_ptr_array_add(section->children, member);
    }
}

LvmNode *lvm_text_parse(const char *text, size_t length, GError **error)
{
    Parser parser = {.at = text, .line = 1, .error = error};
    const char *end = memchr(text, '\0', length);

    parser.end = end ? end : text + length;
    g_autoptr(LvmNode) root = node_new(&parser, LVM_SECTION);
    if (length > LVM_TEXT_MAX_BYTES) {
        fail(&parser, "too long");
        return NULL;
    }
    return parse_members(&parser, root, false) ? g_steal_pointer(&root) : NULL;
}

const LvmNode *lvm_node_find(const LvmNode *section, const char *name, LvmNodeKind kind)
{
    for (unsigned i = 0; section && section->children && i < section->children->len; i++) {
        const LvmNode *node = g_ptr_array_index(section->children, i);
        if (node->kind == kind && g_strcmp0(node->name, name) == 0)
            return node;
    }
    return NULL;
}

const char *lvm_node_string(const LvmNode *section, const char *name)
{
    const LvmNode *node = lvm_node_find(section, name, LVM_STRING);

    return node ? node->string : NULL;
}

bool lvm_node_number(const LvmNode *section, const char *name, uint64_t *number)
{
    const LvmNode *node = lvm_node_find(section, name, LVM_NUMBER);

    if (!node || node->number < 0)
        return false;
    *number = (uint64_t)node->number;
    return true;
}

bool lvm_node_lists(const LvmNode *section, const char *name, const char *string)
{
    const LvmNode *list = lvm_node_find(section, name, LVM_LIST);

    for (unsigned i = 0; list && i < list->children->len; i++) {
        const LvmNode *element = g_ptr_array_index(list->children, i);
        if (element->kind == LVM_STRING && strcmp(element->string, string) == 0)
            return true;
    }
    return false;
}
