/* import_open.c: looks at a source and hands it to the importer that reads its kind. */
#include <stdio.h>
#include <string.h>

#include "import.h"
#include "onnx/onnx.h"

hone_status hone__import_open(const char *path, const hone__import_options *options, hone__model **out,
                              hone__import_report *report)
{
    hone__import_report unused;
    if (!report) report = &unused;
    memset(report, 0, sizeof *report);
    *out = NULL;
    if (hone__import_is_openai(path)) return hone__import_openai(path, options, out, report);
    if (hone__import_is_keras(path)) return hone__import_keras(path, options, out, report);
    if (hone__import_is_hugging_face(path)) return hone__import_hugging_face(path, options, out, report);
    HONE__TRY(hone__onnx_read(path, out));
    snprintf(report->format, sizeof report->format, "onnx");
    return HONE_OK;
}
