/* hone.h: everything. */
#ifndef HONE_HONE_H
#define HONE_HONE_H

#include "hone/alloc.h"
#include "hone/classify.h"
#include "hone/generate.h"
#include "hone/log.h"
#include "hone/model.h"
#include "hone/session.h"
#include "hone/status.h"
#include "hone/tensor.h"
#include "hone/transcribe.h"

#endif
