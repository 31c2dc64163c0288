/* npy.h: NumPy's array files (version 1 to 3 of the format), little-endian, row-major.
 *
 *   "\x93NUMPY" 1 0, length, {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */
#ifndef POA_RUNTIME_NPY_H
#define POA_RUNTIME_NPY_H

#include "runtime/image_files.h"

bool poa_is_npy(const uint8_t *bytes, size_t size);

/* Reads images: '|u1' are pixels, '<f4' and '<f8' normalized values. Shapes: [h,w], [n,h,w],
 * [c,h,w] and [h,w,c] with c 1 or 3, [n,c,h,w], [n,h,w,c]; where several fit, three channels in
 * front come first, then channels at the end; n may be 0. On failure *images may hold
 * memory that the caller frees. Errors say what is wrong, without the file's name. */
poa_status poa_npy_decode(const uint8_t *bytes, size_t size, poa_loaded_images *images,
                          poa_error *error);

/* Writes [rows, columns] of float32, whole or not at all. */
poa_status poa_npy_write(const char *path, const float *values, int64_t rows, int64_t columns,
                         poa_error *error);

/* The header of such a file, at most 128 bytes; returns its length. */
size_t poa_npy_header(char header[128], int64_t rows, int64_t columns);

#endif
