/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/json-lexer.h"
#include "protocol/json-writer.h"
#include "protocol/message-stream.h"
#include "protocol/protocol-error.h"

#include <check.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Appends all that the stream has to say: "V <value>; " and "E <message>; ". */
static void drain(MessageStream *stream, GString *transcript)
{
    for (;;) {
        json_object *value = NULL;
        g_autoptr(GError) error = NULL;
        switch (message_stream_next(stream, &value, &error)) {
        case MESSAGE_STREAM_MORE:
            ck_assert_ptr_null(value);
            return;
        case MESSAGE_STREAM_ERROR:
            ck_assert_ptr_null(value);
            ck_assert(error->domain == PROTOCOL_ERROR);
            g_string_append_printf(transcript, "E %s; ", error->message);
            break;
        case MESSAGE_STREAM_VALUE: {
            g_autoptr(JsonWriter) writer = json_writer_new();
            json_writer_value(writer, NULL, value);
            g_string_append_printf(transcript, "V %s; ", json_writer_text(writer, NULL));
            json_object_put(value);
            break;
        }
        }
    }
}

/* What is read when the bytes come in pieces of step bytes. */
static char *read_in_steps(const char *bytes, size_t length, size_t step)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    GString *transcript = g_string_new(NULL);

    for (size_t at = 0; at < length; at += step) {
        message_stream_feed(stream, bytes + at, MIN(step, length - at));
        drain(stream, transcript);
    }
    if (!message_stream_is_empty(stream))
        g_string_append(transcript, "partial");
    return g_string_free(transcript, FALSE);
}

/* The same whatever the pieces are. */
static void assert_reads(const char *bytes, size_t length, const char *expected)
{
    for (size_t step = 1; step <= length; step++) {
        g_autofree char *transcript = read_in_steps(bytes, length, step);
        if (strcmp(transcript, expected) != 0)
            ck_abort_msg("read in steps of %zu: %s\nas %s\ninstead of %s", step, bytes, transcript,
                         expected);
    }
}

#define ASSERT_READS(text_, expected_) assert_reads(text_, sizeof(text_) - 1, expected_)

START_TEST(a_message_split_at_any_byte_is_one_request)
{
    ASSERT_READS("{\"execute\": \"guest-sync\", \"arguments\": {\"id\": -12}}\n",
                 "V {\"execute\": \"guest-sync\", \"arguments\": {\"id\": -12}}; ");
    ASSERT_READS(
        "[\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \\ud83d\\ude00 \\u00e9\\n\\\\\"]",
        "V [\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf0\x9f\x98\x80 \xc3\xa9\\n\\\\\"]; ");
    ASSERT_READS("[true, false, null, -0, 1.5, 1e5, 2E-3, 0.1]\n",
                 "V [true, false, null, 0, 1.5, 1e5, 2E-3, 0.1]; ");
}
END_TEST

/* Byte by byte every string goes through the tokener; in two pieces a long one is kept from it,
 * wherever the cut lies. */
static void assert_cuts_do_not_matter(const char *bytes, size_t length, size_t first, size_t last)
{
    g_autofree char *expected = read_in_steps(bytes, length, 1);

    for (size_t cut = first; cut <= last; cut++) {
        g_autoptr(MessageStream) stream = message_stream_new();
        g_autoptr(GString) transcript = g_string_new(NULL);
        message_stream_feed(stream, bytes, cut);
        drain(stream, transcript);
        message_stream_feed(stream, bytes + cut, length - cut);
        drain(stream, transcript);
        if (!message_stream_is_empty(stream))
            g_string_append(transcript, "partial");
        if (strcmp(transcript->str, expected) != 0)
            ck_abort_msg("cut at %zu: %s\nas %s\ninstead of %s", cut, bytes, transcript->str,
                         expected);
    }
}

static char *text_of(char letter)
{
    return g_strnfill(JSON_LEXER_TEXT_BYTES + 100, letter);
}

