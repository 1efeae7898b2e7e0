/* list_operators.c: prints the table of operators, one line each: row, domain, name, flags. docs/make_operators.py reads
 * it. */
#include <stdio.h>

#include "ops/op.h"

static const char *const rows[] = {
#define HONE_OP(row) #row,
#include "ops/ops.def"
#undef HONE_OP
};

int main(void)
{
    for (size_t i = 0; i < hone__op_count(); i++) {
        const hone__op *op = hone__op_at(i);
        printf("%s\t%s\t%s\t%u\n", rows[i], *op->domain ? op->domain : "ai.onnx", op->name, op->flags);
    }
    return 0;
}
