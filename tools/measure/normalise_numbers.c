/* normalise_numbers.c: EnglishNumberNormalizer: spelled-out numbers as digits, with signs and currencies, as english.py
 * of openai-whisper does it. Whole numbers are decimal digits of any length; a value is "text" where Python's is a str:
 * it came digit by digit, or has a point. */
#include <string.h>

#include "base/alloc.h"
#include "normalise_parts.h"

typedef enum word_kind {
    PLAIN,
    ZERO,
    ONE, /* one to nineteen */
    TEN,
    MULTIPLIER,
    SIGN,     /* in front of a number: minus */
    CURRENCY, /* behind it: dollars */
    PER,
    PERCENT,
    AND,
    DOUBLE,
    TRIPLE,
    POINT
} word_kind;

/* value: of a multiplier the number of zeros, of signs and currencies the character. suffix: NULL, or the number ends
 * with it, "s" or "rd". */
typedef struct word {
    word_kind kind;
    uint32_t value;
    const char *suffix;
} word;

static const struct {
    const char *name, *plural, *ordinal, *suffix;
    word_kind kind;
    uint32_t value;
} numbers[] = {
    {"one", "ones", "first", "st", ONE, 1},
    {"two", "twos", "second", "nd", ONE, 2},
    {"three", "threes", "third", "rd", ONE, 3},
    {"four", "fours", "fourth", "th", ONE, 4},
    {"five", "fives", "fifth", "th", ONE, 5},
    {"six", "sixes", "sixth", "th", ONE, 6},
    {"seven", "sevens", "seventh", "th", ONE, 7},
    {"eight", "eights", "eighth", "th", ONE, 8},
    {"nine", "nines", "nineth", "th", ONE, 9},
    {"ten", "tens", "tenth", "th", ONE, 10},
    {"eleven", "elevens", "eleventh", "th", ONE, 11},
    {"twelve", "twelves", "twelfth", "th", ONE, 12},
    {"thirteen", "thirteens", "thirteenth", "th", ONE, 13},
    {"fourteen", "fourteens", "fourteenth", "th", ONE, 14},
    {"fifteen", "fifteens", "fifteenth", "th", ONE, 15},
    {"sixteen", "sixteens", "sixteenth", "th", ONE, 16},
    {"seventeen", "seventeens", "seventeenth", "th", ONE, 17},
    {"eighteen", "eighteens", "eighteenth", "th", ONE, 18},
    {"nineteen", "nineteens", "nineteenth", "th", ONE, 19},
    {"twenty", "twenties", "twentieth", "th", TEN, 20},
    {"thirty", "thirties", "thirtieth", "th", TEN, 30},
    {"forty", "forties", "fortieth", "th", TEN, 40},
    {"fifty", "fifties", "fiftieth", "th", TEN, 50},
    {"sixty", "sixties", "sixtieth", "th", TEN, 60},
    {"seventy", "seventies", "seventieth", "th", TEN, 70},
    {"eighty", "eighties", "eightieth", "th", TEN, 80},
    {"ninety", "nineties", "ninetieth", "th", TEN, 90},
    {"hundred", "hundreds", "hundredth", "th", MULTIPLIER, 2},
    {"thousand", "thousands", "thousandth", "th", MULTIPLIER, 3},
    {"million", "millions", "millionth", "th", MULTIPLIER, 6},
    {"billion", "billions", "billionth", "th", MULTIPLIER, 9},
    {"trillion", "trillions", "trillionth", "th", MULTIPLIER, 12},
    {"quadrillion", "quadrillions", "quadrillionth", "th", MULTIPLIER, 15},
    {"quintillion", "quintillions", "quintillionth", "th", MULTIPLIER, 18},
    {"sextillion", "sextillions", "sextillionth", "th", MULTIPLIER, 21},
    {"septillion", "septillions", "septillionth", "th", MULTIPLIER, 24},
    {"octillion", "octillions", "octillionth", "th", MULTIPLIER, 27},
    {"nonillion", "nonillions", "nonillionth", "th", MULTIPLIER, 30},
    {"decillion", "decillions", "decillionth", "th", MULTIPLIER, 33},
};

