/* log.h: what hone does, as text. */
#ifndef HONE_LOG_H
#define HONE_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_log_level {
    HONE_LOG_INFO, /* a model was opened, a session was made */
    HONE_LOG_DEBUG /* what each rewrite changed, what a plan for new shapes needs */
} hone_log_level;

/* text: one line, no newline, valid during the call; what is no printable character is '?'. */
typedef void (*hone_log_fn)(void *ctx, hone_log_level level, const char *text);

/* Process-wide; NULL (as at the start): silence. Set it while no other thread uses hone; it is called on whichever
 * thread works, and must not call hone. */
void hone_set_log(hone_log_fn fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
