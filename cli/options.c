/* options.c: one table per verb feeds parsing and --help. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/distance.h"
#include "cli.h"

const hone_dtype cache_types[] = {HONE_F16, HONE_F32, HONE_I8};

common_options common;
static bool want_help;

static const option_row shared[] = {
    {"threads", 't', OPTION_INT, &common.threads, "N", "threads (default: physical cores, or HONE_THREADS)", 1, 1024,
     NULL},
    {"json", 0, OPTION_FLAG, &common.json, NULL, "machine-readable results on standard output", 0, 0, NULL},
    {"quiet", 'q', OPTION_FLAG, &common.quiet, NULL, "no progress", 0, 0, NULL},
    {"verbose", 'v', OPTION_FLAG, &common.verbose, NULL, "say more", 0, 0, NULL},
    {"help", 'h', OPTION_FLAG, &want_help, NULL, "this text", 0, 0, NULL},
    {0},
};

int usage_failure(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fputs("hone: ", stderr);
    for (const char *p = text; *p; p++) fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, stderr);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

/* The short names of a row, then its long one. */
static int print_names(const option_row *all, const option_row *r, char *left, size_t size)
{
    int n = r->letter ? snprintf(left, size, "-%c, ", r->letter) : 0;
    for (const option_row *a = all; a->name; a++)
        if (a->kind == OPTION_ALIAS && a->name[0] == '-' && !strcmp(a->argument, r->name) && (size_t)n < size)
            n += snprintf(left + n, size - (size_t)n, "%s, ", a->name);
    return (size_t)n < size ? n + snprintf(left + n, size - (size_t)n, "%s--%s", n ? "" : "    ", r->name) : n;
}

static bool has_row(const option_row *rows, const char *name)
{
    for (; rows->name; rows++)
        if (!strcmp(rows->name, name)) return true;
    return false;
}

/* hidden: rows of the same names were printed already. */
static void print_rows(const option_row *all, const option_row *hidden)
{
    for (const option_row *rows = all; rows->name; rows++) {
        char left[128];
        if (rows->kind == OPTION_ALIAS || rows->kind == OPTION_LATER) continue;
        if (hidden && has_row(hidden, rows->name)) continue;
        int n = print_names(all, rows, left, sizeof left);
        if (rows->choices && rows->kind == OPTION_CHOICE)
            snprintf(left + n, sizeof left - (size_t)n, " %s", rows->choices);
        else if (rows->argument)
            snprintf(left + n, sizeof left - (size_t)n, " %s", rows->argument);
        printf(strlen(left) > 30 ? "  %s\n%34s%s\n" : "  %-32s%s%s\n", left, "", rows->help);
    }
}

static void print_help(const option_row *rows, const verb_help *help)
{
    printf("usage: hone %s\n\n%s\n\noptions:\n", help->usage, help->about);
    print_rows(rows, NULL);
    print_rows(shared, rows);
    printf("\nexamples:\n%s", help->examples);
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && (a[i] != '-' || b[i] != '_')) return false;
    return true;
}

/* The row of a name, of what it stands for where it is an alias. */
static const option_row *find(const option_row *rows, const char *name, size_t n)
{
    for (int pass = 0; pass < 2; pass++)
        for (const option_row *r = pass ? shared : rows; r->name; r++)
            if (strlen(r->name) == n && same_name(r->name, name, n))
                return r->kind == OPTION_ALIAS ? find(rows, r->argument, strlen(r->argument)) : r;
    return NULL;
}

static const option_row *find_letter(const option_row *rows, char c)
{
    for (int pass = 0; pass < 2; pass++)
        for (const option_row *r = pass ? shared : rows; r->name; r++)
            if (r->letter && r->letter == c) return r;
    return NULL;
}

static int set_number(const option_row *r, const char *text)
{
    char *end;
    errno = 0;
    if (r->choices && !strcmp(text, r->choices)) {
        if (r->kind == OPTION_INT)
            *(int64_t *)r->target = (int64_t)r->low;
        else
            *(double *)r->target = NAN;
        return -1;
    }
    if (r->kind == OPTION_INT) {
        long long v = strtoll(text, &end, 10);
        if (!*text || *end || errno || isspace((unsigned char)*text) || (double)v < r->low || (double)v > r->high)
            return usage_failure("--%s is '%s', expected a whole number from %.0f to %.0f", r->name, text, r->low,
                                 r->high);
        *(int64_t *)r->target = v;
        return -1;
    }
    double v = strtod(text, &end);
    if (!*text || *end || !isfinite(v) || isspace((unsigned char)*text) || v < r->low || v > r->high)
        return usage_failure("--%s is '%s', expected a number from %g to %g", r->name, text, r->low, r->high);
    *(double *)r->target = v;
    return -1;
}

static int set_size(const option_row *r, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10), unit = 1;
    if (*end == 'k' || *end == 'K')
        unit = 1ull << 10;
    else if (*end == 'm' || *end == 'M')
        unit = 1ull << 20;
    else if (*end == 'g' || *end == 'G')
        unit = 1ull << 30;
    if (unit > 1) end++;
    if (!isdigit((unsigned char)*text) || *end || errno || !v || v > (1ull << 50) / unit)
        return usage_failure("--%s is '%s', expected a number of bytes such as 500M", r->name, text);
    *(uint64_t *)r->target = v * unit;
    return -1;
}

static int set_choice(const option_row *r, const char *text)
{
    size_t n = strlen(text);
    int index = 0;
    for (const char *p = r->choices; p; index++) {
        const char *bar = strchr(p, '|');
        size_t len = bar ? (size_t)(bar - p) : strlen(p);
        if (len == n && !strncmp(p, text, n)) {
            *(int *)r->target = index;
            return -1;
        }
        p = bar ? bar + 1 : NULL;
    }
    return usage_failure("--%s is '%s', expected %s", r->name, text, r->choices);
}

