/* status.c: the thread's error message. A fixed buffer: raising an error never allocates. */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 1024 };
static _Thread_local char message[MESSAGE_MAX];

static void clean(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
}

hone_status hone__fail(hone_status code, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clean(text);
    memcpy(message, text, sizeof text);
    return code;
}

hone_status hone__at(hone_status code, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) return code;
    size_t used = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    size_t rest = strlen(message), room = sizeof text - 1 - used;
    if (room > 2) {
        memcpy(text + used, ": ", 2);
        if (rest > room - 2) rest = room - 2;
        memcpy(text + used + 2, message, rest);
        text[used + 2 + rest] = 0;
    }
    clean(text);
    memcpy(message, text, sizeof text);
    return code;
}

hone_status hone__out_of_memory(unsigned long long bytes)
{
    return hone__fail(HONE_E_MEMORY, "out of memory (asked for %llu bytes)", bytes);
}

const char *hone_error_message(void) { return message; }

const char *hone_status_name(hone_status status)
{
    switch (status) {
    case HONE_OK: return "ok";
    case HONE_E_MEMORY: return "out of memory";
    case HONE_E_IO: return "input/output error";
    case HONE_E_FORMAT: return "malformed input";
    case HONE_E_UNSUPPORTED: return "unsupported";
    case HONE_E_ARGUMENT: return "invalid argument";
    case HONE_E_SHAPE: return "shape or type mismatch";
    case HONE_E_LIMIT: return "limit exceeded";
    case HONE_E_CANCELLED: return "cancelled";
    case HONE_E_INTERNAL: return "internal error";
    }
    return "unknown status";
}