START_TEST(a_long_string_cut_anywhere_stays_whole_and_in_its_place)
{
    /* %1$s and %2$s are long. */
    static const char *const formats[] = {
        "{\"a\": \"%1$s\", \"b\": [{\"c\": \"%2$s\", \"d\": \"\"}], \"e\": \"\"} {\"f\": \"\"}",
        "[\"%1$s\", {\"a\": [\"%2$s\"], \"b\": \"short\"}]\n",
        "{\"%1$s\": 1, \"%2$s\": {\"x\": null, \"y\": \"%1$s\"}}",
        "{\"a\": \"%1$s\", \"a\": \"%2$s\"} [1]",
        "{\"a\": '%1$s', 'b': \"%2$s'\"}",
        "{\"a\": \"%1$s\"; \"b\": 2}\n{\"c\": \"%2$s\"}",
        "\"%1$s\" {\"a\": \"%2$s",
        "{\"a\" \"%1$s\"}\n{\"a\": {\"b\": \"%2$s\"}",
    };
    g_autofree char *first = text_of('x');
    g_autofree char *second = text_of('y');
    g_autoptr(GString) text = g_string_new(NULL);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    g_string_printf(text, formats[_i], first, second);
#pragma GCC diagnostic pop
    assert_cuts_do_not_matter(text->str, text->len, 0, text->len);
}
END_TEST

START_TEST(what_is_not_plain_is_seen_anywhere_in_a_long_string)
{
    static const char *const specials[] = {
        "\\n",      "\\\"",     "\\ud83d\\ude00", "\\ud83d", "\\x", "\xc3\xa9", "\xc3",
        "\xc0\x80", "\xf4\x90", "\xff",           "\x01",    "'",   "\"",       "\x7f",
    };
    g_autofree char *filling = text_of('x');

    for (size_t at = 0; at < strlen(filling); at += at % 64 < 2 || at % 64 == 63 ? 1 : 7) {
        g_autoptr(GString) text = g_string_new("{\"a\": \"");
        g_string_append_len(text, filling, (gssize)at);
        size_t place = text->len;
        g_string_append(text, specials[_i]);
        g_string_append(text, filling + at);
        g_string_append(text, "\", \"b\": [1]}\n{}");
        assert_cuts_do_not_matter(text->str, text->len, place - 1, place + 3);
        assert_cuts_do_not_matter(text->str, text->len, text->len, text->len);
    }
}
END_TEST

START_TEST(a_reset_within_a_long_string_forgets_it)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    g_autoptr(GString) transcript = g_string_new(NULL);
    g_autofree char *filling = text_of('x');
    g_autofree char *text = g_strconcat("{\"a\": \"", filling, NULL);

    message_stream_feed(stream, text, strlen(text));
    drain(stream, transcript);
    ck_assert(!message_stream_is_empty(stream));
    message_stream_reset(stream);
    ck_assert(message_stream_is_empty(stream));
    message_stream_feed(stream, "{\"a\": \"\"}", 9);
    drain(stream, transcript);
    ck_assert_str_eq(transcript->str, "V {\"a\": \"\"}; ");
}
END_TEST

START_TEST(messages_need_no_newline_between_them)
{
    ASSERT_READS("{\"a\":1}{\"b\":2}[3] {}\r\n\t{}",
                 "V {\"a\": 1}; V {\"b\": 2}; V [3]; V {}; V {}; ");
}
END_TEST

START_TEST(values_that_are_no_objects_are_values)
{
    ASSERT_READS("5\n\"x\"null true'y'[]-1.5 ",
                 "V 5; V \"x\"; V null; V true; V \"y\"; V []; V -1.5; ");
}
END_TEST

START_TEST(strings_may_stand_in_single_quotes)
{
    ASSERT_READS("{'a': 'b\\'c\"d\\\"e', \"f'g\": \"h\\'i\"}",
                 "V {\"a\": \"b'c\\\"d\\\"e\", \"f'g\": \"h'i\"}; ");
}
END_TEST

