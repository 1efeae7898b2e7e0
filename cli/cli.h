/* cli.h: what the verbs share. */
#ifndef HONE_CLI_CLI_H
#define HONE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "hone/hone.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char * */
    OPTION_INT,    /* int64_t, between low and high */
    OPTION_FLOAT,  /* double, between low and high */
    OPTION_CHOICE, /* int: index into `choices`, separated by | */
    OPTION_SIZE,   /* uint64_t: bytes, with K, M, G */
    OPTION_LIST,   /* text_list: may be given several times */
    OPTION_SWITCH, /* bool: alone it is true; True or False may follow it */
    OPTION_ALIAS,  /* another name for the option `argument`; with its dash where it has one: "-osrt" */
    OPTION_LATER /* known, but not done here, `help` says why; a value that asks for nothing (False, None, 0) is fine */
} option_kind;

typedef struct text_list {
    const char **items;
    size_t count;
} text_list;

/* Numbers with `choices` take that word, too, for none: NAN, or `low`; texts with them may be empty. In long names -
 * and _ are the same. */
typedef struct option_row {
    const char *name; /* long name */
    char letter;      /* 0: none */
    option_kind kind;
    void *target;
    const char *argument; /* how --help calls it */
    const char *help;
    double low, high;
    const char *choices;
} option_row;

/* --cache: how keys and values are kept, and what that is called. */
#define CACHE_NAMES "fp16|fp32|int8"
extern const hone_dtype cache_types[];

typedef struct verb_help {
    const char *usage; /* behind "hone " */
    const char *about;
    const char *examples; /* lines */
} verb_help;

/* Reads options anywhere among the arguments; positional ones go to *rest. Adds --help, --threads, --json, -q and -v to
 * every table. Returns -1 to go on, or the exit code (help was asked for, or something made no sense). */
int options_read(int argc, char **argv, const option_row *rows, const verb_help *help, text_list *rest);

void options_free(void); /* what options_read allocated */

typedef struct common_options {
    int64_t threads;
    bool json, quiet, verbose;
} common_options;
extern common_options common;

/* "hone: <message>" on stderr; returns the exit code that fits the status. */
int report_failure(hone_status status);
/* Whether `typed` may be a slip of the hand for `name`. */
bool looks_like(const char *typed, const char *name);
int usage_failure(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;
/* Flushes standard output; false where something did not get there. The first reason is reported at the end. */
bool flush_output(void);
/* Progress on stderr, only when it is a terminal and not -q; done == total ends the line. */
void progress(const char *what, size_t done, size_t total);

/* Opens a model of any kind that hone knows (.onnx, a folder with model.onnx, .h5, .keras). */
hone_status open_model(const char *path, hone_model **out);
/* Of these, what is not Keras's. */
hone_status open_onnx(const char *path, hone_model **out);
/* Fails, saying what has to be done with the weights of Hugging Face in the folder `path` first, as a command. */
hone_status not_optimized(const char *path);

/* HONE_E_FORMAT names the first byte of a text that is not UTF-8. */
hone_status check_utf8(const char *text, size_t size);

/* Prints text with everything that JSON or a terminal cannot take escaped. */
void print_json_string(const char *text);
void write_json_string(FILE *f, const char *text);
char *utf8_copy(const char *text); /* what is no UTF-8 as U+FFFD; free() it; NULL: out of memory */
void print_clean(const char *text);

#define HONE_VERB(name, about) int cmd_##name(int argc, char **argv);
#include "verbs.def"
#undef HONE_VERB

#endif
