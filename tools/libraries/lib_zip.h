/* lib_zip.h: libzip, loaded on demand. Its function names below mean the loaded library's. */
#ifndef HONE_TOOLS_LIB_ZIP_H
#define HONE_TOOLS_LIB_ZIP_H

#include <zip.h>

#include "base/status.h"

/* Every function that is called, once. */
#define HONE__ZIP_FUNCTIONS(F)                                                                                    \
    F(zip_discard)                                                                                                \
    F(zip_error_fini) F(zip_error_init) F(zip_error_strerror) F(zip_fclose) F(zip_fopen_index) F(zip_fread)       \
        F(zip_get_num_entries) F(zip_open_from_source) F(zip_source_buffer_create) F(zip_source_free) F(zip_stat) \
            F(zip_stat_index) F(zip_stat_init) F(zip_strerror)

#define HONE__FIELD(name) __typeof__(&name) name##_;
struct hone__zip {
    HONE__ZIP_FUNCTIONS(HONE__FIELD)
};
#undef HONE__FIELD
extern struct hone__zip hone__zip;

/* Loads the library and opens the archive that lies in [data, data + size); zip_discard it. HONE_E_UNSUPPORTED where
 * the library is not installed. `path` stands in messages. Not thread-safe. */
hone_status hone__zip_open(const void *data, size_t size, const char *path, zip_t **out);

#ifndef HONE__ZIP_LOADER
#define zip_discard hone__zip.zip_discard_
#define zip_error_fini hone__zip.zip_error_fini_
#define zip_error_init hone__zip.zip_error_init_
#define zip_error_strerror hone__zip.zip_error_strerror_
#define zip_fclose hone__zip.zip_fclose_
#define zip_fopen_index hone__zip.zip_fopen_index_
#define zip_fread hone__zip.zip_fread_
#define zip_get_num_entries hone__zip.zip_get_num_entries_
#define zip_open_from_source hone__zip.zip_open_from_source_
#define zip_source_buffer_create hone__zip.zip_source_buffer_create_
#define zip_source_free hone__zip.zip_source_free_
#define zip_stat_index hone__zip.zip_stat_index_
#define zip_stat_init hone__zip.zip_stat_init_
#define zip_strerror hone__zip.zip_strerror_
#define zip_stat(...) hone__zip.zip_stat_(__VA_ARGS__) /* also the name of a structure */
#endif

#endif
