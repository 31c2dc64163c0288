/* plan_copy.h: a plan that stands by itself. */
#ifndef POA_RUNTIME_PLAN_COPY_H
#define POA_RUNTIME_PLAN_COPY_H

#include "runtime/plan.h"

/* A copy of `plan` and all it refers to in one block of memory, so that what made the plan can
 * be freed. The kernels themselves are not copied. Free with free(). NULL without memory. */
poa_plan *poa_plan_copy(const poa_plan *plan);

#endif
