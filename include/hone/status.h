/* status.h: result codes and the one door for error text. */
#ifndef HONE_STATUS_H
#define HONE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_status {
    HONE_OK = 0,
    HONE_E_MEMORY,      /* an allocation failed */
    HONE_E_IO,          /* the operating system refused to read or write */
    HONE_E_FORMAT,      /* bytes of a file are not what its format demands */
    HONE_E_UNSUPPORTED, /* valid, but hone does not do it; the message names what and says what would work */
    HONE_E_ARGUMENT,    /* the caller passed something that makes no sense */
    HONE_E_SHAPE,       /* types or shapes do not fit each other */
    HONE_E_LIMIT,       /* a limit on memory, depth or size would be passed */
    HONE_E_CANCELLED,   /* the caller asked to stop */
    HONE_E_INTERNAL     /* a bug in hone */
} hone_status;

/* The calling thread's message of its last failed call: one line, no newline, never NULL. Valid until the next failure.
 */
const char *hone_error_message(void);

/* Short English name of a code, such as "out of memory". Static. */
const char *hone_status_name(hone_status status);

#ifdef __cplusplus
}
#endif
#endif
