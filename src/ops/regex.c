/* regex.c: a pattern is compiled to instructions of a small machine (Thompson 1968; Pike's machine without captures),
 * which is run on all states at once. */
#include "regex.h"

#include <string.h>

#include "base/utf8.h"

enum {
    PATTERN_MAX = 1 << 16,
    CODE_MAX = 1 << 15,
    WORK_MAX = 1 << 18,
    DEPTH_MAX = 200,
    REPEAT_MAX = 1000,
    CHAR_MAX_POINT = 0x10ffff
};
enum { FOLD = 1, DOT_ALL = 2, MULTI_LINE = 4 };

typedef enum opcode { MATCH, SET, SPLIT, JUMP, ASSERT } opcode;

typedef struct instruction {
    uint8_t op, flag; /* SET: folded; ASSERT: which, a letter */
    bool negated;
    uint32_t x, y; /* SPLIT, JUMP: targets; SET: first range, count of ranges */
} instruction;

typedef struct range {
    uint32_t low, high;
} range;

struct hone__regex {
    instruction *code;
    range *ranges;
    size_t count;
};

typedef struct compiler {
    const char *start, *p, *end;
    instruction *code;
    range *ranges;
    size_t count, room, range_count, range_room, work;
    unsigned flags;
    int depth;
    instruction literal; /* the last one of \\Q...\\E */
} compiler;

static hone_status malformed(const compiler *c, const char *what)
{
    return hone__fail(HONE_E_ARGUMENT, "the pattern is malformed at byte %zu: %s", (size_t)(c->p - c->start), what);
}

static hone_status emit(compiler *c, instruction i)
{
    if (c->count >= CODE_MAX) return hone__fail(HONE_E_LIMIT, "the pattern needs more than %d states", CODE_MAX);
    HONE__TRY(hone__grow(&c->code, &c->room, c->count, sizeof i));
    c->code[c->count++] = i;
    return HONE_OK;
}

static hone_status add_range(compiler *c, uint32_t low, uint32_t high)
{
    if (++c->work > WORK_MAX) return hone__fail(HONE_E_LIMIT, "the pattern repeats too much");
    HONE__TRY(hone__grow(&c->ranges, &c->range_room, c->range_count, sizeof *c->ranges));
    c->ranges[c->range_count++] = (range){low, high};
    return HONE_OK;
}

static bool more(const compiler *c) { return c->p < c->end; }
static bool next_is(compiler *c, char what)
{
    if (!more(c) || *c->p != what) return false;
    c->p++;
    return true;
}

/* Ranges of \d, \s, \w and of [:name:], also of what they leave out. */
static hone_status add_named(compiler *c, const char *pairs, size_t count, bool negated)
{
    uint32_t from = 0;
    for (size_t i = 0; i < count; i += 2) {
        uint32_t low = (uint8_t)pairs[i], high = (uint8_t)pairs[i + 1];
        if (!negated)
            HONE__TRY(add_range(c, low, high));
        else if (low > from)
            HONE__TRY(add_range(c, from, low - 1));
        from = high + 1;
    }
    return negated ? add_range(c, from, CHAR_MAX_POINT) : HONE_OK;
}

