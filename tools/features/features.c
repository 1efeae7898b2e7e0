/* features.c: reads the description with jansson, prints it as the front end's own text, and lets that check it. */
#include "features.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "audio/frontend.h"
#include "base/alloc.h"
#include "base/file.h"
#include "tasks/classify.h"

enum { LIMIT = 1 << 20 };

typedef struct text {
    char *data;
    size_t used, capacity;
} text;

static hone_status append(text *t, const char *s, size_t n)
{
    while (t->used + n + 1 > t->capacity) {
        size_t want = t->capacity ? 2 * t->capacity : 1024;
        char *grown = hone__realloc(t->data, want);
        if (!grown) return hone__out_of_memory(want);
        t->data = grown;
        t->capacity = want;
    }
    memcpy(t->data + t->used, s, n);
    t->used += n;
    t->data[t->used] = 0;
    return HONE_OK;
}

static hone_status append_value(text *t, const char *key, const json_t *v)
{
    char number[40];
    if (json_is_string(v)) {
        const char *s = json_string_value(v);
        if (strpbrk(s, "\r\n")) return hone__fail(HONE_E_FORMAT, "'%s' holds a line break", key);
        return append(t, s, strlen(s));
    }
    if (json_is_integer(v))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(number, sizeof number, "%.17g", json_real_value(v));
    else if (json_is_boolean(v))
        snprintf(number, sizeof number, "%d", json_is_true(v));
    else
        return hone__fail(HONE_E_FORMAT, "'%s' is neither a number nor text", key);
    return append(t, number, strlen(number));
}

static hone_status append_entry(text *t, const char *key, json_t *v)
{
    HONE__TRY(append(t, key, strlen(key)));
    HONE__TRY(append(t, "=", 1));
    if (!json_is_array(v)) HONE__TRY(append_value(t, key, v));
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (i) HONE__TRY(append(t, ",", 1));
        HONE__TRY(append_value(t, key, json_array_get(v, i)));
    }
    return append(t, "\n", 1);
}

static hone_status take_labels(hone_model *m, const json_t *list)
{
    text t = {0};
    hone_status s = json_is_array(list) && json_array_size(list)
                        ? HONE_OK
                        : hone__fail(HONE_E_FORMAT, "'labels' is no list of texts");
    for (size_t i = 0; s == HONE_OK && i < json_array_size(list); i++) {
        const char *label = json_string_value(json_array_get(list, i));
        if (!label || strpbrk(label, "\r\n")) s = hone__fail(HONE_E_FORMAT, "label %zu is no line of text", i);
        if (s == HONE_OK && i) s = append(&t, "\n", 1);
        if (s == HONE_OK) s = append(&t, label, strlen(label));
    }
    if (s == HONE_OK) s = hone_model_set_metadata(m, HONE__KEY_LABELS, t.data);
    hone__free(t.data);
    return s;
}

static hone_status take_features(hone_model *m, json_t *root)
{
    text t = {0};
    const char *key;
    json_t *v;
    hone__frontend_config config;
    hone_status s = json_is_object(root) ? HONE_OK : hone__fail(HONE_E_FORMAT, "is no JSON object");
    if (s == HONE_OK) {
        json_object_foreach(root, key, v)
        {
            if (s != HONE_OK) break;
            if (!strcmp(key, "labels"))
                s = take_labels(m, v);
            else
                s = append_entry(&t, key, v);
        }
    }
    if (s == HONE_OK) s = append(&t, "", 0);
    if (s == HONE_OK) s = hone__frontend_parse(t.data, t.used, &config);
    if (s == HONE_OK) s = hone_model_set_metadata(m, HONE__KEY_FEATURES, t.data);
    hone__free(t.data);
    return s;
}

hone_status hone__features_apply(hone_model *m, const char *path)
{
    uint8_t *data;
    size_t size;
    json_error_t e;
    HONE__TRY(hone__file_read(path, LIMIT, &data, &size));
    json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &e);
    hone__free(data);
    if (!root) return hone__fail(HONE_E_FORMAT, "%s: line %d: %s", path, e.line, e.text);
    hone_status s = take_features(m, root);
    json_decref(root);
    return s == HONE_OK ? s : hone__at(s, "%s", path);
}

hone_status hone__labels_apply(hone_model *m, const char *path)
{
    uint8_t *data;
    size_t size;
    HONE__TRY(hone__file_read(path, LIMIT, &data, &size));
    while (size && (data[size - 1] == '\n' || data[size - 1] == '\r')) size--;
    hone_status s = size && !memchr(data, 0, size) ? HONE_OK : hone__fail(HONE_E_FORMAT, "%s: holds no labels", path);
    char *copy = s == HONE_OK ? hone__strndup((const char *)data, size) : NULL;
    hone__free(data);
    if (s == HONE_OK) s = copy ? hone_model_set_metadata(m, HONE__KEY_LABELS, copy) : hone__out_of_memory(size);
    hone__free(copy);
    return s;
}
