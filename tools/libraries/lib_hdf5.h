/* lib_hdf5.h: libhdf5, loaded on demand. HDF5's function names below mean the loaded library's. */
#ifndef HONE_TOOLS_LIB_HDF5_H
#define HONE_TOOLS_LIB_HDF5_H

#define H5_USE_110_API
#include <hdf5.h>

#include "base/status.h"

/* Every function that is called, once. */
#define HONE__HDF5_FUNCTIONS(F)                                                                                      \
    F(H5Tget_size)                                                                                                   \
    F(H5Tget_class) F(H5Aread) F(H5Tcopy) F(H5Tclose) F(H5Sclose) F(H5Literate) F(H5Aiterate2) F(H5open)             \
        F(H5Tset_order) F(H5Tis_variable_str) F(H5Tget_sign) F(H5Tget_precision) F(H5Tget_order) F(H5Tget_fields)    \
            F(H5Sget_simple_extent_type) F(H5Sget_simple_extent_npoints) F(H5Sget_simple_extent_ndims)               \
                F(H5Sget_simple_extent_dims) F(H5Pset_file_image_callbacks) F(H5Pset_file_image) F(H5Pset_fapl_core) \
                    F(H5Pget_nfilters) F(H5Pget_layout) F(H5Pget_filter2) F(H5Pget_external_count) F(H5Pcreate)      \
                        F(H5Pclose) F(H5PLset_loading_state) F(H5Oopen) F(H5Oclose) F(H5Iget_type) F(H5Gopen2)       \
                            F(H5Fopen) F(H5Eset_auto2) F(H5Dread) F(H5Dget_type) F(H5Dget_storage_size)              \
                                F(H5Dget_space) F(H5Dget_offset) F(H5Dget_create_plist) F(H5Aopen) F(H5Aget_type)    \
                                    F(H5Aget_space) F(H5Aclose)

#define HONE__HDF5_TYPES(T) T(FLOAT) T(DOUBLE) T(INT8) T(UINT8) T(INT16) T(UINT16) T(INT32) T(UINT32) T(INT64) T(UINT64)

/* A name may be a macro of the library for one version of a function (H5Literate is H5Literate1 or 2): it is expanded
 * before it is pasted. */
#define HONE__PASTE_(a, b) a##b
#define HONE__PASTE(a, b) HONE__PASTE_(a, b)
#define HONE__FIELD(name) __typeof__(&name) HONE__PASTE(name, _);
#define HONE__TYPE(name) hid_t native_##name;
struct hone__hdf5 {
    HONE__HDF5_FUNCTIONS(HONE__FIELD)
    HONE__HDF5_TYPES(HONE__TYPE)
    hid_t file_access;
};
#undef HONE__FIELD
#undef HONE__TYPE
extern struct hone__hdf5 hone__hdf5;

/* HONE_E_UNSUPPORTED where the library is not installed. Call before any thread is confined; not thread-safe. */
hone_status hone__hdf5_load(void);
/* Starts the library and reads what it only knows then: its types. False: it does not start. */
int hone__hdf5_start(void);

static inline herr_t hone__h5_iterate(hid_t group, H5_index_t index, H5_iter_order_t order, hsize_t *at,
                                      __typeof__(H5L_iterate_t) fn, void *ctx)
{
    return hone__hdf5.HONE__PASTE(H5Literate, _)(group, index, order, at, fn, ctx);
}

#ifndef HONE__HDF5_LOADER
#undef H5Literate
#define H5Literate hone__h5_iterate
#define H5Tget_size hone__hdf5.H5Tget_size_
#define H5Tget_class hone__hdf5.H5Tget_class_
#define H5Aread hone__hdf5.H5Aread_
#define H5Tcopy hone__hdf5.H5Tcopy_
#define H5Tclose hone__hdf5.H5Tclose_
#define H5Sclose hone__hdf5.H5Sclose_
#define H5Aiterate2 hone__hdf5.H5Aiterate2_
#define H5open hone__hdf5.H5open_
#define H5Tset_order hone__hdf5.H5Tset_order_
#define H5Tis_variable_str hone__hdf5.H5Tis_variable_str_
#define H5Tget_sign hone__hdf5.H5Tget_sign_
#define H5Tget_precision hone__hdf5.H5Tget_precision_
#define H5Tget_order hone__hdf5.H5Tget_order_
#define H5Tget_fields hone__hdf5.H5Tget_fields_
#define H5Sget_simple_extent_type hone__hdf5.H5Sget_simple_extent_type_
#define H5Sget_simple_extent_npoints hone__hdf5.H5Sget_simple_extent_npoints_
#define H5Sget_simple_extent_ndims hone__hdf5.H5Sget_simple_extent_ndims_
#define H5Sget_simple_extent_dims hone__hdf5.H5Sget_simple_extent_dims_
#define H5Pset_file_image_callbacks hone__hdf5.H5Pset_file_image_callbacks_
#define H5Pset_file_image hone__hdf5.H5Pset_file_image_
#define H5Pset_fapl_core hone__hdf5.H5Pset_fapl_core_
#define H5Pget_nfilters hone__hdf5.H5Pget_nfilters_
#define H5Pget_layout hone__hdf5.H5Pget_layout_
#define H5Pget_filter2 hone__hdf5.H5Pget_filter2_
#define H5Pget_external_count hone__hdf5.H5Pget_external_count_
#define H5Pcreate hone__hdf5.H5Pcreate_
#define H5Pclose hone__hdf5.H5Pclose_
#define H5PLset_loading_state hone__hdf5.H5PLset_loading_state_
#define H5Oopen hone__hdf5.H5Oopen_
#define H5Oclose hone__hdf5.H5Oclose_
#define H5Iget_type hone__hdf5.H5Iget_type_
#define H5Gopen2 hone__hdf5.H5Gopen2_
#define H5Fopen hone__hdf5.H5Fopen_
#define H5Eset_auto2 hone__hdf5.H5Eset_auto2_
#define H5Dread hone__hdf5.H5Dread_
#define H5Dget_type hone__hdf5.H5Dget_type_
#define H5Dget_storage_size hone__hdf5.H5Dget_storage_size_
#define H5Dget_space hone__hdf5.H5Dget_space_
#define H5Dget_offset hone__hdf5.H5Dget_offset_
#define H5Dget_create_plist hone__hdf5.H5Dget_create_plist_
#define H5Aopen hone__hdf5.H5Aopen_
#define H5Aget_type hone__hdf5.H5Aget_type_
#define H5Aget_space hone__hdf5.H5Aget_space_
#define H5Aclose hone__hdf5.H5Aclose_
#undef H5P_FILE_ACCESS
#define H5P_FILE_ACCESS hone__hdf5.file_access
#undef H5F_ACC_RDONLY
#define H5F_ACC_RDONLY 0u /* the library's own macro calls into it */
#endif

#endif
