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

/* The block of a counter, in place: the bijection itself. */
static inline void poa_philox_block(const uint32_t key[2], uint32_t *a, uint32_t *b, uint32_t *c,
                                    uint32_t *d) {
  enum { ROUNDS = 10 };
  uint32_t key0 = key[0], key1 = key[1];
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t p = (uint64_t)0xD2511F53u * *a, q = (uint64_t)0xCD9E8D57u * *c;
    *a = (uint32_t)(q >> 32) ^ *b ^ key0;
    *b = (uint32_t)q;
    *c = (uint32_t)(p >> 32) ^ *d ^ key1;
    *d = (uint32_t)p;
    key0 += 0x9E3779B9u; /* Weyl sequences */
    key1 += 0xBB67AE85u;
  }
}

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
