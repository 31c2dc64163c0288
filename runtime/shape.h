/* shape.h: shapes compared and printed. */
#ifndef POA_RUNTIME_SHAPE_H
#define POA_RUNTIME_SHAPE_H

#include "runtime/plan.h"

/* Bytes that hold the text of any shape. */
#define POA_SHAPE_TEXT_BYTES (POA_PLAN_MAX_RANK * 21 + 3)

bool poa_shapes_equal(poa_plan_shape a, poa_plan_shape b);

/* Writes "[3,16]" into `text`, of POA_SHAPE_TEXT_BYTES; returns text. */
char *poa_shape_text(poa_plan_shape shape, char *text);

#endif
