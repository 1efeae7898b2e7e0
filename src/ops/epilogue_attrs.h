/* epilogue_attrs.h: how a node says what follows its product: attributes `hone.act` (a number of hone__act),
 * `hone.act_a`, `hone.act_b`. Made by the machine passes, never saved, and never taken from a file. */
#ifndef HONE_OPS_EPILOGUE_ATTRS_H
#define HONE_OPS_EPILOGUE_ATTRS_H

#include "infer.h"
#include "kernels/epilogue.h"

#define HONE__EPILOGUE_ACT HONE__PRIVATE "act"
#define HONE__EPILOGUE_A HONE__PRIVATE "act_a"
#define HONE__EPILOGUE_B HONE__PRIVATE "act_b"

static inline hone__epilogue hone__epilogue_read(const hone__node *n)
{
    return (hone__epilogue){.act = (hone__act)hone__node_int(n, HONE__EPILOGUE_ACT, HONE__ACT_NONE),
                            .a = hone__node_float(n, HONE__EPILOGUE_A, 0),
                            .b = hone__node_float(n, HONE__EPILOGUE_B, 0)};
}

#endif
