/* normalise_english.c: EnglishTextNormalizer, step by step as english.py of openai-whisper does it. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "normalise_parts.h"

/* What stands for what; in this order, each over the whole text. word: it begins at a boundary, too (\b); it ends at
 * one always. */
static const struct {
    const char *from, *to;
    bool word;
} contractions[] = {
    {"won't", "will not", true},
    {"can't", "can not", true},
    {"let's", "let us", true},
    {"ain't", "aint", true},
    {"y'all", "you all", true},
    {"wanna", "want to", true},
    {"gotta", "got to", true},
    {"gonna", "going to", true},
    {"i'ma", "i am going to", true},
    {"imma", "i am going to", true},
    {"woulda", "would have", true},
    {"coulda", "could have", true},
    {"shoulda", "should have", true},
    {"ma'am", "madam", true},
    {"mr", "mister ", true},
    {"mrs", "missus ", true},
    {"st", "saint ", true},
    {"dr", "doctor ", true},
    {"prof", "professor ", true},
    {"capt", "captain ", true},
    {"gov", "governor ", true},
    {"ald", "alderman ", true},
    {"gen", "general ", true},
    {"sen", "senator ", true},
    {"rep", "representative ", true},
    {"pres", "president ", true},
    {"rev", "reverend ", true},
    {"hon", "honorable ", true},
    {"asst", "assistant ", true},
    {"assoc", "associate ", true},
    {"lt", "lieutenant ", true},
    {"col", "colonel ", true},
    {"jr", "junior ", true},
    {"sr", "senior ", true},
    {"esq", "esquire ", true},
    {"'d been", " had been", false},
    {"'s been", " has been", false},
    {"'d gone", " had gone", false},
    {"'s gone", " has gone", false},
    {"'d done", " had done", false},
    {"'s got", " has got", false},
    {"n't", " not", false},
    {"'re", " are", false},
    {"'s", " is", false},
    {"'d", " would", false},
    {"'ll", " will", false},
    {"'t", " not", false},
    {"'ve", " have", false},
    {"'m", " am", false},
};

static void replace(const hone__wide *in, hone__wide *out, const char *from, const char *to, bool word)
{
    for (size_t i = 0; i < in->n;) {
        size_t n = hone__wide_match(in, i, from);
        if (n && hone__wide_boundary(in, i + n) && (!word || hone__wide_boundary(in, i))) {
            hone__wide_puts(out, to);
            i += n;
        } else
            hone__wide_put(out, in->c[i++]);
    }
}

static void expand(const hone__wide *in, hone__wide *out)
{
    hone__wide from = {0}, to = {0};
    hone__wide_add(&from, in->c, in->n);
    for (size_t i = 0; i < sizeof contractions / sizeof *contractions; i++) {
        to.n = 0;
        replace(&from, &to, contractions[i].from, contractions[i].to, contractions[i].word);
        to.failed |= from.failed;
        const hone__wide swap = from;
        from = to;
        to = swap;
    }
    hone__wide_add(out, from.c, from.n);
    out->failed |= from.failed;
    hone__free(from.c);
    hone__free(to.c);
}

/* Sounds that are no words. The first that fits at a place counts. */
static void drop_fillers(const hone__wide *in, hone__wide *out)
{
    static const char *const fillers[] = {"hmm", "mm", "mhm", "mmm", "uh", "um"};
    for (size_t i = 0; i < in->n;) {
        size_t end = 0;
        for (size_t k = 0; !end && k < sizeof fillers / sizeof *fillers; k++) {
            size_t n = hone__wide_match(in, i, fillers[k]);
            if (n && hone__wide_boundary(in, i) && hone__wide_boundary(in, i + n)) end = i + n;
        }
        if (!end) hone__wide_put(out, in->c[i]);
        i = end ? end : i + 1;
    }
}

/* No spaces in front of an apostrophe. */
static void join_apostrophes(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n;) {
        size_t end = hone__wide_skip_spaces(in, i);
        if (end > i && (end >= in->n || in->c[end] != '\'')) hone__wide_add(out, in->c + i, end - i);
        i = end;
        if (i < in->n) hone__wide_put(out, in->c[i++]);
    }
}

static void join_thousands(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) {
        hone__wide_put(out, in->c[i]);
        if (hone__wide_digit(in, i) && i + 1 < in->n && in->c[i + 1] == ',' && hone__wide_digit(in, i + 2)) {
            hone__wide_put(out, in->c[i + 2]); /* and that digit does not begin another pair */
            i += 2;
        }
    }
}

/* Characters of `what` (a point alone, or signs of money, too) become a space where no digit follows, which is taken
 * over as it is. last: at the end of the text, too. */
