/* lib_zip.c: finds libzip's functions, and opens archives in memory. */
#define HONE__ZIP_LOADER
#include "lib_zip.h"

#include <dlfcn.h>

struct hone__zip hone__zip;
static void *library;

static hone_status load(void)
{
    if (library) return HONE_OK;
    void *lib = dlopen(HONE_ZIP_FILE, RTLD_NOW | RTLD_LOCAL);
    if (!lib) return hone__fail(HONE_E_UNSUPPORTED, "zip archives need " HONE_ZIP_FILE ", which is not installed");
#define F(name)                                       \
    *(void **)&hone__zip.name##_ = dlsym(lib, #name); \
    if (!hone__zip.name##_) return hone__fail(HONE_E_UNSUPPORTED, HONE_ZIP_FILE " has no " #name);
    HONE__ZIP_FUNCTIONS(F)
#undef F
    library = lib;
    return HONE_OK;
}

hone_status hone__zip_open(const void *data, size_t size, const char *path, zip_t **out)
{
    zip_error_t error;
    *out = NULL;
    HONE__TRY(load());
    const struct hone__zip *z = &hone__zip;
    z->zip_error_init_(&error);
    zip_source_t *source = z->zip_source_buffer_create_(data, size, 0, &error);
    if (source) *out = z->zip_open_from_source_(source, ZIP_RDONLY, &error);
    hone_status status =
        *out ? HONE_OK
             : hone__fail(HONE_E_FORMAT, "%s: not a readable zip archive: %s", path, z->zip_error_strerror_(&error));
    if (!*out && source) z->zip_source_free_(source);
    z->zip_error_fini_(&error);
    return status;
}
