/* normal_values.c: Philox and Box-Muller over lanes.
 *
 * A normal number takes the four words of one block of the stream, so number i is a function of
 * the counter i (philox.c): loops over lanes that compilers make vectors of. */
#include "runtime/normal_values.h"

#include <math.h>
#include <string.h>

#include "runtime/philox.h"

enum { LANES = 16 };

typedef struct stream {
  poa_random start; /* its counter is that of block 0 */
  double deviation;
} stream;

/* u = (27 bits * 2^26 + 26 bits) / 2^53, in [0, 1), exactly. */
static inline double uniform(uint32_t high, uint32_t low) {
  return ((double)(int32_t)(high >> 5) * 0x1p26 + (double)(int32_t)(low >> 6)) * 0x1p-53;
}

/* log(x) for a normal number x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), and log(m) = 2
 * atanh(s) with s = (m - 1) / (m + 1), |s| < 0.172; eleven terms of its series leave 1e-17 of the
 * value. */
static inline double logarithm(double x) {
  const uint64_t root = 0x3fe6a09e667f3bcd; /* the bits of sqrt(1/2) */
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits += 0x3ff0000000000000 - root;
  double e = (double)((int32_t)(bits >> 52) - 1023), m;
  bits = (bits & 0x000fffffffffffff) + root;
  memcpy(&m, &bits, sizeof m);
  double s = (m - 1) / (m + 1), z = s * s, sum = 1.0 / 21;
  for (int k = 19; k > 0; k -= 2)
    sum = sum * z + 1.0 / k;
  return 2 * s * sum + e * 0.693147180559945309417;
}

/* cos(2 pi u), u in [0, 1): with the nearest quarter taken off, |x| <= pi / 4 is left, where
 * Taylor's series to x^16 and x^17 are exact to 1e-17. */
static inline double cosine_of_turn(double u) {
  int32_t quarter = (int32_t)(4 * u + 0.5);
  double x = (u - 0.25 * quarter) * 6.283185307179586476925, z = x * x;
  double even = 1, odd = 1;
  for (int k = 16; k > 0; k -= 2) {
    even = 1 - even * z * (1.0 / (k * (k - 1)));
    odd = 1 - odd * z * (1.0 / (k * (k + 1)));
  }
  double value = quarter & 1 ? odd * x : even;
  return (quarter + 1) & 2 ? -value : value;
}

static inline double normal(const poa_random *start, uint32_t number) {
  uint32_t a = number, b = start->counter[1], c = start->counter[2], d = start->counter[3];
  poa_philox_block(start->key, &a, &b, &c, &d);
  return sqrt(-2 * logarithm(1 - uniform(a, b))) * cosine_of_turn(uniform(c, d));
}

/* Lane by lane, written out anew for each kind of vector. */
__attribute__((always_inline)) static inline void fill(const stream *s, float *values,
                                                       int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) {
    float lanes[LANES];
    uint32_t number = (uint32_t)(first + i);
#pragma omp simd
    for (int lane = 0; lane < LANES; lane++)
      lanes[lane] = (float)(s->deviation * normal(&s->start, number + (uint32_t)lane));
    int64_t left = count - i;
    memcpy(values + i, lanes, sizeof *lanes * (size_t)(left < LANES ? left : LANES));
  }
}

typedef void (*fill_fn)(const stream *s, float *values, int64_t first, int64_t count);

static void fill_any(const stream *s, float *values, int64_t first, int64_t count) {
  fill(s, values, first, count);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void fill_avx2(const stream *s, float *values, int64_t first,
                                                      int64_t count) {
  fill(s, values, first, count);
}

__attribute__((target("avx512f,avx512vl,avx512dq,prefer-vector-width=512"))) static void
fill_avx512(const stream *s, float *values, int64_t first, int64_t count) {
  fill(s, values, first, count);
}

static fill_fn choose(void) {
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    return fill_avx512;
  return __builtin_cpu_supports("avx2") ? fill_avx2 : fill_any;
}
#else
static fill_fn choose(void) {
  return fill_any;
}
#endif

void poa_normal_values(float *values, int64_t first, int64_t count, double deviation, uint64_t seed,
                       uint64_t step, uint32_t use) {
  stream s = {.deviation = deviation};
  poa_random_open(&s.start, seed, step, use);
  choose()(&s, values, first, count);
}