static const struct {
    const char *name;
    word as;
} others[] = {
    {"o", {ZERO, 0, NULL}},
    {"oh", {ZERO, 0, NULL}},
    {"zero", {ZERO, 0, NULL}},
    {"zeroth", {ONE, 0, "th"}},
    {"minus", {SIGN, '-', NULL}},
    {"negative", {SIGN, '-', NULL}},
    {"plus", {SIGN, '+', NULL}},
    {"positive", {SIGN, '+', NULL}},
    {"pound", {CURRENCY, 0xa3, NULL}},
    {"pounds", {CURRENCY, 0xa3, NULL}},
    {"euro", {CURRENCY, 0x20ac, NULL}},
    {"euros", {CURRENCY, 0x20ac, NULL}},
    {"dollar", {CURRENCY, '$', NULL}},
    {"dollars", {CURRENCY, '$', NULL}},
    {"cent", {CURRENCY, 0xa2, NULL}},
    {"cents", {CURRENCY, 0xa2, NULL}},
    {"per", {PER, 0, NULL}},
    {"percent", {PERCENT, 0, NULL}},
    {"and", {AND, 0, NULL}},
    {"double", {DOUBLE, 0, NULL}},
    {"triple", {TRIPLE, 0, NULL}},
    {"point", {POINT, 0, NULL}},
};

typedef struct span {
    const uint32_t *c;
    size_t n;
} span;

static bool is(span s, const char *text)
{
    size_t n = strlen(text);
    if (s.n != n) return false;
    for (size_t i = 0; i < n; i++)
        if (s.c[i] != (unsigned char)text[i]) return false;
    return true;
}

static word look_up(span s)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!s.n || (s.c[0] != (unsigned char)numbers[i].name[0] && s.c[0] != (unsigned char)numbers[i].ordinal[0]))
            continue;
        word w = {numbers[i].kind, numbers[i].value, NULL};
        if (is(s, numbers[i].name)) return w;
        w.suffix = is(s, numbers[i].plural) ? "s" : is(s, numbers[i].ordinal) ? numbers[i].suffix : NULL;
        if (w.suffix) return w;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (is(s, others[i].name)) return others[i].as;
    return (word){PLAIN, 0, NULL};
}

/* A sign in front of a number; 0: none. */
static uint32_t sign_of(span s)
{
    static const uint32_t signs[] = {'-', '+', '$', 0xa2, 0x20ac, 0xa3};
    for (size_t i = 0; s.n && i < sizeof signs / sizeof *signs; i++)
        if (s.c[0] == signs[i]) return signs[i];
    return 0;
}

/* Digits, and perhaps a point and digits. */
static bool is_numeric(span s)
{
    size_t i = 0, points = 0;
    for (; i < s.n; i++) {
        if (s.c[i] == '.' && i && i + 1 < s.n && !points++) continue;
        if (s.c[i] < '0' || s.c[i] > '9') return false;
    }
    return i > 0;
}

typedef struct speller {
    hone__wide *out;
    hone__wide value;
    bool has, text;  /* a value is there; it is a text */
    uint32_t prefix; /* 0: none */
    span current, next;
    word before, now, after; /* what they are */
    bool after_number;       /* next is a number in digits */
    bool skip;               /* next was used */
} speller;

/* One word of output, with the prefix; no value is there afterwards. */
static void emit(speller *s, const uint32_t *c, size_t n, const char *suffix)
{
    if (s->out->n) hone__wide_put(s->out, ' ');
    if (s->prefix) hone__wide_put(s->out, s->prefix);
    hone__wide_add(s->out, c, n);
    hone__wide_puts(s->out, suffix);
    s->prefix = 0;
    s->has = s->text = false;
    s->value.n = 0;
}

static void emit_value(speller *s, const char *suffix) { emit(s, s->value.c, s->value.n, suffix); }
static void emit_pending(speller *s)
{
    if (s->has) emit_value(s, "");
}
static void emit_word(speller *s)
{
    emit_pending(s);
    emit(s, s->current.c, s->current.n, "");
}

static void put_number(hone__wide *w, uint32_t value)
{
    if (value >= 10) put_number(w, value / 10);
    hone__wide_put(w, '0' + value % 10);
}

static bool is_zero(const speller *s) { return !s->text && s->value.n == 1 && s->value.c[0] == '0'; }

/* Of a whole number: whether its last `count` digits are zeros. */
static bool ends_in_zeros(const speller *s, size_t count)
{
    if (is_zero(s)) return true;
    for (size_t i = 0; i < count; i++)
        if (i >= s->value.n || s->value.c[s->value.n - 1 - i] != '0') return false;
    return true;
}

static void append_number(speller *s, uint32_t value)
{
    put_number(&s->value, value);
    s->text = s->has = true;
}

/* The last digits, which are zeros, become those of `value`. */
static void add_number(speller *s, uint32_t value)
{
    size_t digits = value >= 10 ? 2 : 1;
    s->value.n -= s->value.n < digits ? s->value.n : digits;
    put_number(&s->value, value);
}

