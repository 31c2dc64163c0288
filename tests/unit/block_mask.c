/* block_mask: which patches are hidden. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/block_mask.h"

enum { MAX_ROWS = 64, MAX_PATCHES = 256 };

static uint8_t mask[MAX_ROWS * MAX_PATCHES];
static int32_t order[MAX_ROWS];

static int count_row(int row, int patches) {
  int count = 0;
  for (int i = 0; i < patches; i++) {
    cr_assert(mask[row * patches + i] <= 1);
    count += mask[row * patches + i];
  }
  return count;
}

static int ascending(const void *a, const void *b) {
  return *(const int *)a - *(const int *)b;
}

/* Guards the counts: masked rows are int(rows * probability); sorted, row i stays within
 * the end of bin i; all together within the bound; short of the target only by a little. */
Test(block_mask, counts) {
  static const poa_block_mask cases[] = {
      {16, 14, 0.5, 0.1, 0.5}, {8, 7, 0.5, 0.1, 0.5}, {64, 4, 0.5, 0.1, 0.5},
      {5, 16, 0.7, 0.3, 0.3},  {3, 2, 1, 0, 1},       {4, 7, 0, 0.1, 0.5},
      {1, 1, 1, 0.1, 0.5},     {2, 14, 1, 0.9, 1},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    const poa_block_mask *how = &cases[c];
    int patches = how->side * how->side, masked = (int)((double)how->rows * how->probability);
    for (uint64_t step = 0; step < 50; step++) {
      poa_random random;
      poa_random_open(&random, 1, step, 0);
      poa_block_mask_draw(how, &random, mask, order);
      int counts[MAX_ROWS], total = 0;
      for (int row = 0; row < how->rows; row++)
        total += counts[row] = count_row(row, patches);
      qsort(counts, (size_t)how->rows, sizeof *counts, ascending);
      for (int i = 0; i < how->rows; i++) {
        int bin = i - (int)(how->rows - masked);
        double end = how->low + (how->high - how->low) * (bin + 1) / masked;
        cr_assert(bin < 0 ? counts[i] == 0 : counts[i] <= (int)(patches * end));
      }
      cr_assert(total <= poa_block_mask_bound(how), "%d", total);
    }
  }
}

/* Guards the bound against the value that the reference arithmetic gives. */
Test(block_mask, bound) {
  /* bins of 0.1..0.5 in two: 0.3 and 0.5 of 196 are 58.8 and 98 */
  cr_assert_eq(poa_block_mask_bound(&(poa_block_mask){4, 14, 0.5, 0.1, 0.5}), 58 + 98);
  cr_assert_eq(poa_block_mask_bound(&(poa_block_mask){4, 14, 0, 0.1, 0.5}), 0);
  cr_assert_eq(poa_block_mask_bound(&(poa_block_mask){3, 2, 1, 0, 1}), 1 + 2 + 4);
}

/* Guards that masks fill their ratios and are spread: over rows, and over the crop,
 * though rectangles reach its corners less often. */
Test(block_mask, spread) {
  const poa_block_mask how = {16, 14, 0.5, 0.1, 0.5};
  int64_t total = 0, rows[16] = {0}, places[196] = {0};
  enum { STEPS = 400 };
  for (uint64_t step = 0; step < STEPS; step++) {
    poa_random random;
    poa_random_open(&random, 2, step, 0);
    poa_block_mask_draw(&how, &random, mask, order);
    for (int row = 0; row < 16; row++) {
      int count = count_row(row, 196);
      total += count;
      rows[row] += count > 0;
      for (int i = 0; i < 196; i++)
        places[i] += mask[row * 196 + i];
    }
  }
  double ratio = (double)total / (STEPS * 8 * 196.0); /* of masked crops: 0.3 aimed at */
  cr_assert(ratio > 0.28 && ratio <= 0.3, "%f", ratio);
  for (int row = 0; row < 16; row++)
    cr_assert(llabs(rows[row] - STEPS / 2) < 60, "row %d: %lld", row, (long long)rows[row]);
  for (int i = 0; i < 196; i++)
    cr_assert(places[i] > total / 196 / 15, "place %d: %lld", i, (long long)places[i]);
}

/* Guards blocks: a masked patch mostly has masked neighbours; single draws would not. */
Test(block_mask, blocks) {
  const poa_block_mask how = {16, 14, 0.5, 0.1, 0.5};
  int together = 0, masked = 0;
  for (uint64_t step = 0; step < 20; step++) {
    poa_random random;
    poa_random_open(&random, 3, step, 0);
    poa_block_mask_draw(&how, &random, mask, order);
    for (int row = 0; row < 16; row++)
      for (int i = 0; i < 196; i++) {
        const uint8_t *m = mask + row * 196;
        if (!m[i] || i % 14 == 13)
          continue;
        masked++;
        together += m[i + 1];
      }
  }
  cr_assert(together > 0.6 * masked, "%d of %d", together, masked);
}