START_TEST(a_delimiter_drops_what_is_buffered_without_a_word)
{
    static const char message[] = "{\"a\\u00e9\xe2\x82\xac\": [-1.5e1, 'b\\'', null], \"c\": {}}";

    for (size_t cut = 0; cut < sizeof message - 1; cut++) {
        g_autofree char *bytes = g_strdup_printf("%.*s\xff{\"z\":1}\n", (int)cut, message);
        assert_reads(bytes, strlen(bytes), "V {\"z\": 1}; ");
    }
    ASSERT_READS("\xff\xff{}\xff\xff", "V {}; ");
}
END_TEST

START_TEST(delimiters_are_counted)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    g_autoptr(GString) transcript = g_string_new(NULL);

    message_stream_feed(stream, "\xff{\"a\xff}\xff", 7);
    drain(stream, transcript);
    ck_assert_str_eq(transcript->str, "E JSON parse error, unexpected character; ");
    ck_assert_uint_eq(message_stream_delimiters(stream), 3);
}
END_TEST

START_TEST(a_piece_of_garbage_is_one_error_and_costs_one_line)
{
    ASSERT_READS("nope nope } ] \" {\n{\"b\":1}",
                 "E JSON parse error, null expected; V {\"b\": 1}; ");
    ASSERT_READS("GET / HTTP/1.1\r\n{}", "E JSON parse error, unexpected character; V {}; ");
    ASSERT_READS("{\"a\":1} garbage {\"lost\":1}\n{\"b\":1}",
                 "V {\"a\": 1}; E JSON parse error, unexpected character; V {\"b\": 1}; ");
    ASSERT_READS("{\"a\": \"never closed}\n{\"b\":1}",
                 "E JSON parse error, control character in string; V {\"b\": 1}; ");
    ASSERT_READS("tru\n{\"b\":1}", "E JSON parse error, boolean expected; V {\"b\": 1}; ");
    ASSERT_READS("]]]\n[1}\n{}", "E JSON parse error, unexpected character; "
                                 "E JSON parse error, array value separator ',' expected; V {}; ");
}
END_TEST

START_TEST(a_delimiter_ends_garbage)
{
    ASSERT_READS("nope \xff{\"b\":1}", "E JSON parse error, null expected; V {\"b\": 1}; ");
}
END_TEST

/* RFC 8259 forbids each of these; so does qemu-ga 7.2. */
static const struct {
    const char *text;
    size_t length;
} no_json[] = {
#define NO_JSON(text_) \
    { \
        text_, sizeof(text_) - 1 \
    }
    NO_JSON("[1,]"),
    NO_JSON("[,1]"),
    NO_JSON("{\"a\":1,}"),
    NO_JSON("{\"a\" 1}"),
    NO_JSON("{a:1}"),
    NO_JSON("{\"a\":}"),
    NO_JSON("{1:2}"),
    NO_JSON("[1 2]"),
    NO_JSON("[01]"),
    NO_JSON("[-01]"),
    NO_JSON("[+1]"),
    NO_JSON("[.5]"),
    NO_JSON("[1.]"),
    NO_JSON("[-]"),
    NO_JSON("[-1i\"]"),
    NO_JSON("[1true]"),
    NO_JSON("[1-2]"),
    NO_JSON("[--1]"),
    NO_JSON("[1.5.2]"),
    NO_JSON("[1e]"),
    NO_JSON("[1e+]"),
    NO_JSON("[1e5e5]"),
    NO_JSON("[0x10]"),
    NO_JSON("[NaN]"),
    NO_JSON("[nan]"),
    NO_JSON("[Infinity]"),
    NO_JSON("[-Infinity]"),
    NO_JSON("[True]"),
    NO_JSON("[truex]"),
    NO_JSON("[nul]"),
    NO_JSON("/* a comment */ {}"),
    NO_JSON("[1 // a comment"),
    NO_JSON("\xef\xbb\xbf{}"),
    NO_JSON("\0{}"),
    NO_JSON("[\0]"),
    NO_JSON("[\v1]"),
    NO_JSON("[\"\0\"]"),
    NO_JSON("[\"\t\"]"),
    NO_JSON("[\"\x1f\"]"),
    NO_JSON("[\"\\x41\"]"),
    NO_JSON("[\"\\u12g4\"]"),
    NO_JSON("[\"\\u123\"]"),
    NO_JSON("[\"\\ud800\"]"),
    NO_JSON("[\"\\ud800x\"]"),
    NO_JSON("[\"\\ud800\\n\"]"),
    NO_JSON("[\"\\ud800\\ud800\"]"),
    NO_JSON("[\"\\udc00\"]"),
    NO_JSON("[\"\x80\"]"),
    NO_JSON("[\"\xc3(\"]"),
    NO_JSON("[\"\xc0\x80\"]"),
    NO_JSON("[\"\xe0\x80\x80\"]"),
    NO_JSON("[\"\xf0\x8f\xbf\xbf\"]"),
    NO_JSON("[\"\xed\xa0\x80\"]"),
    NO_JSON("[\"\xf4\x90\x80\x80\"]"),
    NO_JSON("[\"\xf5\x80\x80\x80\"]"),
    NO_JSON("[\"\xe2\x82\"]"),
};

