/* test_transcript.c: files of every format beside what openai-whisper, whisper.cpp and OpenAI's API define, written out
 * by hand here; and what would break a format: arrows, tabs, quotes, bytes that are no UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/transcript/languages.h"
#include "tools/transcript/transcript.h"

static const int32_t first_tokens[] = {50364, 400, 370, 50414}, second_tokens[] = {50414, 1, 2, 50500};

/* Two parts of "é" come as tokens 1 and 2. */
static size_t token_text(void *ctx, int32_t id, char *to, size_t size)
{
    char text[32];
    (void)ctx;
    if (id >= 50364)
        snprintf(text, sizeof text, "<|%.2f|>", (id - 50364) * 0.02);
    else
        snprintf(text, sizeof text, "%s", id == 1 ? "\xc3" : id == 2 ? "\xa9" : id == 400 ? " And" : " \"so");
    size_t n = strlen(text);
    memcpy(to, text, n < size ? n : size);
    return n;
}

static hone__transcription make(void)
{
    hone__transcription t = {.language = "en",
                             .asked_for = NULL,
                             .model = "models/tiny",
                             .system = "hone",
                             .duration = 3725.5,
                             .multilingual = true,
                             .sizes = {51865, 80, {1500, 384, 6, 4}, {448, 384, 6, 4}},
                             .token_text = token_text};
    const hone_segment segments[] = {
        {0, 0, 0, 1.0, " And \"so\"", first_tokens, 4, 0, -0.25, 1.5, 0.0625},
        {1, 0, 1.0, 1.0, "", NULL, 0, 0, -0.25, 1.5, 0.0625},
        {2, 100, 3599.9996, 3725.48, " caf\xc3\xa9 \xf0\x9f\x98\x80\t--> \xe2\x82", second_tokens, 4, 0.2, -1e-5,
         1.0 / 3, 100},
    };
    for (int i = 0; i < 3; i++) assert_int_equal(hone__transcription_add(&t, &segments[i]), HONE_OK);
    return t;
}

static void check(hone__transcription *t, hone__transcript_format format, const char *expected)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    hone__transcription_write(t, format, f);
    fclose(f);
    assert_string_equal(text, expected);
    free(text);
}

#define BAD "\xef\xbf\xbd"
#define FACE "\xf0\x9f\x98\x80"

static void openai_lines(void **state)
{
    (void)state;
    hone__transcription t = make();
    check(&t, HONE__TRANSCRIPT_TXT, "And \"so\"\n\ncaf\xc3\xa9 " FACE "\t--> " BAD "\n");
    check(&t, HONE__TRANSCRIPT_SRT,
          "1\n00:00:00,000 --> 00:00:01,000\nAnd \"so\"\n\n"
          "2\n00:00:01,000 --> 00:00:01,000\n\n\n"
          "3\n01:00:00,000 --> 01:02:05,480\ncaf\xc3\xa9 " FACE "\t-> " BAD "\n\n");
    check(&t, HONE__TRANSCRIPT_VTT,
          "WEBVTT\n\n00:00.000 --> 00:01.000\nAnd \"so\"\n\n"
          "00:01.000 --> 00:01.000\n\n\n"
          "01:00:00.000 --> 01:02:05.480\ncaf\xc3\xa9 " FACE "\t-> " BAD "\n\n");
    check(&t, HONE__TRANSCRIPT_TSV,
          "start\tend\ttext\n0\t1000\tAnd \"so\"\n1000\t1000\t\n3600000\t3725480\tcaf\xc3\xa9 " FACE " --> " BAD "\n");
    hone__transcription_clear(&t);
    check(&t, HONE__TRANSCRIPT_VTT, "WEBVTT\n\n");
    check(&t, HONE__TRANSCRIPT_TSV, "start\tend\ttext\n");
}

static void openai_json(void **state)
{
    (void)state;
#define SEGMENTS                                                                                                       \
    "\"segments\": [{\"id\": 0, \"seek\": 0, \"start\": 0.0, \"end\": 1.0, \"text\": \" And \\\"so\\\"\", "            \
    "\"tokens\": "                                                                                                     \
    "[50364, 400, 370, 50414], \"temperature\": 0.0, \"avg_logprob\": -0.25, \"compression_ratio\": 1.5, "             \
    "\"no_speech_prob\": 0.0625}, {\"id\": 1, \"seek\": 0, \"start\": 1.0, \"end\": 1.0, \"text\": \"\", \"tokens\": " \
    "[], \"temperature\": 0.0, \"avg_logprob\": -0.25, \"compression_ratio\": 1.5, \"no_speech_prob\": 0.0625}, "      \
    "{\"id\": 2, \"seek\": 100, \"start\": 3599.9996, \"end\": 3725.48, \"text\": \" caf\\u00e9 "                      \
    "\\ud83d\\ude00\\t--> \\ufffd\", \"tokens\": [50414, 1, 2, 50500], \"temperature\": 0.2, \"avg_logprob\": "        \
    "-1e-05, "                                                                                                         \
    "\"compression_ratio\": 0.3333333333333333, \"no_speech_prob\": 100.0}]"
    hone__transcription t = make();
    check(&t, HONE__TRANSCRIPT_JSON,
          "{\"text\": \" And \\\"so\\\" caf\\u00e9 \\ud83d\\ude00\\t--> \\ufffd\", " SEGMENTS
          ", \"language\": \"en\"}");
    check(&t, HONE__TRANSCRIPT_VERBOSE_JSON,
          "{\"task\": \"transcribe\", \"language\": \"english\", \"duration\": 3725.5, \"text\": \"And \\\"so\\\" "
          "caf\\u00e9 \\ud83d\\ude00\\t--> \\ufffd\", " SEGMENTS "}\n");
    hone__transcription_clear(&t);
    check(&t, HONE__TRANSCRIPT_JSON, "{\"text\": \"\", \"segments\": [], \"language\": \"en\"}");
}

