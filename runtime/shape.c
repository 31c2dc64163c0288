/* shape.c: shapes compared and printed. */
#include "runtime/shape.h"

#include <stdio.h>
#include <string.h>

bool poa_shapes_equal(poa_plan_shape a, poa_plan_shape b) {
  return a.rank == b.rank && memcmp(a.dim, b.dim, sizeof a.dim[0] * (size_t)a.rank) == 0;
}

char *poa_shape_text(poa_plan_shape shape, char *text) {
  char *next = text + sprintf(text, "[");
  for (int axis = 0; axis < shape.rank; axis++)
    next += sprintf(next, "%s%lld", axis ? "," : "", (long long)shape.dim[axis]);
  sprintf(next, "]");
  return text;
}
