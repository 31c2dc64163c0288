/* steps.h: how a compiled entry depends on the constant `steps`.
 *
 *   lr from cosine(.., total = steps)      total grows by 1 per step: a program can vary it
 *   lr from cosine(.., total = steps / 2)  by 0.5: as well
 *   x * (1 / steps)                        is in the code: another number is another program */
#ifndef POA_DRIVER_STEPS_H
#define POA_DRIVER_STEPS_H

#include "driver/deployment.h"

/* How one numeric argument of a source grows with `steps`. */
typedef struct poa_step_slope {
  const char *input, *argument;
  double per_step;
} poa_step_slope;

typedef struct poa_step_slopes {
  bool vary;              /* another number of steps changes nothing but these */
  int count;              /* of all arguments, those that stay the same as well */
  poa_step_slope *slopes; /* in the arena */
} poa_step_slopes;

/* Elaborates `entry` of the deployment's model for other numbers of steps, near and far. Where
 * only arguments of sources differ, and grow evenly, a program may vary the number at run time.
 * `vary` is false where the model has no constant `steps`. */
poa_status poa_find_step_slopes(const poa_deployment *deployment, const char *entry,
                                poa_arena *arena, poa_step_slopes *slopes, poa_error *error);

/* Writes the slopes into a plan of that entry, whose arguments are in its maker's arena. */
void poa_set_step_slopes(const poa_step_slopes *slopes, const poa_plan *plan);

#endif