static void strips_all_spaces(void **state)
{
    (void)state;
    hone__transcription t = {.language = "ja"};
    const hone_segment spaces[] = {{.text = "\xe3\x80\x80\x1c\xe3\x81\x82 \xe3\x81\x84\xc2\xa0\n"},
                                   {.text = "\xe3\x80\x80 "}};
    for (int i = 0; i < 2; i++) assert_int_equal(hone__transcription_add(&t, &spaces[i]), HONE_OK);
    check(&t, HONE__TRANSCRIPT_TXT, "\xe3\x81\x82 \xe3\x81\x84\n\n");
    check(&t, HONE__TRANSCRIPT_CSV_CPP,
          "start,end,text\n0,0,\"\xe3\x80\x80\x1c\xe3\x81\x82 \xe3\x81\x84\xc2\xa0\n\"\n");
    hone__transcription_clear(&t);
}

static void cpp_lines(void **state)
{
    (void)state;
    hone__transcription t = make();
    t.first_number = 4;
    check(&t, HONE__TRANSCRIPT_TXT_CPP, "And \"so\"\ncaf\xc3\xa9 " FACE "\t--> " BAD "\n");
    check(&t, HONE__TRANSCRIPT_SRT_CPP,
          "5\n00:00:00,000 --> 00:00:01,000\n And \"so\"\n\n"
          "6\n01:00:00,000 --> 01:02:05,480\n caf\xc3\xa9 " FACE "\t-> " BAD "\n\n");
    check(&t, HONE__TRANSCRIPT_VTT_CPP,
          "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n And \"so\"\n\n"
          "01:00:00.000 --> 01:02:05.480\n caf\xc3\xa9 " FACE "\t-> " BAD "\n\n");
    check(&t, HONE__TRANSCRIPT_LRC_CPP,
          "[by:hone]\n[00:00.00] And \"so\"\n[60:00.00] caf\xc3\xa9 " FACE "\t--> " BAD "\n");
    check(&t, HONE__TRANSCRIPT_CSV_CPP,
          "start,end,text\n0,1000,\" And \"\"so\"\"\"\n3600000,3725480,\" caf\xc3\xa9 " FACE "\t--> " BAD "\"\n");
    hone__transcription_clear(&t);
}

#define HEAD                                                                                                         \
    "{\n\t\"systeminfo\": \"hone\",\n\t\"model\": {\n\t\t\"type\": \"tiny\",\n\t\t\"multilingual\": true,\n"         \
    "\t\t\"vocab\": 51865,\n\t\t\"audio\": {\n\t\t\t\"ctx\": 1500,\n\t\t\t\"state\": 384,\n\t\t\t\"head\": 6,\n"     \
    "\t\t\t\"layer\": 4\n\t\t},\n\t\t\"text\": {\n\t\t\t\"ctx\": 448,\n\t\t\t\"state\": 384,\n\t\t\t\"head\": 6,\n"  \
    "\t\t\t\"layer\": 4\n\t\t},\n\t\t\"mels\": 80\n\t},\n\t\"params\": {\n\t\t\"model\": \"models/tiny\",\n"         \
    "\t\t\"language\": \"auto\",\n\t\t\"translate\": false\n\t},\n\t\"result\": {\n\t\t\"language\": \"en\"\n\t},\n" \
    "\t\"transcription\": [\n"
#define TIMES(from, to, from_ms, to_ms)                                                                       \
    "\t\t{\n\t\t\t\"timestamps\": {\n\t\t\t\t\"from\": \"" from "\",\n\t\t\t\t\"to\": \"" to "\"\n\t\t\t},\n" \
    "\t\t\t\"offsets\": {\n\t\t\t\t\"from\": " from_ms ",\n\t\t\t\t\"to\": " to_ms "\n\t\t\t},\n"
