/* block_mask.h: which patches are hidden from the student, as in iBOT and DINOv2.
 *
 * Of `rows` crops, int(rows * probability) are masked. The ratios low..high are cut into
 * as many equal bins; each masked crop draws its ratio from a bin of its own, so that a
 * step always has the same spread of ratios. Which crop gets which bin is shuffled. */
#ifndef POA_RUNTIME_BLOCK_MASK_H
#define POA_RUNTIME_BLOCK_MASK_H

#include "runtime/philox.h"

typedef struct poa_block_mask {
  int64_t rows;
  int side;           /* patches of a crop: side * side */
  double probability; /* 0..1 */
  double low, high;   /* 0 <= low <= high <= 1 */
} poa_block_mask;

/* The most patches that can be masked in all rows together: the sum of
 * int(patches * upper end) over the bins. */
int64_t poa_block_mask_bound(const poa_block_mask *how);

/* Fills `mask` [rows, side * side] with 0 and 1 (masked); `order` [rows] is scratch. */
void poa_block_mask_draw(const poa_block_mask *how, poa_random *random, uint8_t *mask,
                         int32_t *order);

#endif
