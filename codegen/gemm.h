/* gemm.h: batched matrix products, C = alpha * A B (+ C).
 *
 * All stored as f32, strides in elements and known at compile time. Batches are a product of
 * up to four extents; an operand's stride is 0 in a batch extent it does not have. The rows of A
 * may be several axes of memory taken together, and so may its columns, as those of the windows
 * of a convolution are.
 *
 * With `bf16` the elements of A and B are rounded to bf16 (to the nearest, ties to even; subnormals
 * are 0) on their way into the product, and each sum takes two steps of k at a time, by the
 * instruction vdpbf16ps: exact products added in f32. */
#ifndef POA_CODEGEN_GEMM_H
#define POA_CODEGEN_GEMM_H

#include "codegen/codegen.h"

#define POA_GEMM_MAX_BATCH 4

typedef struct poa_gemm_operand {
  int64_t row, column; /* strides */
  int64_t batch[POA_GEMM_MAX_BATCH];
} poa_gemm_operand;

#define POA_GEMM_MAX_AXES 4

/* One index over several axes, the last of them fastest. */
typedef struct poa_gemm_axes {
  int rank; /* 0: not used */
  int64_t extent[POA_GEMM_MAX_AXES], stride[POA_GEMM_MAX_AXES];
} poa_gemm_axes;

typedef struct poa_gemm {
  int64_t m, n, k; /* A is m x k, B is k x n, C is m x n */
  int batch_rank;
  int64_t batch[POA_GEMM_MAX_BATCH];
  poa_gemm_operand a, b, c; /* any strides at all; unit ones are fast */
  float alpha;
  bool accumulate; /* add to C instead of overwriting it */
  bool bf16;       /* see above; asks for poa_target_has_bf16 */
  /* Of A, in place of a.row and a.column: both or neither, with extents whose products are m
   * and k. */
  poa_gemm_axes rows, inner;
} poa_gemm;

/* Emits `symbol`(buffers = {A, B, C}, first tile, last tile); a poa_emit_fn. Each
 * element of C is summed over k in order, whatever the tiles and blocks; where C has few
 * rows or columns, in an order that follows from shape and target. An accumulating sum of
 * alpha 1 starts from C, any other is added to C at the end. k = 0 is a sum of nothing.
 * C must not overlap A or B. Fails on negative extents, on batches that share a result, and on
 * bf16 for a target without it. */
poa_status poa_gemm_emit(poa_emitter *e, const void *gemm, const char *symbol, poa_error *error);
/* Tiles of the kernel for this target; depends on shapes only. 0 if C is empty. */
int64_t poa_gemm_tiles(const poa_gemm *gemm, const poa_target *target);
/* Writes the key, at most `size` bytes with the terminator; returns its length. */
int poa_gemm_key(const poa_gemm *gemm, char *key, size_t size);

#endif
