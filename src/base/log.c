/* log.c: see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static hone_log_fn listener;
static void *listener_ctx;

void hone_set_log(hone_log_fn fn, void *ctx)
{
    listener = fn;
    listener_ctx = ctx;
}

void hone__log(hone_log_level level, const char *format, ...)
{
    char text[512];
    va_list list;
    if (!listener) return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127) *p = '?';
    listener(listener_ctx, level, text);
}
