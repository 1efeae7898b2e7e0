/* epilogue_attrs.h: how nodes of domain "hone" say what follows a product: attributes `act` (a number of hone__act),
 * `act_a`, `act_b`. Made by the machine passes, never saved. */
#ifndef HONE_OPS_EPILOGUE_ATTRS_H
#define HONE_OPS_EPILOGUE_ATTRS_H

#include "infer.h"
#include "kernels/epilogue.h"

static inline hone__epilogue hone__epilogue_read(const hone__node *n)
{
    return (hone__epilogue){.act = (hone__act)hone__node_int(n, "act", HONE__ACT_NONE),
                            .a = hone__node_float(n, "act_a", 0),
                            .b = hone__node_float(n, "act_b", 0)};
}

#endif
