/* block_mask.c: masks grown from rectangles, after BEiT's and DINOv2's MaskingGenerator.
 *
 * A rectangle has an area of 4 patches up to what is still wanted (at most half of the
 * crop) and a log-uniform aspect in 0.3..1/0.3. It is taken if it covers something new
 * and no more new patches than are wanted. Ten misses in a row end the mask, so it may
 * stay short of its target but never exceeds it. */
#include <math.h>
#include <string.h>

#include "runtime/block_mask.h"

enum { TRIES = 10, MIN_AREA = 4 };
static const double aspect_min = 0.3;

static int64_t masked_rows(const poa_block_mask *how) {
  return (int64_t)((double)how->rows * how->probability);
}

/* Bin i covers edge(i)..edge(i + 1). */
static double edge(const poa_block_mask *how, int64_t i) {
  return how->low + (how->high - how->low) * (double)i / (double)masked_rows(how);
}

int64_t poa_block_mask_bound(const poa_block_mask *how) {
  double patches = (double)how->side * how->side;
  int64_t bound = 0;
  for (int64_t i = 0; i < masked_rows(how); i++)
    bound += (int64_t)(patches * edge(how, i + 1));
  return bound;
}

typedef struct rectangle {
  int top, left, height, width;
} rectangle;

static int fresh_patches(const uint8_t *mask, int side, rectangle r) {
  int fresh = r.height * r.width;
  for (int y = r.top; y < r.top + r.height; y++)
    for (int x = r.left; x < r.left + r.width; x++)
      fresh -= mask[y * side + x];
  return fresh;
}

/* Adds one rectangle of at most `wanted` new patches; returns how many it added. */
static int grow(uint8_t *mask, int side, int wanted, poa_random *random) {
  for (int i = 0; i < TRIES; i++) {
    double area = MIN_AREA + (wanted - MIN_AREA) * poa_random_uniform(random);
    double aspect = exp(log(aspect_min) * (1 - 2 * poa_random_uniform(random)));
    int height = (int)rint(sqrt(area * aspect)), width = (int)rint(sqrt(area / aspect));
    if (height >= side || width >= side)
      continue;
    rectangle r = {.height = height, .width = width};
    r.top = (int)poa_random_below(random, side - height + 1);
    r.left = (int)poa_random_below(random, side - width + 1);
    int fresh = fresh_patches(mask, side, r);
    if (fresh < 1 || fresh > wanted)
      continue;
    for (int y = r.top; y < r.top + r.height; y++)
      memset(&mask[y * side + r.left], 1, (size_t)r.width);
    return fresh;
  }
  return 0;
}

static void fill(uint8_t *mask, int side, int target, poa_random *random) {
  int half = side * side / 2, added = 1;
  for (int count = 0; count < target && added > 0; count += added) {
    int wanted = target - count < half ? target - count : half;
    added = grow(mask, side, wanted, random);
  }
}

void poa_block_mask_draw(const poa_block_mask *how, poa_random *random, uint8_t *mask,
                         int32_t *order) {
  int64_t patches = (int64_t)how->side * how->side;
  memset(mask, 0, (size_t)(how->rows * patches));
  poa_random_permutation(random, order, how->rows);
  for (int64_t i = 0; i < masked_rows(how); i++) {
    double low = edge(how, i), high = edge(how, i + 1);
    double ratio = fmin(low + (high - low) * poa_random_uniform(random), high);
    fill(mask + order[i] * patches, how->side, (int)((double)patches * ratio), random);
  }
}
