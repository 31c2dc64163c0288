/* first_step.h: what a first step needs besides its kernels, made by other threads while those are
 * fetched: the first values of parameters, and memory that has been touched. A page that is touched
 * for the first time is taken from the system and cleared, which for gigabytes takes seconds. */
#ifndef POA_PROGRAM_FIRST_STEP_H
#define POA_PROGRAM_FIRST_STEP_H

#include "program/supernet.h"
#include "runtime/crew.h"
#include "runtime/first_values.h"

typedef struct poa_first_step {
  poa_first_values *values; /* NULL: they come from elsewhere */
  int64_t value_pieces;
  char *arena;
  int64_t arena_bytes;
  poa_crew crew;
} poa_first_step;

/* Begins for `plan`, on the executor's number of threads; with `initialize`, parameters get their
 * first values of `seed`. `first` must not move until poa_first_step_finish, and neither may net's
 * parameters be read nor a larger plan be prepared. Fails where the memory is not to be had, or
 * an initializer cannot be followed. */
poa_status poa_first_step_begin(poa_first_step *first, poa_supernet *net, const poa_plan *plan,
                                bool initialize, uint64_t seed, poa_error *error);
/* Helps, and returns when all is done. Also after a failure, or of zeros. */
void poa_first_step_finish(poa_first_step *first);

#endif
