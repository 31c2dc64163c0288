/* features_ends.h: what the entry `features` takes and returns. */
#ifndef POA_PROGRAM_FEATURES_ENDS_H
#define POA_PROGRAM_FEATURES_ENDS_H

#include "runtime/plan.h"

typedef struct poa_features_ends {
  const poa_plan_input *images;    /* float [n, channels, size, size] */
  const poa_plan_output *features; /* float [n, d]; the first that the entry returns */
} poa_features_ends;

/* Finds both; they belong to the plan. Fails for an entry of another form. */
poa_status poa_find_features_ends(const poa_plan *plan, poa_features_ends *ends, poa_error *error);

#endif
