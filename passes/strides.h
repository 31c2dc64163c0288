/* strides.h: arithmetic on storage, shared by fuse, layout and schedule.
 *
 * A storage says element (i, j, ..) lies at offset + i*stride[0] + j*stride[1] + ..
 * These functions carry a storage through the ops that move no data, in both directions. */
#ifndef POA_PASSES_STRIDES_H
#define POA_PASSES_STRIDES_H

#include "ir/ir.h"

/* Row-major strides of a known type. */
void poa_dense_strides(const poa_type *type, int64_t *stride);
/* Whether the strides are row-major; axes of extent 1 are of no account. */
bool poa_strides_dense(const poa_type *type, const int64_t *stride);
/* Whether both put each element of `type` in the same place. */
bool poa_same_place(const poa_type *type, const poa_storage *a, const poa_storage *b);

/* Strides of `to`, a reshape of `from`, over the same bytes. False where none exist. */
bool poa_reshape_strides(const poa_type *from, const int64_t *stride, const poa_type *to,
                         int64_t *result);

/* The storage of `view` (reshape, transpose, broadcast, slice) given its operand's.
 * False where strides cannot say it, which only happens to a reshape. */
bool poa_view_storage(const poa_node *view, const poa_type *operand_type,
                      const poa_storage *operand, poa_storage *result);
/* The storage that the operand must have for `view` to have storage `result`. False for
 * slices and broadcasts, whose operand is another set of elements, and where strides
 * cannot say it. */
bool poa_operand_storage(const poa_node *view, const poa_type *operand_type,
                         const poa_storage *result, poa_storage *operand);

/* The storage of the block of `whole` that begins at `start` (an attribute of extents). */
poa_storage poa_block_storage(const poa_storage *whole, const poa_attribute *start);

static inline bool poa_is_view(poa_op op) {
  return poa_op_is(op, POA_FLAG_VIEW);
}
/* Whether `row` is `full` without its last axis. */
bool poa_is_row_of(const poa_type *row, const poa_type *full);
/* Bytes of all elements. */
int64_t poa_type_bytes(const poa_type *type);

#endif
