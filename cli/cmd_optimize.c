/* cmd_optimize.c: a trained model in, a small and fast ONNX file out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "cli.h"
#include "tools/import/import.h"

int cmd_optimize(int argc, char **argv)
{
    text_list rest = {0};
    const char *out = NULL;
    int precision = 0;
    const option_row rows[] = {
        {"output", 'o', OPTION_TEXT, &out, "FILE.onnx", "the file to write", 0, 0, NULL},
        {"precision", 0, OPTION_CHOICE, &precision, NULL, "of the weights (default fp32)", 0, 0, "fp32|fp16|bf16|int8|int4"},
        {0},
    };
    const verb_help help = {"optimize SOURCE -o FILE.onnx", "Turns a trained model into a small, fast ONNX file.",
                            "  hone optimize model.h5 -o model_int8.onnx --precision int8\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("optimize needs one source (hone optimize --help)");
    if (!out) return usage_failure("optimize needs -o FILE.onnx");
    hone_model *m;
    hone_status s = open_model(rest.items[0], &m);
    if (s != HONE_OK) return report_failure(s);
    hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
    o.precision = (hone_precision)precision;
    s = hone_model_optimize(m, &o, NULL, NULL);
    if (s == HONE_OK) s = hone_model_save(m, out);
    hone_model_destroy(m);
    return s == HONE_OK ? EXIT_DONE : report_failure(s);
}