static hone_status add_perl(compiler *c, char letter, bool *known)
{
    char lower = (char)(letter | 32);
    bool negated = lower != letter;
    *known = true;
    if (lower == 'd') return add_named(c, "09", 2, negated);
    if (lower == 's') return add_named(c, "\t\n\f\r  ", 6, negated);
    if (lower == 'w') return add_named(c, "09AZ__az", 8, negated);
    *known = false;
    return HONE_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static hone_status read_hex(compiler *c, uint32_t *out)
{
    bool braces = next_is(c, '{');
    int digits = 0;
    *out = 0;
    while (more(c) && hex_digit(*c->p) >= 0 && (braces ? *out <= CHAR_MAX_POINT : digits < 2)) {
        *out = *out * 16 + (uint32_t)hex_digit(*c->p++);
        digits++;
    }
    if (!digits || (braces ? !next_is(c, '}') : digits < 2) || !hone__utf8_valid(*out)) return malformed(c, "\\x");
    return HONE_OK;
}

/* The character behind a backslash. */
static hone_status read_escape(compiler *c, uint32_t *out)
{
    static const char letters[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    if (!more(c)) return malformed(c, "a backslash at the end");
    char e = *c->p;
    const char *known = strchr(letters, e);
    if (e && known) {
        c->p++;
        *out = (uint8_t)values[known - letters];
        return HONE_OK;
    }
    if (e == 'x') {
        c->p++;
        return read_hex(c, out);
    }
    if (e == 'p' || e == 'P' || e == 'C') return hone__fail(HONE_E_UNSUPPORTED, "\\%c in a pattern", e);
    if (e >= '0' && e <= '7') {
        if (e != '0' && (c->end - c->p < 2 || c->p[1] < '0' || c->p[1] > '7')) return malformed(c, "a back reference");
        *out = 0;
        for (int i = 0; i < 3 && more(c) && *c->p >= '0' && *c->p <= '7'; i++)
            *out = *out * 8 + (uint32_t)(*c->p++ - '0');
        return HONE_OK;
    }
    if ((e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || (e >= '8' && e <= '9'))
        return malformed(c, "an unknown escape");
    *out = hone__utf8_take(&c->p, c->end);
    return HONE_OK;
}

/* [:alpha:] and the like, behind "[" inside a class. */
static hone_status read_posix(compiler *c, bool *known)
{
    static const struct {
        const char *name, *pairs;
    } names[] = {{"alnum", "09AZaz"},  {"alpha", "AZaz"},     {"ascii", NULL},     {"blank", "\t\t  "},
                 {"cntrl", NULL},      {"digit", "09"},       {"graph", "!~"},     {"lower", "az"},
                 {"print", " ~"},      {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"upper", "AZ"},
                 {"word", "09AZ__az"}, {"xdigit", "09AFaf"}};
    const char *p = c->p + 1; /* behind ':' */
    bool negated = p < c->end && *p == '^';
    p += negated;
    *known = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i].name);
        if ((size_t)(c->end - p) < n + 2 || memcmp(p, names[i].name, n) || p[n] != ':' || p[n + 1] != ']') continue;
        c->p = p + n + 2;
        *known = true;
        if (names[i].pairs) return add_named(c, names[i].pairs, strlen(names[i].pairs), negated);
        if (*names[i].name == 'a') return negated ? add_range(c, 0x80, CHAR_MAX_POINT) : add_range(c, 0, 0x7f);
        return add_named(c, "\0\x1f\x7f\x7f", 4, negated);
    }
    return HONE_OK;
}

static hone_status class_char(compiler *c, uint32_t *out)
{
    if (next_is(c, '\\')) return read_escape(c, out);
    *out = hone__utf8_take(&c->p, c->end);
    return HONE_OK;
}

/* One item of a class: a character, a range, \d, [:digit:]. */
static hone_status class_item(compiler *c)
{
    bool known = false;
    if (c->end - c->p >= 2 && *c->p == '\\') {
        HONE__TRY(add_perl(c, c->p[1], &known));
        if (known) c->p += 2;
    } else if (c->end - c->p >= 2 && *c->p == '[' && c->p[1] == ':') {
        const char *at = c->p++;
        HONE__TRY(read_posix(c, &known));
        if (!known) c->p = at;
    }
    if (known) return HONE_OK;
    uint32_t low, high;
    HONE__TRY(class_char(c, &low));
    high = low;
    if (c->end - c->p >= 2 && *c->p == '-' && c->p[1] != ']') {
        c->p++;
        HONE__TRY(class_char(c, &high));
        if (high < low) return malformed(c, "a range that ends before it begins");
    }
    return add_range(c, low, high);
}

static hone_status emit_set(compiler *c, size_t first, bool negated)
{
    return emit(c, (instruction){.op = SET,
                                 .flag = (c->flags & FOLD) != 0,
                                 .negated = negated,
                                 .x = (uint32_t)first,
                                 .y = (uint32_t)(c->range_count - first)});
}

static hone_status emit_char(compiler *c, uint32_t v)
{
    size_t first = c->range_count;
    HONE__TRY(add_range(c, v, v));
    return emit_set(c, first, false);
}

static hone_status read_class(compiler *c)
{
    size_t first = c->range_count;
    bool negated = next_is(c, '^');
    do {
        if (!more(c)) return malformed(c, "a class without its ]");
        HONE__TRY(class_item(c));
    } while (!more(c) || *c->p != ']');
    c->p++;
    return emit_set(c, first, negated);
}

static hone_status read_alternatives(compiler *c);

