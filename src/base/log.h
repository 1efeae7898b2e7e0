/* log.h (base): one line for whoever listens. */
#ifndef HONE_BASE_LOG_H
#define HONE_BASE_LOG_H

#include "base/status.h"
#include "hone/log.h"

/* Nothing is formatted where nobody listens. Long lines are cut at 511 bytes. */
void hone__log(hone_log_level level, const char *format, ...) HONE__PRINTF(2, 3);

#endif
