/* philox: the random numbers every run is made of. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/philox.h"

/* Guards the generator itself: the known-answer vectors published with Random123. */
Test(philox, known_answers) {
  static const struct {
    uint32_t counter[4], key[2], expected[4];
  } vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
    poa_random random = {.used = 4};
    for (int i = 0; i < 4; i++)
      random.counter[i] = vectors[v].counter[i];
    for (int i = 0; i < 2; i++)
      random.key[i] = vectors[v].key[i];
    for (int i = 0; i < 4; i++)
      cr_assert_eq(poa_random_u32(&random), vectors[v].expected[i], "vector %zu word %d", v, i);
  }
}

/* Guards resuming: a stream opened again gives the same words, and streams that
 * differ in seed, step or use (in any half of a 64-bit word) differ. */
Test(philox, streams_are_named) {
  static const struct {
    uint64_t seed, step;
    uint32_t use;
  } names[] = {{1, 2, 3},
               {2, 2, 3},
               {1, 3, 3},
               {1, 2, 4},
               {3, 2, 1},
               {1 + (1ull << 32), 2, 3},
               {1, 2 + (1ull << 32), 3}};
  uint32_t first[7];
  for (int i = 0; i < 7; i++) {
    poa_random a, b;
    poa_random_open(&a, names[i].seed, names[i].step, names[i].use);
    poa_random_open(&b, names[i].seed, names[i].step, names[i].use);
    first[i] = poa_random_u32(&a);
    cr_assert_eq(first[i], poa_random_u32(&b));
    for (int n = 0; n < 9; n++)
      cr_assert_eq(poa_random_u32(&a), poa_random_u32(&b));
    for (int j = 0; j < i; j++)
      cr_assert_neq(first[i], first[j], "streams %d and %d", i, j);
  }
}

/* Guards the moments of the uniform and normal draws, and the uniform's range. */
Test(philox, moments) {
  poa_random random;
  poa_random_open(&random, 5, 0, 0);
  enum { N = 200000 };
  double sum = 0, square = 0, normal_sum = 0, normal_square = 0;
  for (int i = 0; i < N; i++) {
    double u = poa_random_uniform(&random), z = poa_random_normal(&random);
    cr_assert(u >= 0 && u < 1 && isfinite(z));
    sum += u;
    square += u * u;
    normal_sum += z;
    normal_square += z * z;
  }
  cr_assert_float_eq(sum / N, 0.5, 0.005);
  cr_assert_float_eq(square / N, 1.0 / 3, 0.005);
  cr_assert_float_eq(normal_sum / N, 0, 0.015);
  cr_assert_float_eq(normal_square / N, 1, 0.02);
}

/* Guards poa_random_below: every value comes up about equally often, n = 1 gives 0,
 * and a range just above 2^62 stays inside it. */
Test(philox, below) {
  poa_random random;
  poa_random_open(&random, 6, 0, 0);
  int counts[7] = {0};
  for (int i = 0; i < 70000; i++)
    counts[poa_random_below(&random, 7)]++;
  for (int i = 0; i < 7; i++)
    cr_assert(abs(counts[i] - 10000) < 500, "%d came up %d times", i, counts[i]);
  int64_t huge = ((int64_t)1 << 62) + 1;
  for (int i = 0; i < 100; i++) {
    cr_assert_eq(poa_random_below(&random, 1), 0);
    int64_t draw = poa_random_below(&random, huge);
    cr_assert(draw >= 0 && draw < huge);
  }
}

/* Guards permutations: each value once, and each first element equally likely. */
Test(philox, permutation) {
  poa_random random;
  poa_random_open(&random, 7, 0, 0);
  int firsts[5] = {0};
  for (int trial = 0; trial < 20000; trial++) {
    int32_t order[5];
    int seen = 0;
    poa_random_permutation(&random, order, 5);
    for (int i = 0; i < 5; i++)
      seen |= 1 << order[i];
    cr_assert_eq(seen, 31);
    firsts[order[0]]++;
  }
  for (int i = 0; i < 5; i++)
    cr_assert(abs(firsts[i] - 4000) < 300);
}
