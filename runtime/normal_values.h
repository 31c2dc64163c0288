/* normal_values.h: many normal numbers of a Philox stream at once, for a network's first values. */
#ifndef POA_RUNTIME_NORMAL_VALUES_H
#define POA_RUNTIME_NORMAL_VALUES_H

#include <stdint.h>

/* No normal number that this makes is larger: sqrt(-2 log(2^-53)). */
#define POA_LARGEST_NORMAL 8.58

/* values[i] = deviation * (normal number first + i of the stream), for i < count: what
 * `first + count` calls of poa_random_normal on the opened stream end with, but for an ulp of
 * double in the logarithm and the cosine. Any split of a stream gives the same bits, and so does
 * any CPU: it takes sums, products, quotients and square roots alone. */
void poa_normal_values(float *values, int64_t first, int64_t count, double deviation, uint64_t seed,
                       uint64_t step, uint32_t use);

#endif