/* (?flags), (?flags:...), (?P<name>...), (?<name>...), (...). Behind "(". */
static hone_status read_group(compiler *c)
{
    unsigned outer = c->flags;
    if (next_is(c, '?')) {
        bool off = false;
        if (next_is(c, 'P') || (more(c) && *c->p == '<')) {
            if (!next_is(c, '<')) return malformed(c, "a group's name");
            const char *close = memchr(c->p, '>', (size_t)(c->end - c->p));
            if (!close || close == c->p) return malformed(c, "a group's name");
            c->p = close + 1;
        } else
            for (;;) {
                if (!more(c)) return malformed(c, "a group's flags");
                char f = *c->p++;
                unsigned bit = f == 'i' ? FOLD : f == 's' ? DOT_ALL : f == 'm' ? MULTI_LINE : 0;
                if (f == ':') break;
                if (f == ')') return HONE_OK; /* for the rest of the group around */
                if (f == '-' && !off)
                    off = true;
                else if (bit)
                    c->flags = off ? c->flags & ~bit : c->flags | bit;
                else if (f != 'U') /* greed does not matter to a match of the whole */
                    return malformed(c, "a group's flags");
            }
    }
    if (++c->depth > DEPTH_MAX) return hone__fail(HONE_E_LIMIT, "groups nested deeper than %d", DEPTH_MAX);
    HONE__TRY(read_alternatives(c));
    c->depth--;
    c->flags = outer;
    return next_is(c, ')') ? HONE_OK : malformed(c, "a group without its )");
}

static hone_status emit_assert(compiler *c, char which)
{
    return emit(c, (instruction){.op = ASSERT, .flag = (uint8_t)which});
}

/* \Q...\E: characters as they are; each is an atom, the last of which a repetition repeats: read one at a time. */
static hone_status read_backslash(compiler *c)
{
    bool known;
    uint32_t v;
    size_t first = c->range_count;
    if (more(c) && strchr("AzbB", *c->p) && *c->p) return emit_assert(c, *c->p++);
    if (more(c)) {
        HONE__TRY(add_perl(c, *c->p, &known));
        if (known) {
            c->p++;
            return emit_set(c, first, false);
        }
    }
    HONE__TRY(read_escape(c, &v));
    return emit_char(c, v);
}

static hone_status read_atom(compiler *c)
{
    size_t first = c->range_count;
    char k = *c->p;
    if (++c->work > WORK_MAX) return hone__fail(HONE_E_LIMIT, "the pattern repeats too much");
    if (k == '(' || k == '[' || k == '\\' || k == '.' || k == '^' || k == '$') c->p++;
    switch (k) {
    case '(': return read_group(c);
    case '[': return read_class(c);
    case '\\': return read_backslash(c);
    case '.':
        if (!(c->flags & DOT_ALL)) HONE__TRY(add_range(c, '\n', '\n'));
        return emit_set(c, first, true);
    case '^': return emit_assert(c, c->flags & MULTI_LINE ? '^' : 'A');
    case '$': return emit_assert(c, c->flags & MULTI_LINE ? '$' : 'z');
    case '*':
    case '+':
    case '?': return malformed(c, "nothing to repeat");
    default: return emit_char(c, hone__utf8_take(&c->p, c->end));
    }
}

/* {n}, {n,}, {n,m}; false: not one, and then { is a character. */
static bool read_counts(compiler *c, int *least, int *most)
{
    const char *p = c->p + 1;
    int v[2] = {0, -1}, i = 0, digits = 0;
    for (; p < c->end; p++) {
        if (*p >= '0' && *p <= '9' && v[i] <= REPEAT_MAX)
            v[i] = (v[i] < 0 ? 0 : v[i]) * 10 + (*p - '0'), digits++;
        else if (*p == ',' && !i && digits)
            i = 1;
        else
            break;
    }
    if (p == c->end || *p != '}' || !digits) return false;
    c->p = p + 1;
    *least = v[0];
    *most = i ? v[1] : v[0];
    return true;
}

/* `*`: 0, -1; `+`: 1, -1; `?`: 0, 1. false: no repetition follows. */
static bool read_repetition(compiler *c, int *least, int *most)
{
    if (!more(c)) return false;
    if (*c->p == '{') {
        if (!read_counts(c, least, most)) return false;
    } else if (*c->p == '*' || *c->p == '+' || *c->p == '?') {
        *least = *c->p == '+';
        *most = *c->p == '?' ? 1 : -1;
        c->p++;
    } else
        return false;
    next_is(c, '?'); /* the shortest or the longest: the whole text all the same */
    return true;
}

