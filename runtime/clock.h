/* clock.h: seconds since some moment of the past, for intervals. */
#ifndef POA_RUNTIME_CLOCK_H
#define POA_RUNTIME_CLOCK_H

#include <time.h>

static inline double poa_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
