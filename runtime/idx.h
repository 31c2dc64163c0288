/* idx.h: reading IDX files, the format of MNIST and its kin.
 *
 * The file is 00 00 TYPE RANK, then RANK extents (big-endian, 32 bits), then the
 * values row-major: 00 00 08 03 | 60000 | 28 | 28 | 60000*28*28 bytes. It may be
 * compressed with gzip. Only unsigned bytes (TYPE 8) are read. */
#ifndef POA_RUNTIME_IDX_H
#define POA_RUNTIME_IDX_H

#include "poa.h"

enum { POA_IDX_MAX_RANK = 3 };

typedef struct poa_idx {
  int rank;
  int64_t dim[POA_IDX_MAX_RANK];
  int64_t bytes; /* the product of the extents */
  uint8_t *data; /* owned */
} poa_idx;

/* Reads a file that must have `rank` extents (1 or 3), each at least 1. Errors name
 * the file, what was expected and what was found: not such a file, cut short, extra
 * bytes, damaged compression, extents beyond what the file could hold. On failure
 * *idx is zeroed and holds nothing. */
poa_status poa_idx_read(poa_idx *idx, const char *path, int rank, poa_error *error);
void poa_idx_free(poa_idx *idx);

#endif
