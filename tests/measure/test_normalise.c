/* test_normalise.c: the published cases of openai-whisper's tests/test_normalizer.py, more of each rule, and error
 * rates counted by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "tools/measure/normalise.h"
#include "tools/measure/wer.h"

typedef hone_status normaliser(const char *text, size_t size, hone__text *out);

static void check(normaliser *n, const char *text, const char *expected)
{
    hone__text out = {0};
    assert_int_equal(n(text, strlen(text), &out), HONE_OK);
    assert_int_equal(hone__text_append(&out, "", 1), HONE_OK);
    assert_string_equal(out.data, expected);
    hone__free(out.data);
}

static const char *const numbers[][2] = {
    {"two", "2"},
    {"thirty one", "31"},
    {"five twenty four", "524"},
    {"nineteen ninety nine", "1999"},
    {"twenty nineteen", "2019"},
    {"two point five million", "2500000"},
    {"four point two billions", "4200000000s"},
    {"200 thousand", "200000"},
    {"200 thousand dollars", "$200000"},
    {"$20 million", "$20000000"},
    {"€52.4 million", "€52400000"},
    {"£77 thousands", "£77000s"},
    {"two double o eight", "2008"},
    {"three thousand twenty nine", "3029"},
    {"forty three thousand two hundred sixty", "43260"},
    {"forty three thousand two hundred and sixty", "43260"},
    {"nineteen fifties", "1950s"},
    {"thirty first", "31st"},
    {"thirty three thousand and three hundred and thirty third", "33333rd"},
    {"three billion", "3000000000"},
    {"millions", "1000000s"},
    {"july third twenty twenty", "july 3rd 2020"},
    {"august twenty sixth twenty twenty one", "august 26th 2021"},
    {"3 14", "3 14"},
    {"3.14", "3.14"},
    {"3 point 2", "3.2"},
    {"3 point 14", "3.14"},
    {"fourteen point 4", "14.4"},
    {"two point two five dollars", "$2.25"},
    {"two hundred million dollars", "$200000000"},
    {"$20.1 million", "$20100000"},
    {"ninety percent", "90%"},
    {"seventy six per cent", "76%"},
    {"double oh seven", "007"},
    {"double zero seven", "007"},
    {"nine one one", "911"},
    {"nine double one", "911"},
    {"one triple oh one", "10001"},
    {"two thousandth", "2000th"},
    {"thirty two thousandth", "32000th"},
    {"minus 500", "-500"},
    {"positive twenty thousand", "+20000"},
    {"two dollars and seventy cents", "$2.70"},
    {"3 cents", "¢3"},
    {"$0.36", "¢36"},
    {"three euros and sixty five cents", "€3.65"},
    {"three and a half million", "3500000"},
    {"forty eight and a half dollars", "$48.5"},
    {"b747", "b 747"},
    {"10 th", "10th"},
    {"10th", "10th"},
};

static void published_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        check(hone__normalise_numbers, numbers[i][0], numbers[i][1]);
        check(hone__normalise_english, numbers[i][0], numbers[i][1]);
    }
}

static void published_texts(void **state)
{
    (void)state;
    check(hone__normalise_spelling, "mobilisation", "mobilization");
    check(hone__normalise_spelling, "cancelation", "cancellation");
    check(hone__normalise_english, "Let's", "let us");
    check(hone__normalise_english, "he's like", "he is like");
    check(hone__normalise_english, "she's been like", "she has been like");
    check(hone__normalise_english, "10km", "10 km");
    check(hone__normalise_english, "10mm", "10 mm");
    check(hone__normalise_english, "RC232", "rc 232");
    check(hone__normalise_english, "Mr. Park visited Assoc. Prof. Kim Jr.",
          "mister park visited associate professor kim junior");
}

/* Numbers as long as they come, digits that were zeros, and texts that are no numbers. */
static void more_numbers(void **state)
{
    (void)state;
    check(hone__normalise_numbers, "nine hundred ninety nine decillion", "999000000000000000000000000000000000");
    check(hone__normalise_numbers, "123456789012345678901234567890123456789012 dollars",
          "$123456789012345678901234567890123456789012");
    check(hone__normalise_numbers, "007 and 0.50", "7 and 0.50");
    check(hone__normalise_numbers, "zero point five million", "500000");
    check(hone__normalise_numbers, "1 point 2 point 3 million", "one.2.3 1000000");
    check(hone__normalise_numbers, "point of no return", "point of no return");
    check(hone__normalise_numbers, "one and ones", "one and ones");
    check(hone__normalise_numbers, "minus sign", "minus sign");
    check(hone__normalise_numbers, "and a half", "");
    check(hone__normalise_numbers, "", "");
}

static void more_texts(void **state)
{
    (void)state;
    check(hone__normalise_english, "Umm, um [noise] (sighs) I'd been; we'd go.", "umm i had been we would go");
    check(hone__normalise_english, "It won't cost $1,234,567.", "it will not cost $1234567");
    check(hone__normalise_english, "Crème brûlée \xc3\x86on colour ...", "creme brulee eon color .");
    check(hone__normalise_english, "a .b 100% %", "a b 100% ");
    check(hone__normalise_english, "one 'll go", "one will go");
    check(hone__normalise_english, "", "");
    check(hone__normalise_basic, "Straße, „Tschüß“! [x] (y) ①", "straße tschüß 1");
    check(hone__normalise_basic, "\xed\x95\x9c\xea\xb5\xad() e\xcc\x81t\xc3\xa9",
          "\xed\x95\x9c\xea\xb5\xad \xc3\xa9t\xc3\xa9");
    check(hone__normalise_basic, "\xff", " ");
}

static hone__errors count(const char *reference, const char *text, bool english, bool characters)
{
    hone__errors e = {0};
    assert_int_equal(hone__errors_count(reference, text, english, characters, &e), HONE_OK);
    return e;
}

static void error_rates(void **state)
{
    (void)state;
    hone__errors e = count("The cat sat on the mat today, ok?", "the bat sat on mat today ok well", true, false);
    assert_int_equal(e.substitutions, 1);
    assert_int_equal(e.deletions, 1);
    assert_int_equal(e.insertions, 1);
    assert_int_equal(e.units, 8);
    assert_true(hone__errors_rate(&e) == 0.375);
    e = count("ab cd", "ab ced", false, true);
    assert_int_equal(e.insertions, 1);
    assert_int_equal(e.units, 5);
    e = count("", "two words", true, false);
    assert_int_equal(e.insertions, 2);
    assert_true(hone__errors_rate(&e) == 1);
    e = count("two words", "", true, false);
    assert_int_equal(e.deletions, 2);
    e = count("It's 20 dollars", "it is twenty dollars", true, false);
    assert_true(hone__errors_rate(&e) == 0);
    assert_int_equal(e.units, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_numbers), cmocka_unit_test(published_texts), cmocka_unit_test(more_numbers),
        cmocka_unit_test(more_texts),        cmocka_unit_test(error_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