/* str(value or "") of Python, which a digit then follows. */
static void start_text(speller *s)
{
    if (!s->has || is_zero(s)) s->value.n = 0;
    s->has = s->text = true;
}

static void take_one(speller *s, uint32_t value)
{
    if (!s->has) {
        put_number(&s->value, value);
        s->has = true;
    } else if (s->text || (s->before.kind == ONE && !s->before.suffix)) {
        if (s->before.kind == TEN && !s->before.suffix && value < 10)
            add_number(s, value);
        else
            append_number(s, value);
        s->text = true;
    } else if (ends_in_zeros(s, value < 10 ? 1 : 2))
        add_number(s, value);
    else
        append_number(s, value);
}

static void take_ten(speller *s, uint32_t value)
{
    if (!s->has) {
        put_number(&s->value, value);
        s->has = true;
    } else if (!s->text && ends_in_zeros(s, 2))
        add_number(s, value);
    else
        append_number(s, value);
}

/* A value that is a text times 10^zeros, where that is a whole number. */
static bool scale_text(speller *s, size_t zeros)
{
    hone__wide *v = &s->value;
    size_t point = v->n, digits = 0, end = v->n, begin = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (v->c[i] == '.' && point == v->n)
            point = i;
        else if (v->c[i] < '0' || v->c[i] > '9')
            return false;
        else
            digits++;
    }
    if (!digits) return false;
    while (end > point + 1 && v->c[end - 1] == '0') end--;
    size_t decimals = end > point ? end - point - 1 : 0;
    if (decimals > zeros) return false;
    if (point < v->n) {
        memmove(v->c + point, v->c + point + 1, decimals * sizeof *v->c);
        v->n = point + decimals;
    }
    for (size_t i = decimals; i < zeros; i++) hone__wide_put(v, '0');
    while (begin + 1 < v->n && v->c[begin] == '0') begin++;
    memmove(v->c, v->c + begin, (v->n - begin) * sizeof *v->c);
    v->n -= begin;
    s->text = false;
    return true;
}

/* A whole number: what is below a thousand of it times 10^zeros, and the thousands as they are. */
static void scale_number(speller *s, size_t zeros)
{
    hone__wide *v = &s->value, sum = {0};
    size_t low = v->n < 3 ? v->n : 3, high = v->n - low;
    const uint32_t *residual = v->c + high;
    size_t n = low + zeros > v->n ? low + zeros : v->n;
    unsigned carry = 0;
    for (size_t i = 0; i < n; i++) { /* the last digit first */
        unsigned a = i >= 3 && i < v->n ? v->c[v->n - 1 - i] - '0' : 0;
        unsigned b = i >= zeros && i - zeros < low ? residual[low - 1 - (i - zeros)] - '0' : 0;
        hone__wide_put(&sum, '0' + (a + b + carry) % 10);
        carry = (a + b + carry) / 10;
    }
    if (carry) hone__wide_put(&sum, '0' + carry);
    while (sum.n > 1 && sum.c[sum.n - 1] == '0') sum.n--;
    v->n = 0;
    v->failed |= sum.failed;
    for (size_t i = sum.n; i-- > 0;) hone__wide_put(v, sum.c[i]);
    hone__free(sum.c);
}

static void put_multiplier(speller *s, size_t zeros)
{
    s->value.n = 0;
    hone__wide_put(&s->value, '1');
    for (size_t i = 0; i < zeros; i++) hone__wide_put(&s->value, '0');
    s->has = true;
    s->text = false;
}

static void take_multiplier(speller *s, size_t zeros)
{
    if (!s->has) {
        put_multiplier(s, zeros);
    } else if (s->text || (is_zero(s) && !s->now.suffix)) {
        if (scale_text(s, zeros)) return;
        emit_value(s, "");
        put_multiplier(s, zeros);
    } else
        scale_number(s, zeros);
}

static void take_digits(speller *s)
{
    uint32_t sign = sign_of(s->current);
    span number = {s->current.c + (sign != 0), s->current.n - (sign != 0)};
    size_t point = 0, begin = 0;
    bool whole = true;
    if (s->has && s->text && s->value.c[s->value.n - 1] == '.') { /* decimals, parts of an address */
        hone__wide_add(&s->value, s->current.c, s->current.n);
        return;
    }
    emit_pending(s);
    if (sign) s->prefix = sign;
    while (point < number.n && number.c[point] != '.') point++;
    for (size_t i = point + 1; i < number.n; i++) whole &= number.c[i] == '0';
    if (whole)
        while (begin + 1 < point && number.c[begin] == '0') begin++;
    hone__wide_add(&s->value, number.c + begin, (whole ? point : number.n) - begin);
    s->has = true;
    s->text = !whole;
}