/* Lists never hold more than there are arguments, so each is allocated once; options_free drops them all. */
static void *owned[32];
static size_t owned_count, argument_count;

static int add_text(text_list *l, const char *text)
{
    if (!l->items) {
        if (owned_count == sizeof owned / sizeof *owned) return usage_failure("too many lists of arguments");
        l->items = calloc(argument_count + 1, sizeof *l->items);
        if (!l->items) return usage_failure("out of memory");
        owned[owned_count++] = (void *)l->items;
    }
    l->items[l->count++] = text;
    return -1;
}

void options_free(void)
{
    while (owned_count) free(owned[--owned_count]);
}

static bool is_yes(const char *text) { return !strcmp(text, "True") || !strcmp(text, "true"); }
static bool is_no(const char *text) { return !strcmp(text, "False") || !strcmp(text, "false"); }

static int set(const option_row *r, const char *text)
{
    switch (r->kind) {
    case OPTION_FLAG: *(bool *)r->target = true; return -1;
    case OPTION_SWITCH: *(bool *)r->target = !text || is_yes(text); return -1;
    case OPTION_TEXT:
        if (!*text && !r->choices) return usage_failure("--%s is empty", r->name);
        *(const char **)r->target = text;
        return -1;
    case OPTION_SIZE: return set_size(r, text);
    case OPTION_CHOICE: return set_choice(r, text);
    case OPTION_LIST: return add_text(r->target, text);
    default: return set_number(r, text);
    }
}

static int unknown_option(const char *a, const char *verb, const option_row *rows)
{
    const char *best = NULL;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(a + strspn(a, "-"), "="), a + strspn(a, "-"));
    for (int pass = 0; pass < 2; pass++)
        for (const option_row *r = pass ? shared : rows; r->name; r++)
            if (r->name[0] != '-' && (!best || hone__edit_distance(name, r->name) < hone__edit_distance(name, best)))
                best = r->name;
    if (best && looks_like(name, best)) return usage_failure("unknown option '%s'; did you mean '--%s'?", a, best);
    return usage_failure("unknown option '%s' (hone %s --help lists them)", a, verb);
}

/* Whether `next`, what follows a switch or an option that is not done here, belongs to it. */
static bool takes_next(const option_row *r, const char *next)
{
    if (!next) return false;
    if (r->kind == OPTION_SWITCH) return is_yes(next) || is_no(next);
    return r->kind == OPTION_LATER && (is_no(next) || !strcmp(next, "None") || !strcmp(next, "0"));
}

static int set_without_need(const option_row *r, const char *value, const char *next, int *i)
{
    if (!value && takes_next(r, next)) {
        value = next;
        ++*i;
    }
    if (r->kind == OPTION_FLAG && value) return usage_failure("--%s takes no value", r->name);
    if (r->kind == OPTION_SWITCH && value && !is_yes(value) && !is_no(value))
        return usage_failure("--%s is '%s', expected True or False", r->name, value);
    if (r->kind == OPTION_LATER)
        return value && takes_next(r, value) ? -1 : usage_failure("--%s: %s", r->name, r->help);
    return set(r, value);
}

/* A letter with something behind it that is a slip of the hand for a long name with one dash: -osrtx. */
static const option_row *nearly(const option_row *rows, const char *typed)
{
    enum { LEAST = 4 };
    for (; rows->name; rows++)
        if (rows->name[0] == '-' && strlen(rows->name) >= LEAST && strlen(typed) >= LEAST &&
            hone__edit_distance(rows->name, typed) == 1)
            return rows;
    return NULL;
}

/* One argument starting with '-'. *i moves on when a value was taken from the next argument. */
static int one_option(int argc, char **argv, int *i, const option_row *rows)
{
    const char *a = argv[*i], *value = NULL, *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    const char *eq = strchr(a, '=');
    size_t n = eq ? (size_t)(eq - a) : strlen(a);
    const option_row *r = a[1] == '-' ? find(rows, a + 2, n - 2) : find(rows, a, n);
    if (r) {
        value = eq ? eq + 1 : NULL;
    } else if (a[1] != '-') {
        r = find_letter(rows, a[1]);
        const option_row *meant = nearly(rows, a);
        if (meant) return usage_failure("unknown option '%s'; did you mean '%s'?", a, meant->name);
        if (r && a[2]) value = a + 2;
    }
    if (!r) return unknown_option(a, argv[0], rows);
    if (r->kind == OPTION_FLAG || r->kind == OPTION_SWITCH || r->kind == OPTION_LATER)
        return set_without_need(r, value, next, i);
    if (!value) {
        if (!next) return usage_failure("--%s needs a value", r->name);
        value = next;
        ++*i;
    }
    return set(r, value);
}

static void log_line(void *ctx, hone_log_level level, const char *text)
{
    (void)ctx, (void)level;
    fprintf(stderr, "hone: %s\n", text);
}

int options_read(int argc, char **argv, const option_row *rows, const verb_help *help, text_list *rest)
{
    bool only_rest = false;
    argument_count = (size_t)argc;
    for (int i = 1; i < argc; i++) {
        int code;
        if (!only_rest && !strcmp(argv[i], "--")) {
            only_rest = true;
            continue;
        }
        if (only_rest || argv[i][0] != '-' || !argv[i][1])
            code = add_text(rest, argv[i]);
        else
            code = one_option(argc, argv, &i, rows);
        if (code >= 0) return code;
    }
    if (want_help) {
        print_help(rows, help);
        return EXIT_DONE;
    }
    if (common.verbose) hone_set_log(log_line, NULL);
    return -1;
}
