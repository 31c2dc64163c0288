/* schedule.h: numbers that change from step to step, such as learning rates. */
#ifndef POA_RUNTIME_SCHEDULE_H
#define POA_RUNTIME_SCHEDULE_H

#include <stdint.h>

/* `freeze` steps of 0, then `warmup` steps evenly from `start` to `base`, then a cosine
 * from `base` towards `final`. The cosine is laid out over total / stretch steps in all and
 * cut at `total`: with stretch < 1 it does not reach `final`, and a warm-up longer than
 * `total` does not reach `base`. */
typedef struct poa_cosine {
  double base, final, start, stretch; /* 0 < stretch <= 1 */
  int64_t total, warmup, freeze;      /* total >= 1 */
} poa_cosine;

/* The value at step 0, 1, ...; from `total` on, the last one. */
double poa_cosine_at(const poa_cosine *schedule, int64_t step);

/* `steps` values evenly from `from` to `to`, both reached; then stays at `to`. */
double poa_linear_at(double from, double to, int64_t steps, int64_t step);

#endif
