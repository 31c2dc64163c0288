/* philox.h: counter-based random numbers, Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A stream is named by (seed, step, use); any stream can be opened at any time,
 * so a resumed run draws what an uninterrupted one would have drawn. */
#ifndef POA_RUNTIME_PHILOX_H
#define POA_RUNTIME_PHILOX_H

#include <stdint.h>

typedef struct poa_random {
  uint32_t key[2];
  uint32_t counter[4];
  uint32_t block[4];
  int used; /* words of the block already given out */
} poa_random;

void poa_random_open(poa_random *random, uint64_t seed, uint64_t step, uint32_t use);
uint32_t poa_random_u32(poa_random *random);
/* Uniform in [0, 1), 53 bits. */
double poa_random_uniform(poa_random *random);
double poa_random_normal(poa_random *random);
/* Uniform in 0..n-1, without bias; n >= 1. */
int64_t poa_random_below(poa_random *random, int64_t n);
/* Fills `order` with a random permutation of 0..n-1 (Fisher-Yates). */
void poa_random_permutation(poa_random *random, int32_t *order, int64_t n);

#endif