/* The atom at `at` (NULL: the literal) once more, behind a way around it where it is optional. */
static hone_status repeat_atom(compiler *c, const char *at, unsigned flags, bool optional)
{
    size_t split = c->count;
    if (optional) HONE__TRY(emit(c, (instruction){.op = SPLIT, .x = (uint32_t)split + 1}));
    if (at) {
        c->p = at;
        c->flags = flags;
        HONE__TRY(read_atom(c));
    } else
        HONE__TRY(emit(c, c->literal));
    if (optional) c->code[split].y = (uint32_t)c->count;
    return HONE_OK;
}

static hone_status repeat(compiler *c, const char *at, unsigned flags, size_t begin, int least, int most)
{
    const char *behind = c->p;
    unsigned after = c->flags;
    if (least > REPEAT_MAX || most > REPEAT_MAX || (most >= 0 && most < least))
        return malformed(c, "a repetition's counts");
    c->count = begin; /* written again, as often as needed */
    for (int i = 0; i < least; i++) HONE__TRY(repeat_atom(c, at, flags, false));
    for (int i = least; i < most; i++) HONE__TRY(repeat_atom(c, at, flags, true));
    if (most < 0) {
        size_t loop = c->count;
        HONE__TRY(repeat_atom(c, at, flags, true));
        HONE__TRY(emit(c, (instruction){.op = JUMP, .x = (uint32_t)loop}));
        c->code[loop].y = (uint32_t)c->count;
    }
    c->p = behind;
    c->flags = after;
    return HONE_OK;
}

/* Characters up to \E; what repeats follows repeats the last one. */
static hone_status read_quoted(compiler *c)
{
    while (more(c) && !(c->end - c->p >= 2 && c->p[0] == '\\' && c->p[1] == 'E')) {
        HONE__TRY(emit_char(c, hone__utf8_take(&c->p, c->end)));
        c->literal = c->code[c->count - 1];
    }
    c->p += more(c) ? 2 : 0;
    return HONE_OK;
}

static hone_status read_sequence(compiler *c)
{
    while (more(c) && *c->p != '|' && *c->p != ')') {
        const char *at = c->p;
        unsigned flags = c->flags;
        size_t begin = c->count;
        int least, most;
        if (c->end - c->p >= 2 && c->p[0] == '\\' && c->p[1] == 'Q') {
            c->p += 2;
            HONE__TRY(read_quoted(c));
            if (c->count == begin) continue;
            at = NULL;
            begin = c->count - 1;
        } else
            HONE__TRY(read_atom(c));
        if (!read_repetition(c, &least, &most)) continue;
        HONE__TRY(repeat(c, at, flags, begin, least, most));
        if (read_repetition(c, &least, &most)) return malformed(c, "a repetition of a repetition");
    }
    return HONE_OK;
}

/* a|b|c: split to a, or on to b|c; each but the last jumps behind the whole. The jumps form a list through x. */
static hone_status read_alternatives(compiler *c)
{
    uint32_t jumps = UINT32_MAX;
    for (;;) {
        size_t begin = c->count;
        HONE__TRY(emit(c, (instruction){.op = SPLIT, .x = (uint32_t)begin + 1, .y = (uint32_t)begin + 1}));
        HONE__TRY(read_sequence(c));
        if (!next_is(c, '|')) break;
        HONE__TRY(emit(c, (instruction){.op = JUMP, .x = jumps}));
        jumps = (uint32_t)c->count - 1;
        c->code[begin].y = (uint32_t)c->count;
    }
    while (jumps != UINT32_MAX) {
        uint32_t next = c->code[jumps].x;
        c->code[jumps].x = (uint32_t)c->count;
        jumps = next;
    }
    return HONE_OK;
}

static hone_status finish(compiler *c, hone__arena *arena, hone__regex **out)
{
    hone__regex *re = *out = hone__arena_alloc(arena, sizeof *re);
    size_t code = c->count * sizeof *re->code, ranges = c->range_count * sizeof *re->ranges;
    if (!re) return hone__out_of_memory(sizeof *re);
    *re = (hone__regex){hone__arena_alloc(arena, code + 1), hone__arena_alloc(arena, ranges + 1), c->count};
    if (!re->code || !re->ranges) return hone__out_of_memory(code + ranges);
    memcpy(re->code, c->code, code);
    if (ranges) memcpy(re->ranges, c->ranges, ranges);
    return HONE_OK;
}

