/* test_text.c: a tokenizer of bytes and a few merges: round trips of any bytes, pieces that end between characters,
 * texts of tokenizers cut and changed at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "text/tokenizer.h"
#include "text/tokenizer_spec.h"

enum { BYTES = 256, A_B, AB_C, END, SIZE };

/* "ab" and "abc" are merges, <|end|> is special; everything else is single bytes. */
static char *write_spec(void)
{
    static char bytes[BYTES];
    hone__spec_token tokens[SIZE] = {{0}};
    hone__spec_merge merges[] = {{'a', 'b', A_B}, {A_B, 'c', AB_C}};
    hone__spec_added added[] = {{.id = END, .flags = HONE__ADDED_SPECIAL, .text = "<|end|>", .size = 7}};
    char *text;
    for (int i = 0; i < BYTES; i++) {
        bytes[i] = (char)i;
        tokens[i] = (hone__spec_token){&bytes[i], 1, true};
    }
    tokens[A_B] = (hone__spec_token){"ab", 2, true};
    tokens[AB_C] = (hone__spec_token){"abc", 3, true};
    hone__tokenizer_spec spec = {.unknown = -1,
                                 .cut = {{{.kind = HONE__STEP_GPT2}}, 1},
                                 .tokens = tokens,
                                 .token_count = SIZE,
                                 .merges = merges,
                                 .merge_count = 2,
                                 .added = added,
                                 .added_count = 1,
                                 .behind = {END},
                                 .behind_count = 1};
    if (hone__tokenizer_write(&spec, &text) != HONE_OK) fail_msg("%s", hone_error_message());
    return text;
}

static hone__tokenizer *open_tokenizer(void)
{
    char *text = write_spec();
    hone__tokenizer *t;
    if (hone__tokenizer_create(text, strlen(text), &t) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__free(text);
    return t;
}

static void merges_and_specials(void **state)
{
    (void)state;
    static const char text[] = "abcab<|end|>b";
    static const uint32_t want[] = {AB_C, A_B, END, 'b', END};
    hone__tokenizer *t = open_tokenizer();
    hone__token_list list = {0};
    assert_int_equal(hone__tokenizer_encode(t, text, sizeof text - 1, true, &list), HONE_OK);
    assert_int_equal(list.count, 5);
    assert_memory_equal(list.ids, want, sizeof want);
    hone__text out = {0};
    assert_int_equal(hone__tokenizer_decode(t, list.ids, list.count, true, &out), HONE_OK);
    assert_int_equal(out.size, 6);
    assert_memory_equal(out.data, "abcabb", 6);
    assert_int_equal(hone__tokenizer_id(t, "<|end|>"), END);
    assert_int_equal(hone__tokenizer_id(t, "<|other|>"), -1);
    list.count = 0;
    assert_int_equal(hone__tokenizer_encode(t, "", 0, false, &list), HONE_OK);
    assert_int_equal(list.count, 0);
    hone__free(out.data);
    hone__token_list_free(&list);
    hone__tokenizer_destroy(t);
}

/* Whether a text ends between characters: no lead byte near the end asks for more than follows it. */
static bool ends_whole(const uint8_t *p, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t c = p[n - back];
        size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if ((c & 0xc0) != 0x80) return length <= back;
    }
    return true;
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    static const char *const parts[] = {"ab",   "c",    " ",   "\n", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80",
                                        "\xff", "\xe4", "'ll", "7"};
    hone__tokenizer *t = open_tokenizer();
    hone__token_list list = {0};
    srand(5);
    for (int round = 0; round < 500; round++) {
        char text[400];
        size_t n = 0;
        bool valid = true;
        for (int i = rand() % 60; i > 0; i--) {
            size_t which = (size_t)rand() % (sizeof parts / sizeof *parts), size = strlen(parts[which]);
            memcpy(text + n, parts[which], size);
            n += size;
            valid &= which != 7 && which != 8;
        }
        list.count = 0;
        hone__text whole = {0}, pieces = {0};
        hone__text_stream stream = {0};
        assert_int_equal(hone__tokenizer_encode(t, text, n, false, &list), HONE_OK);
        assert_int_equal(hone__tokenizer_decode(t, list.ids, list.count, false, &whole), HONE_OK);
        assert_int_equal(whole.size, n);
        if (n) assert_memory_equal(whole.data, text, n);
        for (size_t i = 0; i < list.count; i++) {
            assert_int_equal(hone__text_stream_put(&stream, t, list.ids[i], false, &pieces), HONE_OK);
            if (valid) assert_true(ends_whole((const uint8_t *)pieces.data, pieces.size));
        }
        assert_int_equal(hone__text_stream_end(&stream, &pieces), HONE_OK);
        assert_int_equal(pieces.size, n);
        if (n) assert_memory_equal(pieces.data, text, n);
        hone__free(whole.data);
        hone__free(pieces.data);
    }
    hone__token_list_free(&list);
    hone__tokenizer_destroy(t);
}

enum { UNKNOWN, META, LETTER, META_LETTER, CHARACTERS = 256 + META_LETTER + 1 };