static void take_per(speller *s)
{
    if (!s->has) {
        emit_word(s);
    } else if (s->now.kind == PERCENT) {
        emit_value(s, "%");
    } else if (is(s->next, "cent")) {
        emit_value(s, "%");
        s->skip = true;
    } else
        emit_word(s);
}

static void take_special(speller *s)
{
    if (s->after.kind == PLAIN && !s->after_number) {
        emit_word(s);
    } else if (s->now.kind == AND) {
        if (s->before.kind != MULTIPLIER || s->before.suffix) emit_word(s); /* no "and" behind hundreds */
    } else if (s->now.kind == POINT) {
        bool decimal = (s->after.kind == ONE || s->after.kind == TEN || s->after.kind == ZERO) && !s->after.suffix;
        if (!decimal && !s->after_number) return;
        start_text(s);
        hone__wide_put(&s->value, '.');
    } else if ((s->after.kind == ONE || s->after.kind == ZERO) && !s->after.suffix) {
        start_text(s);
        for (int i = s->now.kind == DOUBLE ? 2 : 3; i > 0; i--) put_number(&s->value, s->after.value);
        s->skip = true;
    } else
        emit_word(s);
}

static void take(speller *s)
{
    uint32_t sign = sign_of(s->current);
    if (is_numeric((span){s->current.c + (sign != 0), s->current.n - (sign != 0)})) {
        take_digits(s);
        return;
    }
    switch (s->now.kind) {
    case ZERO:
        start_text(s);
        hone__wide_put(&s->value, '0');
        break;
    case ONE: take_one(s, s->now.value); break;
    case TEN: take_ten(s, s->now.value); break;
    case MULTIPLIER: take_multiplier(s, s->now.value); break;
    case SIGN:
        emit_pending(s);
        if (s->after.kind != PLAIN || s->after_number)
            s->prefix = s->now.value;
        else
            emit_word(s);
        break;
    case CURRENCY:
        if (s->has) {
            s->prefix = s->now.value;
            emit_value(s, "");
        } else
            emit_word(s);
        break;
    case PER:
    case PERCENT: take_per(s); break;
    case AND:
    case DOUBLE:
    case TRIPLE:
    case POINT: take_special(s); break;
    default: emit_word(s);
    }
    if (s->now.suffix) emit_value(s, s->now.suffix);
}

/* The next word from *at on. */
static span next_word(const hone__wide *in, size_t *at)
{
    size_t begin = hone__wide_skip_spaces(in, *at);
    *at = hone__wide_skip_word(in, begin);
    return (span){in->c + begin, *at - begin};
}

static void spell(const hone__wide *in, hone__wide *out)
{
    speller s = {.out = out};
    size_t at = 0;
    s.next = next_word(in, &at);
    s.after = look_up(s.next);
    while (s.next.n) {
        s.before = s.now;
        s.current = s.next, s.now = s.after;
        s.next = next_word(in, &at);
        s.after = look_up(s.next);
        s.after_number = is_numeric(s.next);
        if (s.skip)
            s.skip = false;
        else
            take(&s);
    }
    emit_pending(&s);
    out->failed |= s.value.failed;
    hone__free(s.value.c);
}

/* Where "and a half" that begins at `at` ends; 0: it does not. */
static size_t and_a_half(const hone__wide *in, size_t at)
{
    static const char *const words[] = {"and", "a", "half"};
    if (!hone__wide_boundary(in, at)) return 0;
    for (int i = 0; i < 3; i++) {
        size_t begin = i ? hone__wide_skip_spaces(in, at) : at, n = hone__wide_match(in, begin, words[i]);
        if (!n || (i && begin == at)) return 0;
        at = begin + n;
    }
    return hone__wide_boundary(in, at) ? at : 0;
}

/* What stands before an "and a half": [from, to), then what it means. */
static void put_half(const hone__wide *in, size_t from, size_t to, bool last, hone__wide *out)
{
    size_t at = from, end = to;
    while (end > from && hone__wide_skip_spaces(in, end - 1) > end - 1) end--;
    for (at = end; at > from && hone__wide_skip_spaces(in, at - 1) == at - 1;) at--;
    if (end == from) return;
    if (out->n) hone__wide_put(out, ' ');
    hone__wide_add(out, in->c + from, to - from);
    if (last) return;
    word w = look_up((span){in->c + at, end - at});
    bool number = !w.suffix && w.kind >= ZERO && w.kind <= MULTIPLIER;
    hone__wide_puts(out, number ? " point five" : " and a half");
}

