/* philox.c: Philox4x32-10, after Salmon, Moraes, Dror, Shaw: "Parallel random
 * numbers: as easy as 1, 2, 3" (SC 2011).
 *
 * A block of four words is a keyed bijection of a 128-bit counter. The key is the
 * seed; the counter is (block number, use, step), so every (seed, step, use) names
 * a stream of 2^34 words that overlaps no other. */
#include <math.h>

#include "runtime/philox.h"

enum { WORDS = 4 };

static void next_block(poa_random *random) {
  uint32_t *block = random->block;
  for (int word = 0; word < WORDS; word++)
    block[word] = random->counter[word];
  poa_philox_block(random->key, &block[0], &block[1], &block[2], &block[3]);
  random->counter[0]++;
  random->used = 0;
}

void poa_random_open(poa_random *random, uint64_t seed, uint64_t step, uint32_t use) {
  *random = (poa_random){
      .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
      .counter = {0, use, (uint32_t)step, (uint32_t)(step >> 32)},
      .used = WORDS,
  };
}

uint32_t poa_random_u32(poa_random *random) {
  if (random->used == WORDS)
    next_block(random);
  return random->block[random->used++];
}

double poa_random_uniform(poa_random *random) {
  uint64_t high = poa_random_u32(random) >> 5, low = poa_random_u32(random) >> 6;
  return (double)(high << 26 | low) * 0x1p-53;
}

/* Box-Muller; the second variate is not kept, so a draw is a fixed number of words. */
double poa_random_normal(poa_random *random) {
  double radius = sqrt(-2 * log(1 - poa_random_uniform(random)));
  return radius * cos(6.283185307179586476925 * poa_random_uniform(random));
}

/* The 2^64 mod n lowest values are drawn again, which leaves a multiple of n. */
int64_t poa_random_below(poa_random *random, int64_t n) {
  uint64_t range = (uint64_t)n, biased = -range % range, draw;
  do {
    draw = (uint64_t)poa_random_u32(random) << 32;
    draw |= poa_random_u32(random);
  } while (draw < biased);
  return (int64_t)(draw % range);
}

void poa_random_permutation(poa_random *random, int32_t *order, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    order[i] = (int32_t)i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = poa_random_below(random, i + 1);
    int32_t swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
}