START_TEST(text_that_is_not_json_is_one_error_however_it_comes)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    g_byte_array_append(bytes, (const uint8_t *)no_json[_i].text, (guint)no_json[_i].length);
    g_byte_array_append(bytes, (const uint8_t *)"\n{}", 3);
    g_autofree char *whole = read_in_steps((const char *)bytes->data, bytes->len, bytes->len);
    ck_assert_msg(g_str_has_prefix(whole, "E JSON parse error, "), "%s", whole);
    ck_assert_msg(g_str_has_suffix(whole, "; V {}; "), "%s", whole);
    ck_assert_msg(strstr(whole + 1, "E JSON") == NULL, "%s", whole);
    assert_reads((const char *)bytes->data, bytes->len, whole);
}
END_TEST

START_TEST(integers_have_64_bits_and_larger_ones_are_never_clamped)
{
    ASSERT_READS("[-9223372036854775808,9223372036854775807,9223372036854775808,"
                 "18446744073709551615]",
                 "V [-9223372036854775808, 9223372036854775807, 9223372036854775808, "
                 "18446744073709551615]; ");
    ASSERT_READS("[18446744073709551616, 18446744073709551620, 99999999999999999999,"
                 "-9223372036854775809]-9223372036854775809\n",
                 "V [18446744073709551616.0, 18446744073709551620.0, 99999999999999999999.0, "
                 "-9223372036854775809.0]; V -9223372036854775809.0; ");
}
END_TEST

START_TEST(two_members_of_one_name_are_an_error)
{
    ASSERT_READS("{\"a\":1,\"a\":2}{\"b\":1}", "E JSON parse error, duplicate key; V {\"b\": 1}; ");
    ASSERT_READS("[{\"x\":{\"a\":1,\"b\":2,'a':2}}]", "E JSON parse error, duplicate key; ");
    ASSERT_READS("[{\"a\":1},{\"a\":{\"a\":\"a:a:a\"}}]",
                 "V [{\"a\": 1}, {\"a\": {\"a\": \"a:a:a\"}}]; ");
}
END_TEST

/* levels brackets, closed again, and then another message. */
static char *nest(unsigned levels)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < levels; i++)
        g_string_append_c(text, '[');
    for (unsigned i = 0; i < levels; i++)
        g_string_append_c(text, ']');
    g_string_append(text, "\n{}");
    return g_string_free(text, FALSE);
}

START_TEST(nesting_is_taken_up_to_its_bound)
{
    g_autofree char *deepest = nest(MESSAGE_STREAM_MAX_DEPTH);
    g_autofree char *transcript = read_in_steps(deepest, strlen(deepest), 1);
    ck_assert_msg(g_str_has_prefix(transcript, "V [[["), "%s", transcript);
    ck_assert_msg(g_str_has_suffix(transcript, "]]; V {}; "), "%s", transcript);

    g_autofree char *too_deep = nest(MESSAGE_STREAM_MAX_DEPTH + 1);
    assert_reads(too_deep, strlen(too_deep),
                 "E JSON parse error, nested deeper than 64 levels; V {}; ");
}
END_TEST