hone_status hone__regex_compile(hone__string pattern, hone__arena *arena, hone__regex **out)
{
    static const char nothing[1];
    const char *start = pattern.size ? pattern.data : nothing;
    compiler c = {.start = start, .p = start, .end = start + pattern.size};
    *out = NULL;
    if (pattern.size > PATTERN_MAX) return hone__fail(HONE_E_LIMIT, "a pattern of more than %d bytes", PATTERN_MAX);
    hone_status s = read_alternatives(&c);
    if (s == HONE_OK && more(&c)) s = malformed(&c, "a ) without its group");
    if (s == HONE_OK) s = emit(&c, (instruction){.op = MATCH});
    if (s == HONE_OK) s = finish(&c, arena, out);
    hone__free(c.code);
    hone__free(c.ranges);
    return s;
}

static bool in_ranges(const range *r, size_t count, uint32_t v)
{
    for (size_t i = 0; i < count; i++)
        if (v >= r[i].low && v <= r[i].high) return true;
    return false;
}

static bool takes(const hone__regex *re, const instruction *i, uint32_t v)
{
    const range *r = re->ranges + i->x;
    if (v > CHAR_MAX_POINT) return false; /* a byte that is no UTF-8 */
    bool in = in_ranges(r, i->y, v);
    if (!in && i->flag) in = in_ranges(r, i->y, hone__lower(v)) || in_ranges(r, i->y, hone__upper(v));
    return in != i->negated;
}

/* States that the machine is in, each once: sparse[state] says where in dense it is. */
typedef struct states {
    uint32_t *dense, *sparse;
    size_t count;
} states;

typedef struct place {
    uint32_t before, after; /* the characters on both sides; UINT32_MAX at the ends */
} place;

static bool is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= 'a' && c <= 'z');
}

static bool holds(char which, place p)
{
    switch (which) {
    case 'A': return p.before == UINT32_MAX;
    case 'z': return p.after == UINT32_MAX;
    case '^': return p.before == UINT32_MAX || p.before == '\n';
    case '$': return p.after == UINT32_MAX || p.after == '\n';
    default: return (is_word(p.before) != is_word(p.after)) == (which == 'b');
    }
}

static void add_state(states *s, uint32_t i)
{
    if (s->sparse[i] < s->count && s->dense[s->sparse[i]] == i) return;
    s->sparse[i] = (uint32_t)s->count;
    s->dense[s->count++] = i;
}

/* Every state that the set's states reach without a character; the set grows while it is walked. */
static void close_states(const hone__regex *re, states *s, place p)
{
    for (size_t k = 0; k < s->count; k++) {
        uint32_t at = s->dense[k];
        const instruction *i = &re->code[at];
        if (i->op == JUMP) add_state(s, i->x);
        if (i->op == SPLIT) {
            add_state(s, i->x);
            add_state(s, i->y);
        }
        if (i->op == ASSERT && holds((char)i->flag, p)) add_state(s, at + 1);
    }
}

size_t hone__regex_scratch(const hone__regex *re) { return 4 * re->count * sizeof(uint32_t); }

static bool in_state(const states *s, uint32_t i) { return s->sparse[i] < s->count && s->dense[s->sparse[i]] == i; }

size_t hone__regex_longest(const hone__regex *re, hone__string text, size_t from, void *scratch, size_t *steps)
{
    uint32_t *room = scratch, last = (uint32_t)re->count - 1;
    states now = {room, room + re->count, 0}, next = {room + 2 * re->count, room + 3 * re->count, 0};
    const char *p = text.data + from, *end = text.data + text.size, *back = p;
    uint32_t before = UINT32_MAX;
    size_t longest = SIZE_MAX;
    while (back > text.data && p - back < 4 && ((uint8_t)*--back & 0xc0) == 0x80) continue;
    if (back < p) before = hone__utf8_take(&back, end);
    add_state(&now, 0);
    for (;;) {
        size_t at = (size_t)(p - text.data) - from;
        uint32_t c = p < end ? hone__utf8_take(&p, end) : UINT32_MAX;
        close_states(re, &now, (place){before, c});
        *steps += now.count;
        if (in_state(&now, last)) longest = at;
        if (c == UINT32_MAX || !now.count) break;
        next.count = 0;
        for (size_t k = 0; k < now.count; k++) {
            uint32_t state = now.dense[k];
            if (re->code[state].op == SET && takes(re, &re->code[state], c)) add_state(&next, state + 1);
        }
        states swap = now;
        now = next;
        next = swap;
        before = c;
    }
    return longest;
}

bool hone__regex_matches(const hone__regex *re, hone__string text, void *scratch)
{
    size_t steps = 0;
    memset(scratch, 0, hone__regex_scratch(re));
    return hone__regex_longest(re, text, 0, scratch, &steps) == text.size;
}
