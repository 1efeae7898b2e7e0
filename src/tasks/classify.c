/* classify.c: front end, session, labels. */
#include "classify.h"

#include <math.h>
#include <string.h>

#include "passes/match.h"

struct hone__classifier {
    hone__session *session;
    hone__frontend *frontend;
    hone__tensor input;
    float *features;
    size_t classes, label_count;
    char *text; /* labels, NUL-separated */
    const char **labels;
    bool logits; /* the graph ends without softmax or sigmoid */
};

static hone_status read_labels(hone__classifier *c, const char *text)
{
    if (!text) return HONE_OK;
    size_t n = strlen(text), lines = 1, at = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    c->text = hone__strndup(text, n);
    c->labels = hone__calloc(lines, sizeof *c->labels);
    if (!c->text || !c->labels) return hone__out_of_memory(n);
    for (size_t i = 0; i <= n; i++) {
        if (i < n && c->text[i] != '\n') continue;
        c->text[i] = 0;
        if (i > at || i < n) c->labels[c->label_count++] = c->text + at;
        at = i + 1;
    }
    return HONE_OK;
}

static hone_status check_shape(const hone__classifier *c, const hone__value *in)
{
    char want[128], have[128];
    bool fits = in->shape.rank < 0 || in->shape.rank == c->input.rank;
    for (int i = 0; fits && i < in->shape.rank; i++)
        fits = in->shape.dims[i] < 0 || in->shape.dims[i] == c->input.dims[i];
    if (fits && (!in->dtype || in->dtype == HONE_F32)) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "the model's input '%s' is %s %s, but its features are float32 %s", in->name,
                      hone_dtype_name(in->dtype), hone__shape_text(in->shape.rank, in->shape.dims, want, sizeof want),
                      hone__shape_text(c->input.rank, c->input.dims, have, sizeof have));
}

static hone_status set_up(hone__classifier *c, const hone__model *m, const hone__session_options *options)
{
    const char *features = hone__model_metadata(m, HONE__KEY_FEATURES);
    hone__frontend_config config;
    const hone__graph *g = m->graph;
    if (!features)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "the model does not say how sound becomes its input (metadata '%s'); give "
                          "--features FILE.json when it is optimised",
                          HONE__KEY_FEATURES);
    if (g->input_count != 1 || !g->output_count)
        return hone__fail(HONE_E_UNSUPPORTED, "a classifier has one input, this model has %zu", g->input_count);
    hone_status s = hone__frontend_parse(features, strlen(features), &config);
    if (s != HONE_OK) return hone__at(s, "metadata '%s'", HONE__KEY_FEATURES);
    HONE__TRY(hone__frontend_create(&config, &c->frontend));
    int64_t dims[3];
    int rank;
    hone__frontend_shape(&config, dims, &rank);
    c->input =
        (hone__tensor){.dtype = HONE_F32, .rank = rank + 1, .dims = {1}, .count = hone__frontend_values(c->frontend)};
    memcpy(c->input.dims + 1, dims, (size_t)rank * sizeof *dims);
    c->input.bytes = c->input.count * sizeof(float);
    HONE__TRY(check_shape(c, g->inputs[0]));
    c->features = hone__malloc(c->input.bytes);
    if (!c->features) return hone__out_of_memory(c->input.bytes);
    c->input.data = c->features;
    const hone__node *last = g->outputs[0]->producer;
    c->logits = !last || !(hone__node_is(last, "Softmax") || hone__node_is(last, "Sigmoid"));
    HONE__TRY(read_labels(c, hone__model_metadata(m, HONE__KEY_LABELS)));
    HONE__TRY(hone__session_create(m, options, &c->session));
    /* one run on silence tells how many classes there are */
    const hone__tensor *in = &c->input, *out;
    memset(c->features, 0, c->input.bytes);
    HONE__TRY(hone__session_run(c->session, &in, 1, &out, 1));
    if (out->dtype != HONE_F32 || !out->count) return hone__fail(HONE_E_UNSUPPORTED, "the output is not float32");
    c->classes = out->count;
    if (c->label_count && c->label_count != c->classes)
        return hone__fail(HONE_E_SHAPE, "%zu labels for %zu outputs", c->label_count, c->classes);
    return HONE_OK;
}

hone_status hone__classifier_create(const hone__model *m, const hone__session_options *options, hone__classifier **out)
{
    *out = NULL;
    hone__classifier *c = hone__calloc(1, sizeof *c);
    if (!c) return hone__out_of_memory(sizeof *c);
    hone_status s = set_up(c, m, options);
    if (s != HONE_OK) {
        hone__classifier_destroy(c);
        return s;
    }
    *out = c;
    return HONE_OK;
}

void hone__classifier_destroy(hone__classifier *c)
{
    if (!c) return;
    hone__session_destroy(c->session);
    hone__frontend_destroy(c->frontend);
    hone__free(c->features);
    hone__free(c->text);
    hone__free(c->labels);
    hone__free(c);
}

const hone__frontend_config *hone__classifier_frontend(const hone__classifier *c)
{
    return hone__frontend_config_of(c->frontend);
}
size_t hone__classifier_classes(const hone__classifier *c) { return c->classes; }
const char *hone__classifier_label(const hone__classifier *c, size_t i)
{
    return i < c->label_count ? c->labels[i] : "";
}

hone_status hone__classifier_run(hone__classifier *c, const float *pcm, size_t n, float *out)
{
    HONE__TRY(hone__frontend_run(c->frontend, pcm, n, c->features));
    const hone__tensor *in = &c->input, *y;
    HONE__TRY(hone__session_run(c->session, &in, 1, &y, 1));
    memcpy(out, y->data, c->classes * sizeof *out);
    if (!c->logits) return HONE_OK;
    float top = out[0];
    double sum = 0;
    for (size_t i = 1; i < c->classes; i++) top = out[i] > top ? out[i] : top;
    for (size_t i = 0; i < c->classes; i++) sum += out[i] = expf(out[i] - top);
    for (size_t i = 0; i < c->classes; i++) out[i] = (float)(out[i] / sum);
    return HONE_OK;
}