/* Feeds length bytes of 'A' in chunks as a channel would. */
static void feed_letters(MessageStream *stream, size_t length, GString *transcript)
{
    static char chunk[64 * 1024];

    memset(chunk, 'A', sizeof chunk);
    while (length > 0) {
        size_t bytes = MIN(length, sizeof chunk);
        message_stream_feed(stream, chunk, bytes);
        drain(stream, transcript);
        length -= bytes;
    }
}

START_TEST(a_message_of_64_mib_is_taken)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    g_autoptr(GString) transcript = g_string_new(NULL);

    message_stream_feed(stream, "[\"", 2);
    drain(stream, transcript);
    feed_letters(stream, MESSAGE_STREAM_MAX_BYTES - 4, transcript);
    ck_assert_uint_eq(transcript->len, 0);
    message_stream_feed(stream, "\"]{}", 4);
    drain(stream, transcript);
    ck_assert(g_str_has_prefix(transcript->str, "V [\"AAA"));
    ck_assert(g_str_has_suffix(transcript->str, "AAA\"]; V {}; "));
    ck_assert_uint_eq(transcript->len, MESSAGE_STREAM_MAX_BYTES + strlen("V ; V {}; "));
}
END_TEST

START_TEST(a_longer_message_is_one_error_and_is_discarded_without_memory)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    g_autoptr(GString) transcript = g_string_new(NULL);
    struct mallinfo2 before = mallinfo2();

    message_stream_feed(stream, "[\"", 2);
    drain(stream, transcript);
    feed_letters(stream, MESSAGE_STREAM_MAX_BYTES - 2, transcript);
    ck_assert_uint_eq(transcript->len, 0);
    feed_letters(stream, 1, transcript);
    ck_assert_str_eq(transcript->str, "E JSON parse error, message longer than 64 MiB; ");
    feed_letters(stream, MESSAGE_STREAM_MAX_BYTES, transcript);

    struct mallinfo2 after = mallinfo2();
    ck_assert_uint_le(after.uordblks + after.hblkhd, before.uordblks + before.hblkhd + 256 * 1024);
    message_stream_feed(stream, "\"]\n{}", 5);
    drain(stream, transcript);
    ck_assert_str_eq(transcript->str, "E JSON parse error, message longer than 64 MiB; V {}; ");
}
END_TEST

START_TEST(a_long_message_leaves_no_memory_behind)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    g_autoptr(GString) transcript = g_string_new(NULL);
    struct mallinfo2 before = mallinfo2();

    message_stream_feed(stream, "[\"", 2);
    drain(stream, transcript);
    feed_letters(stream, 8 * 1024 * 1024, transcript);
    message_stream_feed(stream, "\"]\n", 3);
    json_object *value = NULL;
    ck_assert_int_eq(message_stream_next(stream, &value, NULL), MESSAGE_STREAM_VALUE);
    json_object_put(value);
    drain(stream, transcript);

    struct mallinfo2 after = mallinfo2();
    ck_assert_uint_le(after.uordblks + after.hblkhd, before.uordblks + before.hblkhd + 256 * 1024);
}
END_TEST

START_TEST(the_number_of_values_in_a_message_has_a_bound)
{
    g_autoptr(GString) text = g_string_new("[");
    static const char refused[] =
        "E JSON parse error, more than " G_STRINGIFY(JSON_LEXER_MAX_VALUES) " values; V {}; ";

    for (unsigned i = 1; i < JSON_LEXER_MAX_VALUES; i++)
        g_string_append(text, "0,");
    g_string_append(text, "0]\n{}");
    g_autofree char *most = read_in_steps(text->str, text->len, 64 * 1024);
    ck_assert(g_str_has_prefix(most, "V [0, 0"));
    ck_assert(g_str_has_suffix(most, "]; V {}; "));

    g_string_insert(text, 1, "0,");
    g_autofree char *too_many = read_in_steps(text->str, text->len, 64 * 1024);
    ck_assert_str_eq(too_many, refused);
}
END_TEST

