/* schedule.c: cosine with warm-up, after DINOv2's and POA's cosine_scheduler.
 *
 *   n = int(total / stretch) - warmup - freeze
 *   value = final + (base - final) / 2 * (1 + cos(pi * i / n)),  i = step - freeze - warmup */
#include <math.h>

#include "runtime/schedule.h"

double poa_linear_at(double from, double to, int64_t steps, int64_t step) {
  if (step >= steps - 1)
    return steps == 1 && step == 0 ? from : to;
  return from + (double)step * ((to - from) / (double)(steps - 1));
}

double poa_cosine_at(const poa_cosine *schedule, int64_t step) {
  const poa_cosine *s = schedule;
  if (step >= s->total)
    step = s->total - 1;
  if (step < s->freeze)
    return 0;
  step -= s->freeze;
  if (step < s->warmup)
    return poa_linear_at(s->start, s->base, s->warmup, step);
  int64_t length = (int64_t)((double)s->total / s->stretch) - s->warmup - s->freeze;
  double turn = (double)(step - s->warmup) / (double)(length > 1 ? length : 1);
  return s->final + 0.5 * (s->base - s->final) * (1 + cos(3.14159265358979323846 * turn));
}