#define FIRST TIMES("00:00:00,000", "00:00:01,000", "0", "1000") "\t\t\t\"text\": \" And \\\"so\\\"\""
#define SECOND                                                  \
    TIMES("01:00:00,000", "01:02:05,480", "3600000", "3725480") \
    "\t\t\t\"text\": \" caf\xc3\xa9 " FACE "\\t--> " BAD "\""
#define TOKEN(text, id) \
    "\t\t\t\t{\n\t\t\t\t\t\"text\": \"" text "\",\n\t\t\t\t\t\"id\": " id ",\n\t\t\t\t\t\"t_dtw\": -1\n\t\t\t\t}"

static void cpp_json(void **state)
{
    (void)state;
    hone__transcription t = make();
    check(&t, HONE__TRANSCRIPT_JSON_CPP, HEAD FIRST "\n\t\t},\n" SECOND "\n\t\t}\n\t]\n}\n");
    check(&t, HONE__TRANSCRIPT_JSON_FULL_CPP,
          HEAD FIRST ",\n\t\t\t\"tokens\": [\n" TOKEN("<|0.00|>", "50364") ",\n" TOKEN(" And", "400") ",\n" TOKEN(
              " \\\"so", "370") ",\n" TOKEN("<|1.00|>",
                                            "50414") "\n\t\t\t]\n\t\t},\n" SECOND
                                                     ",\n\t\t\t\"tokens\": [\n" TOKEN("<|1.00|>", "50414") ",\n" TOKEN(
                                                         "\xc3\xa9",
                                                         "1") ",\n" TOKEN("<|2.72|>",
                                                                          "50500") "\n\t\t\t]\n\t\t}\n\t]\n}\n");
    hone__transcription_clear(&t);
    check(&t, HONE__TRANSCRIPT_JSON_CPP, HEAD "\t]\n}\n");
}

/* As many U+FFFD as Python's errors="replace" gives. */
static void broken_text(void **state)
{
    static const struct {
        const char *bytes, *expected;
    } cases[] = {
        {"a\xff", "a" BAD},
        {"\xe2\x82", BAD},
        {"\xe2\x82x", BAD "x"},
        {"\xf0\x9f\x98", BAD},
        {"\xed\xa0\x80", BAD BAD BAD},
        {"\xc0\x80", BAD BAD},
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD},
        {"\xe0\x80", BAD BAD},
        {"\xf0\x9f\xc3\xa9", BAD "\xc3\xa9"},
    };
    (void)state;
    hone__transcription t = {.language = "en"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hone_segment s = {.text = cases[i].bytes};
        assert_int_equal(hone__transcription_add(&t, &s), HONE_OK);
        assert_string_equal(t.segments[i].text, cases[i].expected);
    }
    hone__transcription_clear(&t);
    const hone_segment s = {.text = "x", .avg_logprob = -INFINITY, .no_speech_prob = NAN};
    assert_int_equal(hone__transcription_add(&t, &s), HONE_OK);
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    hone__transcription_write(&t, HONE__TRANSCRIPT_JSON, f);
    fclose(f);
    assert_non_null(strstr(text, "\"avg_logprob\": null"));
    assert_non_null(strstr(text, "\"no_speech_prob\": null"));
    free(text);
    hone__transcription_clear(&t);
}

static void saved(void **state)
{
    (void)state;
    char folder[] = "/tmp/hone-transcript-XXXXXX", path[64], text[64] = "";
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.tsv", folder);
    hone__transcription t = {.language = "en"};
    assert_int_equal(hone__transcription_save(&t, HONE__TRANSCRIPT_TSV, path), HONE_OK);
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(text, 1, sizeof text, f), strlen("start\tend\ttext\n"));
    fclose(f);
    remove(path);
    rmdir(folder);
    assert_int_equal(hone__transcription_save(&t, HONE__TRANSCRIPT_TSV, path), HONE_E_IO);
}

static void languages(void **state)
{
    (void)state;
    assert_string_equal(hone__language_code("German"), "de");
    assert_string_equal(hone__language_code("DE"), "de");
    assert_string_equal(hone__language_code("haitian creole"), "ht");
    assert_string_equal(hone__language_code("Haitian"), "ht");
    assert_string_equal(hone__language_code("mandarin"), "zh");
    assert_null(hone__language_code("klingon"));
    assert_null(hone__language_code(""));
    assert_string_equal(hone__language_name("yue"), "cantonese");
    assert_string_equal(hone__language_name("zh"), "chinese");
    assert_string_equal(hone__language_name("xx"), "xx");
    assert_string_equal(hone__language_nearest("Grman"), "german");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openai_lines), cmocka_unit_test(openai_json), cmocka_unit_test(strips_all_spaces),
        cmocka_unit_test(cpp_lines),    cmocka_unit_test(cpp_json),    cmocka_unit_test(broken_text),
        cmocka_unit_test(saved),        cmocka_unit_test(languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