static void halves(const hone__wide *in, hone__wide *out)
{
    size_t from = 0;
    for (size_t i = 0; i < in->n;) {
        size_t end = in->c[i] == 'a' ? and_a_half(in, i) : 0;
        if (end) put_half(in, from, i, false, out);
        if (end) from = end;
        i = end ? end : i + 1;
    }
    put_half(in, from, in->n, true, out);
}

static bool is_letter(const hone__wide *w, size_t i) { return i < w->n && w->c[i] >= 'a' && w->c[i] <= 'z'; }

/* A space between a letter and a digit. */
static void part(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) {
        hone__wide_put(out, in->c[i]);
        if ((is_letter(in, i) && hone__wide_digit(in, i + 1)) || (hone__wide_digit(in, i) && is_letter(in, i + 1)))
            hone__wide_put(out, ' ');
    }
}

/* But none in front of what may be the end of a number: 10 th. */
static void join(const hone__wide *in, hone__wide *out)
{
    static const char *const suffixes[] = {"st", "nd", "rd", "th", "s"};
    for (size_t i = 0; i < in->n; i++) {
        hone__wide_put(out, in->c[i]);
        size_t to = hone__wide_skip_spaces(in, i + 1);
        if (!hone__wide_digit(in, i) || to == i + 1) continue;
        for (size_t k = 0; k < sizeof suffixes / sizeof *suffixes; k++) {
            size_t n = hone__wide_match(in, to, suffixes[k]);
            if (!n || !hone__wide_boundary(in, to + n)) continue;
            hone__wide_puts(out, suffixes[k]);
            i = to + n - 1;
            break;
        }
    }
}

static bool is_money(uint32_t c) { return c == '$' || c == 0x20ac || c == 0xa3; }

/* One or two digits at `at` that end at a boundary: how many; 0: not so. */
static size_t cents_at(const hone__wide *in, size_t at)
{
    size_t n = hone__wide_digit(in, at) ? hone__wide_digit(in, at + 1) ? 2 : 1 : 0;
    return n && hone__wide_boundary(in, at + n) ? n : 0;
}

/* "$2 and c7": where the cents begin; 0: it is not that. *end: of the whole money. */
static size_t find_cents(const hone__wide *in, size_t at, size_t *end)
{
    if (!is_money(in->c[at])) return 0;
    for (*end = at + 1; hone__wide_digit(in, *end);) ++*end;
    if (*end == at + 1 || !hone__wide_match(in, *end, " ")) return 0;
    size_t to = *end + 1 + hone__wide_match(in, *end + 1, "and ");
    return to < in->n && in->c[to] == 0xa2 ? to + 1 : 0;
}

static void combine_cents(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t end, cents = find_cents(in, i, &end), n = cents ? cents_at(in, cents) : 0;
        if (!n) {
            hone__wide_put(out, in->c[i]);
            continue;
        }
        hone__wide_add(out, in->c + i, end - i);
        hone__wide_puts(out, n == 1 ? ".0" : ".");
        hone__wide_add(out, in->c + cents, n);
        i = cents + n - 1;
    }
}

/* "$0.36" is c36. */
static void extract_cents(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) {
        bool fits = is_money(in->c[i]) && hone__wide_match(in, i + 1, "0") && i + 2 < in->n && in->c[i + 2] != '\n';
        size_t n = fits ? cents_at(in, i + 3) : 0;
        if (!n) {
            hone__wide_put(out, in->c[i]);
            continue;
        }
        hone__wide_put(out, 0xa2);
        if (n == 1 || in->c[i + 3] != '0') hone__wide_put(out, in->c[i + 3]);
        if (n == 2) hone__wide_put(out, in->c[i + 4]);
        i += 2 + n;
    }
}

/* one and ones instead of 1 and 1s. */
static void name_one(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t n = hone__wide_match(in, i, "1s");
        if (!n || !hone__wide_boundary(in, i + n)) n = hone__wide_match(in, i, "1");
        if (!n || !hone__wide_boundary(in, i) || !hone__wide_boundary(in, i + n)) {
            hone__wide_put(out, in->c[i]);
            continue;
        }
        hone__wide_puts(out, n == 2 ? "ones" : "one");
        i += n - 1;
    }
}

void hone__wide_numbers(const hone__wide *in, hone__wide *out)
{
    static hone__wide_step *const steps[] = {halves, part, join, spell, combine_cents, extract_cents, name_one};
    hone__wide w = {0};
    hone__wide_add(&w, in->c, in->n);
    hone__wide_steps(&w, steps, sizeof steps / sizeof *steps);
    hone__wide_add(out, w.c, w.n);
    out->failed |= w.failed;
    hone__free(w.c);
}