/* Tokens of "\u2581", "a" and both together; all other characters are tokens of bytes, as in SentencePiece's models. */
static hone__tokenizer *open_characters(void)
{
    static char names[256][8];
    hone__spec_token tokens[CHARACTERS] = {{"<unk>", 5, true}, {"\xe2\x96\x81", 3, true}, {"a", 1, true}};
    hone__spec_merge merges[] = {{META, LETTER, META_LETTER}};
    hone__tokenizer *t;
    char *text;
    tokens[META_LETTER] = (hone__spec_token){"\xe2\x96\x81"
                                             "a",
                                             4, true};
    for (int i = 0; i < 256; i++) {
        snprintf(names[i], sizeof names[i], "<0x%02X>", (unsigned)i);
        tokens[META_LETTER + 1 + i] = (hone__spec_token){names[i], 6, true};
    }
    hone__tokenizer_spec spec = {
        .flags = HONE__BPE_CHARACTERS,
        .byte_fallback = true,
        .cut = {{{.kind = HONE__STEP_METASPACE, .argument = HONE__META_ALWAYS, .texts = {{3, "\xe2\x96\x81"}}}}, 1},
        .decode = {{{.kind = HONE__STEP_REPLACE, .texts = {{3, "\xe2\x96\x81"}, {1, " "}}},
                    {.kind = HONE__STEP_BYTES},
                    {.kind = HONE__STEP_FUSE},
                    {.kind = HONE__STEP_STRIP, .argument = 1, .texts = {{1, " "}}}},
                   4},
        .tokens = tokens,
        .token_count = CHARACTERS,
        .merges = merges,
        .merge_count = 1};
    if (hone__tokenizer_write(&spec, &text) != HONE_OK) fail_msg("%s", hone_error_message());
    if (hone__tokenizer_create(text, strlen(text), &t) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__free(text);
    return t;
}

/* What tokens of bytes make comes in whole characters, as soon as it is known that all of them are UTF-8. */
static void bytes_wait_for_their_character(void **state)
{
    (void)state;
    enum { B = META_LETTER + 1 };
    static const struct {
        uint32_t ids[8];
        size_t count;
        const char *pieces[9]; /* after each token, and at the end */
    } rows[] = {
        {{META_LETTER, B + 0xc3, B + 0xa9, LETTER},
         4,
         {"a", "", "",
          "\xc3\xa9"
          "a",
          ""}},
        {{META, B + 0xf0, B + 0x9f, B + 0x98, B + 0x80}, 5, {"", "", "", "", "", "\xf0\x9f\x98\x80"}},
        {{B + 0xc3, B + 0xa9, B + 0xc3, META_LETTER}, 4, {"", "", "", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd a", ""}},
        {{B + 0x20, B + 'b', META_LETTER, B + 0xe4}, 4, {"", "", "b a", "", "\xef\xbf\xbd"}},
    };
    hone__tokenizer *t = open_characters();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hone__text_stream stream = {0};
        hone__text out = {0};
        for (size_t k = 0; k <= rows[i].count; k++) {
            out.size = 0;
            if (k < rows[i].count)
                assert_int_equal(hone__text_stream_put(&stream, t, rows[i].ids[k], true, &out), HONE_OK);
            else
                assert_int_equal(hone__text_stream_end(&stream, &out), HONE_OK);
            assert_int_equal(out.size, strlen(rows[i].pieces[k]));
            if (out.size) assert_memory_equal(out.data, rows[i].pieces[k], out.size);
        }
        hone__free(out.data);
    }
    hone__token_list list = {0};
    static const uint32_t want[] = {META_LETTER, META_LETTER, B + 0xc3, B + 0xa9, LETTER};
    assert_int_equal(hone__tokenizer_encode(t,
                                            "a a\xc3\xa9"
                                            "a",
                                            6, false, &list),
                     HONE_OK);
    assert_int_equal(list.count, 5);
    assert_memory_equal(list.ids, want, sizeof want);
    hone__token_list_free(&list);
    hone__tokenizer_destroy(t);
}

/* An error, or a tokenizer that works without crashing. */
static void try_blob(const char *text, size_t size)
{
    hone__tokenizer *t;
    hone__token_list list = {0};
    hone__text out = {0};
    if (hone__tokenizer_create(text, size, &t) != HONE_OK) return;
    if (hone__tokenizer_encode(t, "abc <|end|> 12 \xff", 16, true, &list) == HONE_OK)
        (void)hone__tokenizer_decode(t, list.ids, list.count, false, &out);
    hone__free(out.data);
    hone__token_list_free(&list);
    hone__tokenizer_destroy(t);
}

static void broken_tokenizers(void **state)
{
    (void)state;
    char *text = write_spec();
    size_t size = strlen(text);
    for (size_t n = 0; n < size; n++) { /* in a copy of its own size, so that a read behind it is seen */
        char *cut = malloc(n + 1);
        memcpy(cut, text, n);
        try_blob(cut, n);
        free(cut);
    }
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 7; bit++) {
            text[i] ^= (char)(1 << bit);
            try_blob(text, size);
            text[i] ^= (char)(1 << bit);
        }
    hone__free(text);
}

/* What Python's bytes.decode(errors="replace") makes of them. */
static void valid_text(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } rows[] = {{"a\xe2\x82z", "a\xef\xbf\xbdz"},
                {"\xf0\x9f\x92", "\xef\xbf\xbd"},
                {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xe2\x99\xaa\xff", "\xe2\x99\xaa\xef\xbf\xbd"},
                {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                {"", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hone__text t = {0};
        assert_int_equal(hone__text_append_valid(&t, rows[i].from, strlen(rows[i].from)), HONE_OK);
        assert_int_equal(t.size, strlen(rows[i].to));
        if (t.size) assert_memory_equal(t.data, rows[i].to, t.size);
        hone__free(t.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_text), cmocka_unit_test(merges_and_specials), cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(bytes_wait_for_their_character), cmocka_unit_test(broken_tokenizers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
