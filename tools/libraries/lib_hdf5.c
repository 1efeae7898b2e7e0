/* lib_hdf5.c: finds libhdf5's functions. HONE_HDF5_FILE is the library's file name, asked of the one at build time. */
#define HONE__HDF5_LOADER
#include "lib_hdf5.h"

#include <dlfcn.h>

struct hone__hdf5 hone__hdf5;
static void *library;

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

hone_status hone__hdf5_load(void)
{
    if (library) return HONE_OK;
    void *lib = dlopen(HONE_HDF5_FILE, RTLD_NOW | RTLD_LOCAL);
    if (!lib) return hone__fail(HONE_E_UNSUPPORTED, "Keras files need " HONE_HDF5_FILE ", which is not installed");
#define F(name)                                                          \
    *(void **)&hone__hdf5.HONE__PASTE(name, _) = dlsym(lib, TEXT(name)); \
    if (!hone__hdf5.HONE__PASTE(name, _)) return hone__fail(HONE_E_UNSUPPORTED, HONE_HDF5_FILE " has no " TEXT(name));
    HONE__HDF5_FUNCTIONS(F)
#undef F
    library = lib;
    return HONE_OK;
}

int hone__hdf5_start(void)
{
    if (hone__hdf5.H5open_() < 0) return 0;
    const hid_t *access = dlsym(library, "H5P_CLS_FILE_ACCESS_ID_g");
    if (!access) return 0;
    hone__hdf5.file_access = *access;
#define T(name)                                                          \
    const hid_t *type_##name = dlsym(library, "H5T_NATIVE_" #name "_g"); \
    if (!type_##name) return 0;                                          \
    hone__hdf5.native_##name = *type_##name;
    HONE__HDF5_TYPES(T)
#undef T
    return 1;
}
