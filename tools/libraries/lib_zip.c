/* lib_zip.c: finds libzip's functions. */
#define HONE__ZIP_LOADER
#include "lib_zip.h"

#include <dlfcn.h>

struct hone__zip hone__zip;
static void *library;

hone_status hone__zip_load(void)
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