START_TEST(a_reset_forgets_partial_input_and_garbage)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    g_autoptr(GString) transcript = g_string_new(NULL);

    message_stream_feed(stream, "{\"a\": [\"b", 9);
    drain(stream, transcript);
    ck_assert(!message_stream_is_empty(stream));
    message_stream_reset(stream);
    ck_assert(message_stream_is_empty(stream));
    message_stream_feed(stream, "{}nope", 6);
    drain(stream, transcript);
    message_stream_reset(stream);
    message_stream_feed(stream, "[]", 2);
    drain(stream, transcript);
    ck_assert_str_eq(transcript->str, "V {}; E JSON parse error, null expected; V []; ");
}
END_TEST

/* Messages with random damage, cut at random places. */
START_TEST(pieces_never_change_what_is_read)
{
    static const char seed_text[] =
        "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":-9223372036854775809},'id':[1.5e3,null,"
        "true,\"\\ud83d\\ude00\xe2\x82\xac\\'\"]}\n{'a':'b\"\\''}[[],{}]\xff{\"x\":0}\n";
    static const char bytes[] = "{}[]:,\"'\\ue+-.0129aftn \n\x7f\x80\xc3\xe2\xf0\xff";
    guint32 seed = g_random_int();
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);

    for (unsigned round = 0; round < 5000; round++) {
        char text[sizeof seed_text];
        memcpy(text, seed_text, sizeof text);
        for (gint32 damage = g_rand_int_range(random, 0, 4); damage > 0; damage--)
            text[g_rand_int_range(random, 0, sizeof text - 1)] =
                bytes[g_rand_int_range(random, 0, sizeof bytes)];
        size_t length = (size_t)g_rand_int_range(random, 1, sizeof text);
        g_autofree char *whole = read_in_steps(text, length, length);
        g_autofree char *pieces =
            read_in_steps(text, length, (size_t)g_rand_int_range(random, 1, 8));
        ck_assert_msg(strcmp(whole, pieces) == 0, "seed %u round %u: %.*s\n%s\n%s", seed, round,
                      (int)length, text, whole, pieces);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message-stream");
    TCase *framing = tcase_create("framing");
    TCase *bounds = tcase_create("bounds");

    tcase_add_test(framing, a_message_split_at_any_byte_is_one_request);
    tcase_add_test(framing, messages_need_no_newline_between_them);
    tcase_add_loop_test(framing, a_long_string_cut_anywhere_stays_whole_and_in_its_place, 0, 8);
    tcase_add_loop_test(framing, what_is_not_plain_is_seen_anywhere_in_a_long_string, 0, 14);
    tcase_add_test(framing, a_reset_within_a_long_string_forgets_it);
    tcase_add_test(framing, values_that_are_no_objects_are_values);
    tcase_add_test(framing, strings_may_stand_in_single_quotes);
    tcase_add_test(framing, a_delimiter_drops_what_is_buffered_without_a_word);
    tcase_add_test(framing, delimiters_are_counted);
    tcase_add_test(framing, a_piece_of_garbage_is_one_error_and_costs_one_line);
    tcase_add_test(framing, a_delimiter_ends_garbage);
    tcase_add_loop_test(framing, text_that_is_not_json_is_one_error_however_it_comes, 0,
                        G_N_ELEMENTS(no_json));
    tcase_add_test(framing, integers_have_64_bits_and_larger_ones_are_never_clamped);
    tcase_add_test(framing, two_members_of_one_name_are_an_error);
    tcase_add_test(framing, a_reset_forgets_partial_input_and_garbage);
    tcase_add_test(framing, pieces_never_change_what_is_read);
    tcase_add_test(bounds, nesting_is_taken_up_to_its_bound);
    tcase_add_test(bounds, a_message_of_64_mib_is_taken);
    tcase_add_test(bounds, a_longer_message_is_one_error_and_is_discarded_without_memory);
    tcase_add_test(bounds, a_long_message_leaves_no_memory_behind);
    tcase_add_test(bounds, the_number_of_values_in_a_message_has_a_bound);
    tcase_set_timeout(framing, 60);
    tcase_set_timeout(bounds, 60);
    suite_add_tcase(suite, framing);
    suite_add_tcase(suite, bounds);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
