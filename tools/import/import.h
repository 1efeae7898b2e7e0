/* import.h: trained models as their authors publish them, turned into graphs. Nothing from a file is ever executed. */
#ifndef HONE_IMPORT_IMPORT_H
#define HONE_IMPORT_IMPORT_H

#include "graph/graph.h"
#include "hone/model.h"

typedef struct hone__import_options {
    int64_t batch; /* fixed batch size of every input; 0: symbolic "batch_size". Keras only. */
    bool no_cache; /* decoders: without past keys and values */
    /* Decoders: what the weights will be made. In fp32 all stay as they are stored; else those of half precision that
     * hone_model_optimize would not take become float32. */
    hone_precision precision;
    const char *scratch; /* a folder for weights that must be copied; as in hone_optimize_options */
} hone__import_options;

typedef struct hone__import_report {
    char format[16];        /* "keras-h5", "keras-zip", "keras-folder", "hugging-face", "onnx" */
    char keras_version[32]; /* as the file says; "" where it does not */
    char backend[16];
    uint64_t file_bytes;      /* of the whole source */
    uint64_t kept_bytes;      /* of weights that the graph uses */
    uint64_t optimizer_bytes; /* of optimiser state, dropped */
    uint64_t other_bytes;     /* of other data in the file that inference does not need, dropped */
    size_t layers;            /* layers of the model and of models inside it */
    size_t identities;        /* of these, layers that do nothing at inference, such as Dropout */
} hone__import_report;

/* Reads `path` by what it contains: HDF5 or zip (Keras), a folder with config.json and weights (Hugging Face), anything
 * else ONNX. `options` and `report` may be NULL. */
hone_status hone__import_open(const char *path, const hone__import_options *options, hone__model **out,
                              hone__import_report *report);

/* A Keras .h5 (Keras 1.2 to 3), .keras archive, or unpacked .keras folder. Inputs and outputs keep Keras's names, order
 * and shapes. Errors name `path`, the layer and what would work. */
hone_status hone__import_keras(const char *path, const hone__import_options *options, hone__model **out,
                               hone__import_report *report);

/* The graph of a configuration alone (Keras's model.to_json()), with weights of zero: shapes and layers are checked. */
hone_status hone__keras_from_config(const char *json, size_t size, int keras_major, hone__model **out);

/* True where the file or folder looks like one that hone__import_keras reads. */
bool hone__import_is_keras(const char *path);

/* A folder with config.json and the weights of a causal language model (families/families.def). The graph has
 * optimum's inputs and outputs, opset 23, and notes for generating in its metadata; half precision stays as it is
 * stored behind a Cast. Errors name the file, the tensor or key, and what would work. */
hone_status hone__import_hugging_face(const char *folder, const hone__import_options *options, hone__model **out,
                                      hone__import_report *report);
bool hone__import_is_hugging_face(const char *path);

/* A Whisper model as openai publishes it (.pt), likewise; the tokenizer lies beside it: multilingual.tiktoken or
 * gpt2.tiktoken, or tokenizer.json. */
hone_status hone__import_openai(const char *path, const hone__import_options *options, hone__model **out,
                                hone__import_report *report);
bool hone__import_is_openai(const char *path); /* by its name */

/* The ONNX file of a folder: the one that genai_config.json names, else model.onnx, else a decoder of optimum's (the
 * merged one first), in the folder or in its folder "onnx". file: [PATH_MAX]; "" where there is none. */
hone_status hone__import_folder_file(const char *folder, char *file);
/* genai_config.json at `path` for a model that hone saves: called model.onnx, with the names of inputs and outputs that
 * hone uses. *text is freed by hone__free. */
hone_status hone__import_genai_config(const char *path, char **text);
/* What the files beside that one say about a language model, into its metadata: settings of generating, and the
 * tokenizer. Inputs and outputs get the names that hone knows. Nothing where hone wrote the model. */
hone_status hone__import_folder_notes(hone__model *model, const char *folder, const char *file);

#endif
