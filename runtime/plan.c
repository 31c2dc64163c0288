/* plan.c: sizes of what a plan describes. */
#include "runtime/plan.h"

int64_t poa_plan_elements(poa_plan_shape shape) {
  int64_t count = 1;
  for (int axis = 0; axis < shape.rank; axis++)
    count *= shape.dim[axis];
  return count;
}

int64_t poa_plan_dtype_bytes(poa_plan_dtype dtype) {
  return dtype == POA_PLAN_BOOL ? 1 : 4;
}