static void space_unless_number(const hone__wide *in, hone__wide *out, const uint32_t *what, bool last)
{
    for (size_t i = 0; i < in->n; i++) {
        const uint32_t *w = what;
        while (*w && *w != in->c[i]) w++;
        bool end = i + 1 == in->n;
        if (!*w || hone__wide_digit(in, i + 1) || (end && !last)) {
            hone__wide_put(out, in->c[i]);
            continue;
        }
        hone__wide_put(out, ' ');
        if (!end) hone__wide_put(out, in->c[++i]);
    }
}

static void drop_points(const hone__wide *in, hone__wide *out)
{
    static const uint32_t point[] = {'.', 0};
    space_unless_number(in, out, point, true);
}

static void drop_lone_signs(const hone__wide *in, hone__wide *out)
{
    static const uint32_t signs[] = {'.', '$', 0xa2, 0x20ac, 0xa3, 0};
    space_unless_number(in, out, signs, false);
}

static void drop_lone_percents(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) {
        hone__wide_put(out, in->c[i]);
        if (!hone__wide_digit(in, i) && i + 1 < in->n && in->c[i + 1] == '%') {
            hone__wide_put(out, ' ');
            i++;
        }
    }
}

/* Letters that NFKD leaves whole. */
static const char *plain_letter(uint32_t c)
{
    static const struct {
        uint32_t c;
        const char *as;
    } letters[] = {{0x153, "oe"}, {0x152, "OE"},  {0xf8, "o"},  {0xd8, "O"},  {0xe6, "ae"}, {0xc6, "AE"},
                   {0xdf, "ss"},  {0x1e9e, "SS"}, {0x111, "d"}, {0x110, "D"}, {0xf0, "d"},  {0xd0, "D"},
                   {0xfe, "th"},  {0xde, "th"},   {0x142, "l"}, {0x141, "L"}};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (letters[i].c == c) return letters[i].as;
    return NULL;
}

static void drop_symbols(const hone__wide *in, hone__wide *out)
{
    static const uint32_t kept[] = {'.', '%', '$', 0xa2, 0x20ac, 0xa3, 0};
    for (size_t i = 0; i < in->n; i++) {
        const uint32_t *k = kept;
        const char *as = plain_letter(in->c[i]);
        int kind = hone__wide_kind(in->c[i]);
        while (*k && *k != in->c[i]) k++;
        if (as)
            hone__wide_puts(out, as);
        else if (*k || !kind)
            hone__wide_put(out, in->c[i]);
        else if (kind == 'S')
            hone__wide_put(out, ' ');
    }
}

static int compare_spelling(const void *word, const void *row) { return strcmp(word, *(const char *const *)row); }

static const char *american(const hone__wide *w, size_t at, size_t n)
{
    char word[32];
    if (n >= sizeof word) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (w->c[at + i] > 0x7f) return NULL;
        word[i] = (char)w->c[at + i];
    }
    word[n] = 0;
    const char *const(*row)[2] =
        bsearch(word, hone__spellings, hone__spelling_count, sizeof *hone__spellings, compare_spelling);
    return row ? (*row)[1] : NULL;
}

void hone__wide_spelling(const hone__wide *in, hone__wide *out)
{
    for (size_t i = hone__wide_skip_spaces(in, 0); i < in->n;) {
        size_t end = hone__wide_skip_word(in, i);
        const char *other = american(in, i, end - i);
        if (out->n) hone__wide_put(out, ' ');
        if (other)
            hone__wide_puts(out, other);
        else
            hone__wide_add(out, in->c + i, end - i);
        i = hone__wide_skip_spaces(in, end);
    }
}

hone_status hone__normalise_english(const char *text, size_t size, hone__text *out)
{
    static hone__wide_step *const steps[] = {
        hone__wide_lower,
        hone__wide_drop_brackets,
        hone__wide_drop_parentheses,
        drop_fillers,
        join_apostrophes,
        expand,
        join_thousands,
        drop_points,
        hone__wide_decompose,
        drop_symbols,
        hone__wide_numbers,
        hone__wide_spelling,
        drop_lone_signs,
        drop_lone_percents,
        hone__wide_one_space,
    };
    return hone__wide_run(text, size, steps, sizeof steps / sizeof *steps, out);
}

hone_status hone__normalise_numbers(const char *text, size_t size, hone__text *out)
{
    static hone__wide_step *const steps[] = {hone__wide_numbers};
    return hone__wide_run(text, size, steps, 1, out);
}

hone_status hone__normalise_spelling(const char *text, size_t size, hone__text *out)
{
    static hone__wide_step *const steps[] = {hone__wide_spelling};
    return hone__wide_run(text, size, steps, 1, out);
}
